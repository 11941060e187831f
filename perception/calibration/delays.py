r"""How late the camera's pictures and the arm's motion are, from small moves seen by the encoders and by the camera.

Pictures: their principal components follow the arm, whatever the camera's pose is. The delay :math:`\tau` is the one at
which they explain the encoders' positions best: with :math:`Q` an orthonormal basis of them and :math:`Y_\tau` the
positions ``(N, 3)`` at the pictures' times less :math:`\tau`, both centred, the share that they explain is
:math:`\lVert Q^T Y_\tau \rVert^2 / \lVert Y_\tau \rVert^2`. No network and no calibration is needed.

Motion: the time by which a response :math:`x(t)` is behind a command at :math:`t_0` is the mean of its velocity's
distribution over time, :math:`\int_{t_0} (1 - x(t) / x_\infty) dt`. Means add where responses follow one another: less
that of the planned motion, half its duration, what is left is the pure delay and the lag of what follows the plan.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datasets.common.errors import DataError

Exact = NDArray[np.float64]
COMPONENTS = 8
BLOCKS = 12
LEAST_SHARE = 0.5
MOST_ERROR_S = 0.005
"""A larger standard error, s, is no measurement: at the right delay it is below 1.5 ms even in much noise, at a wrong
one 15 ms or more (films drawn as the tests draw them)."""
_STEP_S = 0.002
_EARLIEST_S, _LATEST_S = -1.2, 1.6
"""Delays that are looked for, s: a camera's clock may be a second off."""
_EDGE = 10
"""The best of the delays that are looked for must not be one of so many at either end."""
_SAMPLE_S = 0.002


@dataclass(frozen=True)
class Delay:
    """A delay and its standard error, s."""

    mean_s: float
    error_s: float

    @property
    def interval_s(self) -> tuple[float, float]:
        """Two standard errors to either side."""
        return self.mean_s - 2 * self.error_s, self.mean_s + 2 * self.error_s

    def __str__(self) -> str:
        return f"{1e3 * self.mean_s:.1f} +- {2e3 * self.error_s:.1f} ms"


def picture_delay(pictures: NDArray[np.uint8], times_s: Exact, encoder_s: Exact, tcp_m: Exact) -> Delay:
    """By how much pictures are later than what they show.

    Args:
        pictures: ``(N, H, W)``, small and grey.
        times_s: ``(N,)`` when they were stamped as taken.
        encoder_s: ``(M,)`` times of the encoders' readings, rising.
        tcp_m: ``(M, 3)`` the TCP by the encoders at these times.

    Raises:
        DataError: too few pictures, they do not follow the arm, or the delay is uncertain or not one of those looked
            for.
    """
    if len(pictures) < 4 * COMPONENTS:
        raise DataError(f"only {len(pictures)} pictures came while the arm moved; is the camera's rate right?")
    flat = pictures.reshape(len(pictures), -1).astype(float)
    left, sizes, _ = np.linalg.svd(flat - flat.mean(axis=0), full_matrices=False)
    components = left[:, :COMPONENTS] * sizes[:COMPONENTS]
    lags = np.arange(_EARLIEST_S, _LATEST_S, _STEP_S)
    there = np.array([[np.interp(times_s - lag, encoder_s, axis) for axis in tcp_m.T] for lag in lags])  # (L, 3, N)
    best, share = _best_lag(components, there, lags)
    if share < LEAST_SHARE:
        raise DataError(
            f"the pictures explain {100 * share:.0f} % of the arm's motion, {100 * LEAST_SHARE:.0f} % are asked; is "
            "the arm in view, the light steady, and does nothing else move?"
        )
    if not lags[_EDGE] < best < lags[-1 - _EDGE]:
        raise DataError(
            f"the pictures are more than {_LATEST_S:.1f} s late, or more than {-_EARLIEST_S:.1f} s early, by their own "
            "time stamps; set the camera's clock (global time), or find out what holds its pictures up"
        )
    # The jackknife over blocks of time: neighbouring pictures err alike.
    blocks = np.arange(len(pictures)) * BLOCKS // len(pictures)
    kept = [blocks != block for block in range(BLOCKS)]
    without = np.array([_best_lag(components[rows], there[..., rows], lags)[0] for rows in kept])
    error_s = float(np.sqrt((BLOCKS - 1) / BLOCKS * np.sum((without - without.mean()) ** 2)))
    if error_s > MOST_ERROR_S:
        raise DataError(
            f"parts of the film disagree about the delay of pictures by {1e3 * np.ptp(without):.0f} ms; film more "
            "rounds, with steady light and nothing else that moves"
        )
    return Delay(best, error_s)


def arrival_delay(stamped: Delay, stamps_s: Exact, arrivals_s: Exact) -> Delay:
    """From capture to arrival, typically: the delay of the stamps and the median of what comes after them, ``(N,)`` s.

    A median, because a computer that has other things to do now and then takes a picture late.
    """
    later_s = arrivals_s - stamps_s
    middle_s = float(np.median(later_s))
    # The error of a median; 1.4826 turns the median deviation of a normal distribution into its standard deviation.
    error_s = np.sqrt(np.pi / 2 / len(later_s)) * 1.4826 * np.median(np.abs(later_s - middle_s))
    return Delay(stamped.mean_s + middle_s, float(np.hypot(stamped.error_s, error_s)))


def _best_lag(components: Exact, there: Exact, lags: Exact) -> tuple[float, float]:
    """The lag at which components ``(N, K)`` explain positions ``(L, 3, N)`` best, and their share there."""
    basis, _ = np.linalg.qr(components - components.mean(axis=0))
    centred = there - there.mean(axis=-1, keepdims=True)
    share = np.sum((centred @ basis) ** 2, axis=(1, 2)) / np.maximum(np.sum(centred**2, axis=(1, 2)), 1e-12)
    top = int(np.clip(np.argmax(share), 1, len(lags) - 2))
    before, here, after = share[top - 1 : top + 2]
    bend = before - 2 * here + after
    return float(lags[top] + (_STEP_S * (before - after) / (2 * bend) if bend < 0 else 0.0)), float(share[top])


def planned_mean_s(distance_m: float, speed_m_s: float, acceleration_m_s2: float) -> float:
    """Half the duration of a straight move from rest to rest at limited speed and acceleration."""
    if distance_m * acceleration_m_s2 >= speed_m_s**2:
        return (distance_m / speed_m_s + speed_m_s / acceleration_m_s2) / 2
    return float(np.sqrt(distance_m / acceleration_m_s2))


def motion_delay(
    commands_s: Exact, moves_m: Exact, ends_s: Exact, encoder_s: Exact, tcp_m: Exact, planned_s: Exact
) -> Delay:
    """By how much the arm's motion is later than it was planned at the command.

    Args:
        commands_s: ``(C,)`` when each move was commanded, at rest.
        moves_m: ``(C, 3)`` the displacements.
        ends_s: ``(C,)`` when it was at rest again.
        encoder_s: ``(M,)`` times of the encoders' readings, rising.
        tcp_m: ``(M, 3)`` the TCP by the encoders at these times.
        planned_s: ``(C,)`` the :func:`planned_mean_s` of each move.

    Raises:
        DataError: the arm did not follow a move.
    """
    late_s = []
    for begin, end, move, mean_s in zip(commands_s, ends_s, moves_m, planned_s, strict=True):
        times = np.arange(begin, end, _SAMPLE_S)
        along = np.array([np.interp(times, encoder_s, axis) for axis in tcp_m.T]).T @ move / np.linalg.norm(move)
        went = along[-1] - along[0]
        if went < 0.7 * np.linalg.norm(move):
            raise DataError(
                f"the arm went {1e3 * went:.1f} of {1e3 * np.linalg.norm(move):.1f} mm: something held it up; look what"
            )
        late_s.append(float(np.sum(1 - (along - along[0]) / went) * _SAMPLE_S) - mean_s)
    return Delay(float(np.mean(late_s)), float(np.std(late_s, ddof=1) / np.sqrt(len(late_s))))
