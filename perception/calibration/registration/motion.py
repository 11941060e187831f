r"""Small motions of the camera's pose, and the figure that poses are compared by.

The tangent is the base frame's: :math:`T(\xi) = \exp(\xi^\wedge)\, T` with :math:`\xi = (\rho, \varphi)`, m and rad, so
that a point which the camera sees at :math:`p` in the base frame moves by :math:`\rho + \varphi \times p`.
"""

from collections.abc import Iterable

import mink
import numpy as np
from numpy.typing import ArrayLike, NDArray

from datasets.rig.projection import Array, invert, transform
from datasets.rig.rig import Workspace


def moved(t_base_camera: Array, tangent: ArrayLike) -> NDArray[np.float64]:
    """The pose (4x4) after a motion ``(6,)`` m, rad of the base frame's tangent."""
    return np.asarray(mink.SE3.exp(np.asarray(tangent, dtype=float)).as_matrix() @ t_base_camera)


def moved_about(t_base_camera: Array, tangent: ArrayLike, centre_m: ArrayLike) -> NDArray[np.float64]:
    """As :func:`moved`, but turned about the base-frame point ``centre_m`` ``(3,)``, which is only displaced."""
    there, back = np.eye(4), np.eye(4)
    there[:3, 3], back[:3, 3] = np.asarray(centre_m, dtype=float), -np.asarray(centre_m, dtype=float)
    return np.asarray(there @ moved(back @ t_base_camera, tangent), dtype=float)


def cross_matrix(vectors: Array) -> Array:
    """``(..., 3, 3)`` with ``cross_matrix(a) @ b == cross(a, b)``."""
    x, y, z = np.moveaxis(np.asarray(vectors, dtype=float), -1, 0)
    zero = np.zeros_like(x)
    return np.stack([np.stack(row, axis=-1) for row in ((zero, -z, y), (z, zero, -x), (-y, x, zero))], axis=-2)


def places(workspace: Workspace) -> Array:
    """The workspace's corners and middle, ``(9, 3)`` m."""
    corners = np.stack(np.meshgrid(workspace.x_m, workspace.y_m, workspace.z_m), axis=-1).reshape(-1, 3)
    return np.vstack([corners, corners.mean(axis=0)])


def displacement(pose: Array, other: Array, points: Array) -> tuple[float, float]:
    """Largest displacement m of base-frame points ``(N, 3)`` seen with one pose instead of the other, and angle rad."""
    motion = pose @ invert(other)
    far = np.linalg.norm(transform(motion, points) - points, axis=1).max()
    # By the chord: the arc cosine of the trace cannot distinguish a hundredth of a degree from zero.
    chord = np.linalg.norm(motion[:3, :3] - np.eye(3)) / np.sqrt(8)
    return float(far), float(2 * np.arcsin(np.clip(chord, 0, 1)))


def standard_deviation(covariance: Array, points: Iterable[Array]) -> float:
    """Largest standard deviation, m, of where points of the base frame are seen, for a pose's covariance (6x6)."""
    worst = 0.0
    for point in points:
        lever = np.hstack([np.eye(3), -cross_matrix(point)])
        worst = max(worst, float(np.sqrt(np.linalg.eigvalsh(lever @ covariance @ lever.T)[-1].clip(0))))
    return worst
