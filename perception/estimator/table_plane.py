r"""Corrects the camera's pose by the table, which the base frame puts at z = 0 and the camera sees in every frame.

Points near the table, as the calibrated pose has it, are fitted with a plane :math:`n \cdot p = d`, by least squares on
z reweighted after Tukey (Beaton & Tukey 1974), so that clutter, holes and the arm weigh nothing. The smallest rigid
motion that brings the plane to z = 0 corrects the camera's height and its two tilts; the table does not determine the
other three degrees of freedom.
"""

from dataclasses import dataclass

import numpy as np

from datasets.rig.projection import Array

FAR_M = 3.0
MOST_TABLE_Z_M = 0.3
"""A table farther than this above or below the base is a wrong unit or another surface."""


@dataclass(frozen=True)
class TableFit:
    """How far the seen table is from where the calibrated pose has it.

    Attributes:
        height_m: of the seen table above z = 0, at ``centre_m``.
        slope: ``(2,)`` rise of the seen table along x and y.
        residual_m: spread (median absolute deviation, scaled to a Gaussian's) of the points about the plane.
        share: share of the view that lies on the plane.
    """

    height_m: float
    slope: Array
    residual_m: float
    share: float


SCALES_M = (0.06, 0.03, 0.02, 0.015, 0.012)
CENTRE_M = np.array([0.4, 0.0])


def fit_table(points_base: Array, scales_m: tuple[float, ...] = SCALES_M) -> TableFit | None:
    """Fit base-frame points ``(N, 3)`` m; None where too few lie near a table."""
    near = points_base[np.abs(points_base[:, 2]) < 2 * scales_m[0]]
    if len(near) < 100:
        return None
    design = np.column_stack([np.ones(len(near)), near[:, :2] - CENTRE_M])
    z = near[:, 2]
    solution = np.zeros(3)
    for scale in scales_m:
        residual = z - design @ solution
        weight = np.clip(1 - (residual / (2 * scale)) ** 2, 0, None) ** 2
        if weight.sum() < 50:
            return None
        weighted = design * weight[:, None]
        solution = np.linalg.solve(weighted.T @ design + 1e-9 * np.eye(3), weighted.T @ z)
    residual = np.abs(z - design @ solution)
    on = residual < 2 * scales_m[-1]
    return TableFit(
        float(solution[0]), solution[1:], float(1.4826 * np.median(residual[on])), float(on.sum() / len(points_base))
    )


def correction(fit: TableFit) -> Array:
    """The motion (4x4) of the base frame that lays the seen table on z = 0; it goes to the left of the pose."""
    normal = np.array([-fit.slope[0], -fit.slope[1], 1.0])
    normal /= np.linalg.norm(normal)
    axis = np.cross(normal, [0.0, 0.0, 1.0])
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    rotation = np.eye(3) + cross + cross @ cross / (1 + normal[2])
    seen = np.array([*CENTRE_M, fit.height_m])
    motion = np.eye(4)
    motion[:3, :3] = rotation
    motion[:3, 3] = np.array([*CENTRE_M, 0.0]) - rotation @ seen
    return motion


def seen_from_table(t_base_camera: Array, table_z_m: float) -> Array:
    """The camera's pose (4x4) in the base frame moved up to the table's height."""
    pose = np.array(t_base_camera, dtype=float)
    pose[2, 3] -= table_z_m
    return pose
