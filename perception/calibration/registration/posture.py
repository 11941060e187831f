"""What registration works on: still frames of the arm at joint angles that the encoders told."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datasets.common.errors import DataError
from datasets.rig.frame import Frame
from datasets.rig.projection import Array


@dataclass(frozen=True)
class Posture:
    """One capture.

    Attributes:
        frame: what the camera gave while the arm stood still.
        joints_rad: ``(7,)`` by the encoders.
        gripper_rad: opening of the gripper, 0 open .. 0.85 closed.
        mask: ``(H, W)`` bool, the arm as something else saw it; None leaves it to the motion.
    """

    frame: Frame
    joints_rad: Array
    gripper_rad: float = 0.0
    mask: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        if np.shape(self.joints_rad) != (7,) or not np.all(np.isfinite(self.joints_rad)):
            raise DataError(f"a posture needs seven finite joint angles in rad, got {self.joints_rad}")
        if self.mask is not None and self.mask.shape != self.frame.depth.shape:
            raise DataError(f"the mask is {self.mask.shape}, its frame {self.frame.depth.shape}: they must agree")
