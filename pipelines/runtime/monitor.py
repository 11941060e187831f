"""The checks that stop the arm: small objects without devices or clocks, so that each can be tested alone.

The encoders only guard, they never steer: here their TCP is compared with the estimate, and no policy receives it.
"""

import math
from collections import deque
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike

from datasets.common.config import Checked, Within
from datasets.common.errors import ConfigError
from datasets.rig.projection import Array
from perception.estimator.estimate import PositionEstimate
from pipelines.runtime.stops import Stop, StopReason


@dataclass(frozen=True)
class LimitParams(Checked):
    """What the monitor tolerates before it stops the arm; each value is explained in ``params/runtime.yaml``."""

    PART = "limits."

    max_frame_age_s: Annotated[float, Within(0.01, 2, "s")]
    repeats_held: Annotated[int, Within(0, 100)]
    max_sigma_m: Annotated[float, Within(1e-4, 0.2, "m")]
    uncertain_held: Annotated[int, Within(0, 100)]
    max_jump_m: Annotated[float, Within(1e-4, 0.5, "m")]
    max_disagreement_m: Annotated[float, Within(1e-4, 0.2, "m")]
    max_drift_m: Annotated[float, Within(1e-4, 0.2, "m")]
    drift_ticks: Annotated[int, Within(1, 1000)]
    max_outside_m: Annotated[float, Within(1e-4, 0.1, "m")]
    overruns_in_row: Annotated[int, Within(1, 1000)]

    def __post_init__(self) -> None:
        super().__post_init__()
        # Values written in millimetres or milliseconds by mistake would silently switch a check off.
        if self.max_drift_m > self.max_disagreement_m:
            raise ConfigError(
                f"limits.max_drift_m ({self.max_drift_m}) must not exceed limits.max_disagreement_m "
                f"({self.max_disagreement_m}): the average must have the smaller limit"
            )


class FrameCheck:
    """Checks that frames are new and fresh; for at most ``repeats_held`` repeated frames the arm holds its target."""

    def __init__(self, max_age_s: float, repeats_held: int) -> None:
        self._max_age_s, self._repeats_held = max_age_s, repeats_held
        self.reset()

    def reset(self) -> None:
        """Forget the frames seen."""
        self._last_timestamp = -math.inf
        self._repeats = 0

    def check(self, timestamp_s: float, now_s: float) -> bool:
        """Whether the frame may be acted on (False: it was seen before, so hold still); raises :class:`Stop`."""
        age = now_s - timestamp_s
        if not age <= self._max_age_s:
            raise Stop(
                StopReason.STALE_FRAME, f"newest frame is {age * 1e3:.0f} ms old, limit {self._max_age_s * 1e3:.0f} ms"
            )
        if timestamp_s > self._last_timestamp:
            self._last_timestamp, self._repeats = timestamp_s, 0
            return True
        self._repeats += 1
        if self._repeats > self._repeats_held:
            raise Stop(
                StopReason.REPEATED_FRAME, f"the camera gave no new frame for {self._repeats} ticks (frozen, unplugged)"
            )
        return False


class EstimateCheck:
    """Checks that an estimate is finite, has a small positive sigma, and moved no farther than the arm can.

    For at most ``uncertain_held`` estimates in a row whose sigma is too large the arm holds its target.
    """

    def __init__(self, max_sigma_m: float, uncertain_held: int, max_jump_m: float, max_speed_m_s: float) -> None:
        self._max_sigma_m, self._uncertain_held = max_sigma_m, uncertain_held
        self._max_jump_m, self._max_speed_m_s = max_jump_m, max_speed_m_s
        self.reset()

    def reset(self) -> None:
        """Forget the previous estimates."""
        self._last: tuple[Array, float] | None = None
        self._uncertain = 0

    def check(self, estimate: PositionEstimate, timestamp_s: float) -> bool:
        """Whether the estimate of the frame taken at ``timestamp_s`` may be acted on; False: hold still.

        Raises :class:`Stop` where it can never be trusted, or too many in a row were too uncertain.

        A jump is the distance that motion cannot explain: :math:`|x_k - x_{k-1}| - v_{max} (t_k - t_{k-1})`.
        """
        if not (np.all(np.isfinite(estimate.xyz)) and np.all(np.isfinite(estimate.sigma))):
            raise Stop(
                StopReason.NOT_FINITE, f"estimate {estimate.xyz.tolist()}, sigma {estimate.sigma.tolist()} (metres)"
            )
        if np.min(estimate.sigma) <= 0:
            raise Stop(
                StopReason.UNCERTAIN,
                f"sigma {np.round(1e3 * estimate.sigma, 3).tolist()} mm is no spread (a model of another kind?)",
            )
        worst = float(np.max(estimate.sigma))
        if worst > self._max_sigma_m:
            self._uncertain += 1
            if self._uncertain > self._uncertain_held:
                raise Stop(
                    StopReason.UNCERTAIN,
                    f"sigma {worst * 1e3:.0f} mm, limit {self._max_sigma_m * 1e3:.0f} mm, {self._uncertain} frames in "
                    "a row (gripper hidden? camera covered?)",
                )
            return False
        self._uncertain = 0
        if self._last is not None:
            position, time = self._last
            moved = float(np.linalg.norm(estimate.xyz - position))
            jump = moved - self._max_speed_m_s * max(timestamp_s - time, 0.0)
            if jump > self._max_jump_m:
                raise Stop(
                    StopReason.JUMP,
                    f"by {moved * 1e3:.0f} mm since the last frame, {jump * 1e3:.0f} mm more than the arm can move; "
                    f"limit {self._max_jump_m * 1e3:.0f} mm",
                )
        self._last = (np.array(estimate.xyz, dtype=float), timestamp_s)
        return True


class EncoderCheck:
    """Checks that each estimate agrees with the encoders' TCP at the frame's time, and their average more closely.

    The average of the difference over the last ``drift_ticks`` frames, whatever goal they belong to, shows that a
    camera was moved, which noise hides in one frame. A stop for it begins the average anew.
    """

    def __init__(self, max_disagreement_m: float, max_drift_m: float, drift_ticks: int) -> None:
        self._max_disagreement_m, self._max_drift_m = max_disagreement_m, max_drift_m
        self._differences: deque[Array] = deque(maxlen=drift_ticks)

    def check(self, estimate_m: ArrayLike, encoders_m: ArrayLike) -> float:
        """The length of the difference, m; raises :class:`Stop` if it or the average is too long."""
        difference = np.asarray(estimate_m, dtype=float) - np.asarray(encoders_m, dtype=float)
        distance = float(np.linalg.norm(difference))
        if not distance <= self._max_disagreement_m:
            raise Stop(
                StopReason.DISAGREEMENT,
                f"{distance * 1e3:.0f} mm apart at the frame's time, limit {self._max_disagreement_m * 1e3:.0f} mm "
                "(camera moved, wrong calibration, or another object taken for the gripper)",
            )
        self._differences.append(difference)
        if len(self._differences) == self._differences.maxlen:
            drift = float(np.linalg.norm(np.mean(self._differences, axis=0)))
            if drift > self._max_drift_m:
                self._differences.clear()
                raise Stop(
                    StopReason.DRIFT,
                    f"{drift * 1e3:.0f} mm on average over {self._differences.maxlen} frames, limit "
                    f"{self._max_drift_m * 1e3:.0f} mm (has the camera been moved? calibrate it again)",
                )
        return distance


class FenceCheck:
    """Checks that the encoders' TCP lies inside the fence, with a tolerance for the controller's overshoot."""

    def __init__(self, low_m: ArrayLike, high_m: ArrayLike, tolerance_m: float) -> None:
        self._low = np.asarray(low_m, dtype=float) - tolerance_m
        self._high = np.asarray(high_m, dtype=float) + tolerance_m

    def check(self, tcp_m: ArrayLike) -> None:
        """Raise :class:`Stop` when the TCP is outside, or not a number."""
        tcp = np.asarray(tcp_m, dtype=float)
        if not (np.all(tcp >= self._low) and np.all(tcp <= self._high)):
            raise Stop(StopReason.OUTSIDE_FENCE, f"encoders say {np.round(tcp, 4).tolist()} m")


class NoCheck:
    """The check of an arm without encoders, which accepts everything."""

    def check(self, *values: ArrayLike) -> None:
        """Accept any values."""


class CommandCheck:
    """Checks that a command is three finite numbers."""

    def check(self, displacement_m: ArrayLike) -> None:
        """Raise :class:`Stop` for anything else."""
        command = np.asarray(displacement_m)
        if command.shape != (3,) or not np.all(np.isfinite(command)):
            raise Stop(StopReason.NOT_FINITE, f"command {command.tolist()} instead of a displacement (3,) m")


class OverrunCheck:
    """Checks that ticks keep their period; a single overrun is counted, ``in_row`` in a row stop the arm."""

    def __init__(self, in_row: int) -> None:
        self._in_row = in_row
        self.total = 0
        self.reset()

    def reset(self) -> None:
        """Forget the current row of overruns, but keep the total."""
        self._row = 0

    def check(self, elapsed_s: float, period_s: float) -> None:
        """Count one tick that took ``elapsed_s``; raises :class:`Stop` when ``in_row`` in a row have overrun."""
        if elapsed_s <= period_s:
            self._row = 0
            return
        self.total += 1
        self._row += 1
        if self._row >= self._in_row:
            raise Stop(
                StopReason.OVERRUNS,
                f"{self._row} ticks in a row, the last of {elapsed_s * 1e3:.0f} ms in place of {period_s * 1e3:.0f} ms"
                "; end other programs on this computer",
            )


class Monitor:
    """All checks of one run; ``has_encoders`` is False if a recording is played back without an arm."""

    def __init__(
        self, limits: LimitParams, low_m: ArrayLike, high_m: ArrayLike, max_speed_m_s: float, has_encoders: bool = True
    ) -> None:
        self.frame = FrameCheck(limits.max_frame_age_s, limits.repeats_held)
        self.estimate = EstimateCheck(limits.max_sigma_m, limits.uncertain_held, limits.max_jump_m, max_speed_m_s)
        self.encoders: EncoderCheck | NoCheck = NoCheck()
        self.fence: FenceCheck | NoCheck = NoCheck()
        if has_encoders:
            self.encoders = EncoderCheck(limits.max_disagreement_m, limits.max_drift_m, limits.drift_ticks)
            self.fence = FenceCheck(low_m, high_m, limits.max_outside_m)
        self.command = CommandCheck()
        self.overruns = OverrunCheck(limits.overruns_in_row)

    def reset(self) -> None:
        """Begin another goal: forget all earlier values, except the total of overruns and what the encoders say."""
        for check in (self.frame, self.estimate, self.overruns):
            check.reset()
