r"""Checks the camera's pose and scale by what every frame shows of the table and the arm's base; corrects both.

The calibrated pose of the camera differs from its true pose by a small motion :math:`(t, w)` about its centre
:math:`c`, and depth reads too far by the share :math:`s`, so that a point :math:`p` appears at

.. math:: p' = p + t + w \times (p - c) + s\,(p - c)

The table, which lies at z = 0, therefore appears at a height and with slopes that are linear in :math:`e = (t, w, s)`:
:math:`y = H e + n`. Three hypotheses explain them, each with Gaussian spreads,

.. math:: H_0: \text{calibrated}, \qquad H_1: \text{moved}, \qquad H_2: \text{calibrated, the plane is no table}

With their probabilities by Bayes' rule, :math:`e` is estimated under the likelier of :math:`H_0` and :math:`H_1`
(:math:`\hat e = P H^T (H P H^T + R)^{-1} y`), and taken for zero under :math:`H_2`. A camera that seems to have moved
is corrected in x and y by the displacement :math:`d` of the base besides, which is seen less well, by
:math:`-p_1 \frac{s_1^2}{s_1^2 + s_b^2} d`. What remains, the rotation about z above all, widens the answer's sigma.
"""

from dataclasses import dataclass

import mink
import numpy as np
from numpy.typing import NDArray

from datasets.rig.projection import Array, transform
from datasets.rig.rig import BASE_TARGET_M
from perception.estimator.table_plane import CENTRE_M, TableFit

MOST_BY_BASE, MOST_BY_BASE_ALONE = 4.0, 1.0
"""Most that the base may say (log-odds) for a moved camera, with a table in view and without: hidden behind the arm it
is sometimes seen 50 mm away, and a camera that was knocked has tilted or sunk as well, which the table shows beyond
doubt."""
PRIOR_MOVED = PRIOR_ELSEWHERE = 0.1
"""Before anything is seen."""


@dataclass(frozen=True)
class Spread:
    """Standard deviations under one hypothesis, per axis: the camera's displacement and turn; and depth's scale."""

    shift_m: float
    turn_rad: float
    scale: float


CALIBRATED = Spread(shift_m=0.001, turn_rad=0.0006, scale=0.0018)
"""A pose measured to 2 mm and 0.1 deg, depth to 0.3 %: the bounds' own deviations, rounded up."""
MOVED = Spread(shift_m=0.02, turn_rad=0.012, scale=0.0018)
"""A camera knocked by up to 30 mm and 2 deg."""
PLANE_NOISE = np.array([0.001, 0.002, 0.002])
"""Of the plane's height m and slopes, seen from 1 m, by the depth's slow warp of up to 1 mm there; it grows with the
square of distance."""
ELSEWHERE = np.array([0.06, 0.06, 0.06])
"""Height m and slopes of another plane near z = 0: a base's plate, a lower bench, the tops of things."""
BASE_M = 0.002
"""How far the base of a calibrated camera appears from where it is, besides the glance's own error."""


@dataclass(frozen=True)
class CheckedPose:
    """A pose after the check.

    Attributes:
        t_base_camera: corrected, 4x4.
        scale: by which readings of depth are too far; divide them by 1 + scale.
        moved: probability that the camera is not where the pose says.
        base_sigma_m: ``(2,)`` m, how well the base fixed x and y.
    """

    t_base_camera: Array
    scale: float
    moved: float
    base_sigma_m: Array

    def widen(self, xyz: Array, sigma: Array) -> NDArray[np.float64]:
        """Sigma ``(3,)`` of an answer, with what the corrected pose still leaves open at ``xyz``."""
        lever = MOVED.turn_rad * np.array([xyz[1], xyz[0]])
        variance = np.asarray(sigma, dtype=np.float64) ** 2
        variance[:2] += self.moved * (self.base_sigma_m**2 + lever**2)
        return np.asarray(np.sqrt(variance))


def check_pose(pose: Array, table: TableFit | None, base_camera: Array | None, base_sigma: Array | None) -> CheckedPose:
    """Correct a calibrated ``pose`` (4x4) and the depth's scale by the table and by where the glance sees the base.

    Args:
        pose: as calibrated.
        table: the plane seen, None without one.
        base_camera: ``(3,)`` m, the base in the camera's frame; None where a network does not answer it.
        base_sigma: ``(3,)`` m, its deviations along the base frame's axes.
    """
    log_moved, log_elsewhere = (
        float(np.log(prior / (1 - PRIOR_MOVED - PRIOR_ELSEWHERE))) for prior in (PRIOR_MOVED, PRIOR_ELSEWHERE)
    )
    ways: dict[Spread, tuple[Array, float]] = {spread: (pose, 0.0) for spread in (CALIBRATED, MOVED)}
    if table is not None:
        seen = np.array([table.height_m, *table.slope])
        calibrated = _log_normal(seen, _covariance(pose, CALIBRATED))
        log_moved += _log_normal(seen, _covariance(pose, MOVED)) - calibrated
        log_elsewhere += _log_normal(seen, np.diag(ELSEWHERE**2)) - calibrated
        ways = {spread: _corrected(pose, seen, spread) for spread in ways}
    noise: Array = np.zeros(2)
    displaced: Array = noise
    if base_camera is not None and base_sigma is not None:
        noise = base_sigma[:2]
        displaced = (transform(ways[MOVED][0], base_camera) - np.array(BASE_TARGET_M))[:2]
        by_base = _log_ratio(displaced, np.hypot(BASE_M, noise), np.hypot(MOVED.shift_m, noise))
        if table is not None:
            by_base += _by_height(pose, table, base_camera, float(np.hypot(BASE_M, base_sigma[2])))
        log_moved += min(by_base, MOST_BY_BASE if table is not None else MOST_BY_BASE_ALONE)
    moved, elsewhere = _probabilities(log_moved, log_elsewhere)
    if base_camera is None:
        moved = 0.0
    if max(moved, elsewhere) < 0.5 or elsewhere >= moved:
        corrected, scale = ways[CALIBRATED] if elsewhere < 0.5 else (pose, 0.0)
        return CheckedPose(corrected, scale, moved, noise)
    corrected, scale = ways[MOVED][0].copy(), ways[MOVED][1]
    corrected[:2, 3] -= moved * MOVED.shift_m**2 / (MOVED.shift_m**2 + noise**2) * displaced
    return CheckedPose(corrected, scale, moved, noise)


def _rows(pose: Array) -> Array:
    """H ``(3, 7)``: height at the table's middle and slopes along x and y, of shift, turn and scale."""
    x, y, z = np.array([*CENTRE_M, 0.0]) - pose[:3, 3]
    return np.array([[0, 0, 1, y, -x, 0, z], [0, 0, 0, 0, -1, 0, 0], [0, 0, 0, 1, 0, 0, 0]], dtype=float)


def _prior(spread: Spread) -> Array:
    return np.diag(np.square([spread.shift_m] * 3 + [spread.turn_rad] * 3 + [spread.scale]))


def _covariance(pose: Array, spread: Spread) -> Array:
    rows = _rows(pose)
    distance = np.linalg.norm(pose[:3, 3] - np.array([*CENTRE_M, 0.0]))
    return rows @ _prior(spread) @ rows.T + np.diag((PLANE_NOISE * distance**2) ** 2)


def _corrected(pose: Array, seen: Array, spread: Spread) -> tuple[Array, float]:
    """The pose without the motion, and the scale, that the seen plane makes likeliest."""
    error = _prior(spread) @ _rows(pose).T @ np.linalg.solve(_covariance(pose, spread), seen)
    corrected = pose.copy()
    corrected[:3, 3] -= error[:3]
    corrected[:3, :3] = mink.SO3.exp(-error[3:6]).as_matrix() @ corrected[:3, :3]
    return corrected, float(error[6])


def _by_height(pose: Array, table: TableFit, base_camera: Array, noise_m: float) -> float:
    """Log-likelihood that the base has sunk or risen with the plane, minus that it stands where it was calibrated."""
    risen = float(transform(pose, base_camera)[2] - BASE_TARGET_M[2])
    with_plane = table.height_m + float(np.dot(table.slope, np.array(BASE_TARGET_M[:2]) - CENTRE_M))
    return 0.5 * (risen / noise_m) ** 2 - 0.5 * ((risen - with_plane) / noise_m) ** 2


def _probabilities(log_moved: float, log_elsewhere: float) -> tuple[float, float]:
    """Of the second and the third hypothesis, from their log-odds to the first."""
    logs = np.array([0.0, log_moved, log_elsewhere])
    weights = np.exp(logs - logs.max())
    _, moved, elsewhere = weights / weights.sum()
    return float(moved), float(elsewhere)


def _log_normal(seen: Array, covariance: Array) -> float:
    """Logarithm of a zero-mean Gaussian's density, but for a constant."""
    return float(-0.5 * seen @ np.linalg.solve(covariance, seen) - 0.5 * np.linalg.slogdet(covariance)[1])


def _log_ratio(seen: Array, calibrated: Array, moved: Array) -> float:
    """Log-likelihood of ``moved`` minus that of ``calibrated``, for zero-mean Gaussians of these deviations."""
    return float(
        np.sum(0.5 * (seen / calibrated) ** 2 + np.log(calibrated) - 0.5 * (seen / moved) ** 2 - np.log(moved))
    )
