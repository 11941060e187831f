r"""What registration gives, and why it refuses.

The depth camera is described as reading :math:`z_r = s\, z + o + \sum_k c_k\, B_k(u, v)` where :math:`z` is true: a
scale, an offset and a slow warp of products of Legendre polynomials over the image.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

import numpy as np
from numpy.polynomial.legendre import legval
from numpy.typing import NDArray

from datasets.common.errors import Sim2RealError
from datasets.rig.projection import Array, Intrinsics

WARP_ORDERS = tuple((m, n) for total in range(1, 5) for m in range(total + 1) for n in (total - m,))
"""Orders along the image's rows and columns, up to four in all; the constant is the offset."""


class Cause(StrEnum):
    """Why captures are refused."""

    TOO_FEW = "too few postures"
    ONE_SIDE = "all postures show the same side"
    HIDDEN = "the arm is hidden or out of view"
    MOVED = "the camera moved"
    TOOL = "the tool is not where it is said to be"
    TCP = "the controller's TCP does not belong to its joints"
    JOINTS = "the joints do not belong to the pictures"
    NO_DEPTH = "depth is missing"
    OTHER_ARM = "the arm in the pictures is another one"


class CalibrationError(Sim2RealError):
    """Captures that no camera can be calibrated from.

    Attributes:
        cause: what is wrong with them; the message says it with figures and the remedy.
    """

    def __init__(self, cause: Cause, details: str) -> None:
        super().__init__(f"{cause}: {details}")
        self.cause = cause


@dataclass(frozen=True)
class Registration:
    """A camera that was calibrated by the arm.

    Attributes:
        t_base_camera: ``(4, 4)`` pose, m.
        covariance: ``(6, 6)`` of the pose's base-frame tangent ``(m, rad)``; see ``motion.moved``.
        intrinsics: as given, or as fitted where that was asked for.
        depth_scale: ratio of what is read to the true depth.
        depth_offset_m: constant error of what is read.
        depth_warp_m: ``(K,)`` coefficients of the slow warp, in the order of ``WARP_ORDERS``.
        table: ``(4,)`` unit normal, upward, and height along it, m: ``table[:3] @ point == table[3]`` in the base
            frame; None where no level plane is seen.
        joint_offsets_rad: ``(7,)`` the arm's joint angles less those that its encoders report; all 0 unless asked for.
            The first stays 0: turning joint 1 and turning the camera about the base's axis are the same thing.
        postures: ``(P,)`` numbers of the postures, as in the captures.
        residuals_mm: ``(P, 9)`` median distance of depth to the model by posture and link (``arm_view.LINKS``),
            signed, positive where the depth lies outside of the model; NaN where a link is not seen.
        spread_mm: ``(P, 9)`` median absolute distance, likewise.
        disagreeing: numbers of the postures that the others do not fit.
        inside: share of the drawn arm that the captures see as arm, by evidence of colour and depth or by the masks.
        gripper_rad: how far the gripper is closed, as it was fitted; 0 is open.
        by_joints: ``(6, 6)`` what usual offsets of the joints would add to ``covariance``; 0 where they were fitted.
    """

    t_base_camera: Array
    covariance: Array
    intrinsics: Intrinsics
    depth_scale: float
    depth_offset_m: float
    depth_warp_m: Array
    table: Array | None
    joint_offsets_rad: Array
    postures: NDArray[np.int64]
    residuals_mm: Array
    spread_mm: Array
    disagreeing: tuple[int, ...]
    inside: float
    gripper_rad: float = 0.0
    by_joints: Array = field(default_factory=lambda: np.zeros((6, 6)))

    def true_depth(self, read_m: NDArray[np.float32]) -> NDArray[np.float32]:
        """A depth image ``(H, W)`` m of this camera without its scale, offset and warp; 0 stays 0."""
        height, width = read_m.shape
        warp = warp_waves(height, width) @ self.depth_warp_m
        return np.where(read_m > 0, (read_m - self.depth_offset_m - warp) / self.depth_scale, 0).astype(np.float32)


@lru_cache(maxsize=4)
def warp_waves(height: int, width: int) -> Array:
    """The slow warp's functions over the image, ``(H, W, K)``, each within -1..1."""
    highest = np.eye(1 + max(max(order) for order in WARP_ORDERS))
    rows = legval(np.linspace(-1, 1, height), highest)
    columns = legval(np.linspace(-1, 1, width), highest)
    return np.stack([np.outer(rows[m], columns[n]) for m, n in WARP_ORDERS], axis=-1)
