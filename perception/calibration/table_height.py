"""How high the table lies in the base frame, from frames and a camera's pose that was found without the table."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datasets.common.errors import DataError
from datasets.rig.frame import Frame
from datasets.rig.projection import Array, Intrinsics
from datasets.rig.rig import Rig
from perception.estimator.estimator import Look
from perception.estimator.table_plane import MOST_TABLE_Z_M, TableFit, correction, fit_table

BIN_M = 0.01
"""Two of these hold most of a table seen with a D435's noise and half a degree of tilt."""
LEAST_POINTS = 100
LEAST_SHARE = 0.15
MOST_RESIDUAL_M = 0.01
MOST_SLOPE = 0.035
"""Two degrees. No calibration is wrong by so much, so that a steeper plane is no table, or the pose is bad."""
MOST_SPREAD_M = 0.005


@dataclass(frozen=True)
class TableHeight:
    """The height of the table on which the frames agree.

    Attributes:
        z_m: of the table in the base frame; negative where the base stands on a plate.
        spread_m: of the frames about it (median absolute deviation, scaled to a Gaussian's).
        frames: how many saw the table well.
        plane: ``(4,)`` unit normal, upward, and height along it, m: ``plane[:3] @ point == plane[3]``.
    """

    z_m: float
    spread_m: float
    frames: int
    plane: Array


def measure_table(
    frames: Sequence[Frame], t_base_camera: NDArray[np.floating], intrinsics: Intrinsics, rig: Rig
) -> TableHeight:
    """The height of the largest level surface within 0.3 m of z = 0, as the estimator sees it, median over the frames.

    Raises:
        DataError: no such surface is seen well enough in half of the frames, or they do not agree.
    """
    window = rig.glance_window(t_base_camera, intrinsics)
    columns, rows = (pixels.astype(float) for pixels in window.sample_pixels(rig.input_px))
    views = [
        Look(*frame.cut(window, rig.input_px), columns, rows).points(intrinsics, t_base_camera) for frame in frames
    ]
    about = _densest_height(np.concatenate([points[:, 2] for points in views]))
    fits = [fit_table(points - np.array([0.0, 0.0, about])) for points in views]
    tables = [fit for fit in fits if fit is not None and _is_table(fit)]
    heights = np.array([about + fit.height_m for fit in tables])
    if 2 * len(heights) < len(frames):
        raise DataError(f"the table is seen well in {len(heights)} of {len(frames)} frames only")
    z = float(np.median(heights))
    spread = float(1.4826 * np.median(np.abs(heights - z)))
    if spread > MOST_SPREAD_M or abs(z) > MOST_TABLE_Z_M:
        raise DataError(f"the table is seen at z = {1e3 * z:.0f} mm, {1e3 * spread:.0f} mm apart in different frames")
    laid = np.median([correction(fit)[2] for fit in tables], axis=0)  # gives a point's height over the seen table
    length = float(np.linalg.norm(laid[:3]))
    normal = laid[:3] / length
    return TableHeight(z, spread, len(heights), np.array([*normal, normal[2] * about - laid[3] / length]))


def _densest_height(z: NDArray[np.floating]) -> float:
    counts, edges = np.histogram(z, np.arange(-MOST_TABLE_Z_M - 2 * BIN_M, MOST_TABLE_Z_M + 2.5 * BIN_M, BIN_M))
    layers = counts[:-1] + counts[1:]
    densest = int(np.argmax(layers))
    if layers[densest] < LEAST_POINTS:
        raise DataError(f"no table is seen within {MOST_TABLE_Z_M} m of z = 0")
    return float(edges[densest + 1])


def _is_table(fit: TableFit) -> bool:
    level = float(np.linalg.norm(fit.slope)) < MOST_SLOPE
    return level and fit.share > LEAST_SHARE and fit.residual_m < MOST_RESIDUAL_M
