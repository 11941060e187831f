"""Finds what ``calibrate`` would measure of a depth camera's error, without drawing its captures."""

import numpy as np
from numpy.typing import NDArray

from datasets.rig.projection import Array, Intrinsics, invert, project, transform
from datasets.rig.rig import BASE_TARGET_M, Workspace
from datasets.scene.depth_sensor import DepthError, seen_at
from perception.calibration.registration.fit import OFFSET_SD_M, SCALE_SD, WARP_SD_M
from perception.calibration.registration.result import warp_waves

POSTURES, PLACES = 40, 12
"""How many postures the arm takes in the captures, and how many places along the arm are read in each."""
READING_SD_M = 0.001
"""Standard deviation of the reading of a place on the arm in one posture, m (chosen, not measured: a patch's noise,
the arm's own shape)."""


class DepthCorrection:
    """A depth camera's scale, offset and slow warp, as registration finds them, to be taken out of its pictures.

    They are the regularized least squares of :mod:`perception.calibration.registration.fit` with its priors, on
    readings of places between the arm's base and the tool in random postures. The part of the camera's error that the
    model cannot describe remains: that error's warp grows with the square of distance, the model's does not.

    Args:
        error: the depth error of the camera.
        t_base_camera: its pose (4x4).
        k: the intrinsics of its whole image.
        workspace: the box in which the tool is.
        rng: draws the postures and the noise.
    """

    def __init__(
        self, error: DepthError, t_base_camera: Array, k: Intrinsics, workspace: Workspace, rng: np.random.Generator
    ) -> None:
        tools = rng.uniform(workspace.low, workspace.high, (POSTURES, 3))
        along = rng.uniform(0, 1, (POSTURES, PLACES, 1))
        places = (BASE_TARGET_M + along * (tools[:, None] - BASE_TARGET_M)).reshape(-1, 3)
        points = transform(invert(t_base_camera), places)
        pixels = np.rint(project(points, k)).astype(int)
        inside = ((pixels >= 0) & (pixels < [k.width, k.height])).all(axis=1)
        points, (columns, rows) = points[inside], pixels[inside].T
        self._waves = warp_waves(k.height, k.width)
        read = np.array([seen_at(point, error)[2] for point in points]) + rng.normal(0, READING_SD_M, len(points))
        terms = np.column_stack([points[:, 2], np.ones(len(points)), self._waves[rows, columns]])
        prior = 1 / np.array([SCALE_SD, OFFSET_SD_M, *WARP_SD_M]) ** 2
        normal = terms.T @ terms / READING_SD_M**2 + np.diag(prior)
        found = np.linalg.solve(normal, terms.T @ (read - points[:, 2]) / READING_SD_M**2)
        self._scale, self._offset_m, self._warp_m = 1 + found[0], found[1], found[2:]

    def undo(self, read_m: Array, columns: NDArray[np.intp], rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """A window's depth ``(S, S)`` m without the error, at these columns and rows of the image; 0 stays 0."""
        height, width = self._waves.shape[:2]
        waves = self._waves[np.ix_(rows.clip(0, height - 1), columns.clip(0, width - 1))]
        true = (read_m - self._offset_m - waves @ self._warp_m) / self._scale
        return np.where(read_m > 0, true, 0).astype(np.float32)
