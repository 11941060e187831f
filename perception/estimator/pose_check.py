r"""Checks the camera's pose against what every frame shows of it, the table and the arm's base; corrects it.

The table gives height and tilts to a tenth of a millimetre and is always believed
(:mod:`perception.estimator.table_plane`). The base is seen less well, so it counts only when the camera
seems to stand elsewhere than calibrated. Two hypotheses explain what is seen,

.. math:: H_0: \text{calibrated}, \qquad H_1: \text{moved},

each with its own Gaussian spread of the table's height and slope and the base's displacement :math:`d`. With
:math:`p = P(H_1 | \text{seen})` by Bayes' rule, the pose is moved by :math:`-p \, \frac{s_1^2}{s_1^2 + s_b^2} d` in
x and y. What remains, the rotation about z above all, widens the answer's sigma.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datasets.rig.projection import Array, transform
from datasets.rig.rig import BASE_TARGET_M
from perception.estimator.table_plane import TableFit, correction

MOST_BY_BASE = 4.0
"""Most that the base may say (log-odds) for a moved camera: hidden behind the arm it is sometimes seen 50 mm away, and
a camera that was knocked has tilted or sunk as well, which the table tells beyond doubt."""
PRIOR_MOVED = 0.1
"""Before anything is seen."""


@dataclass(frozen=True)
class Spread:
    """Standard deviations of the pose's errors under one hypothesis: m at the table's middle, rad, m at the base."""

    height_m: float
    slope: float
    base_m: float
    yaw_rad: float


CALIBRATED = Spread(height_m=0.0015, slope=0.0012, base_m=0.002, yaw_rad=0.0)
"""A pose measured to 2 mm and 0.1 deg, as seen from the table's middle and the base."""
MOVED = Spread(height_m=0.025, slope=0.015, base_m=0.025, yaw_rad=0.012)
"""A camera knocked by up to 30 mm and 2 deg; of 2 deg about a random axis, 0.7 deg are about z."""


@dataclass(frozen=True)
class CheckedPose:
    """A pose after the check.

    Attributes:
        t_base_camera: corrected, 4x4.
        moved: probability that the camera is not where the pose says.
        base_sigma_m: ``(2,)`` m, how well the base fixed x and y.
    """

    t_base_camera: Array
    moved: float
    base_sigma_m: Array

    def widen(self, xyz: Array, sigma: Array) -> NDArray[np.float64]:
        """Sigma ``(3,)`` of an answer, with what the corrected pose still leaves open at ``xyz``."""
        lever = MOVED.yaw_rad * np.array([xyz[1], xyz[0]])
        variance = np.asarray(sigma, dtype=np.float64) ** 2
        variance[:2] += self.moved * (self.base_sigma_m**2 + lever**2)
        return np.asarray(np.sqrt(variance))


def check_pose(pose: Array, table: TableFit | None, base_camera: Array | None, base_sigma: Array | None) -> CheckedPose:
    """Correct a calibrated ``pose`` (4x4) by the table and by where the glance sees the base (camera frame, m)."""
    log_odds = float(np.log(PRIOR_MOVED / (1 - PRIOR_MOVED)))
    if table is not None:
        pose = correction(table) @ pose
        seen = np.array([table.height_m, *table.slope])
        log_odds += _log_ratio(
            seen,
            np.array([CALIBRATED.height_m, CALIBRATED.slope, CALIBRATED.slope]),
            np.array([MOVED.height_m, MOVED.slope, MOVED.slope]),
        )
    if base_camera is None or base_sigma is None:
        return CheckedPose(pose, 0.0, np.zeros(2))
    displaced = (transform(pose, base_camera) - np.array(BASE_TARGET_M))[:2]
    noise = np.sqrt(pose[:2, :3] ** 2 @ base_sigma**2)
    by_base = _log_ratio(displaced, np.hypot(CALIBRATED.base_m, noise), np.hypot(MOVED.base_m, noise))
    log_odds += min(by_base, MOST_BY_BASE)
    moved = float(1 / (1 + np.exp(-np.clip(log_odds, -50, 50))))
    gain = moved * MOVED.base_m**2 / (MOVED.base_m**2 + noise**2)
    corrected = pose.copy()
    corrected[:2, 3] -= gain * displaced
    return CheckedPose(corrected, moved, noise)


def _log_ratio(seen: Array, calibrated: Array, moved: Array) -> float:
    """Log-likelihood of ``moved`` minus that of ``calibrated``, for zero-mean Gaussians of these deviations."""
    return float(
        np.sum(0.5 * (seen / calibrated) ** 2 + np.log(calibrated) - 0.5 * (seen / moved) ** 2 - np.log(moved))
    )
