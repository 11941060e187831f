"""The arm of a played-back camera: a stand-in that never moves and has no encoders."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from control.arms.arm import Arm
from control.arms.fence import Fence
from datasets.arm.kinematics import Kinematics
from datasets.rig.rig import Rig

Vector = NDArray[np.float64]


class AbsentArm(Arm):
    """An arm without encoders. Its position is NaN, so that it cannot be mistaken for a label or a residual.

    Commands are only limited by the fence, as if the TCP were at the rig's home; they are sent nowhere.
    """

    is_connected = True
    is_passive = True

    def __init__(self, rig: Rig, fence: Fence) -> None:
        self._home = np.asarray(Kinematics(rig.tool.tcp_offset_m).tcp(rig.home_joints_rad), dtype=float)
        self._fence = fence

    @property
    def tcp(self) -> Vector:
        """Not a number, ``(3,)``."""
        return np.full(3, np.nan)

    @property
    def target(self) -> Vector:
        """Home, ``(3,)`` m."""
        return self._home.copy()

    def tcp_at(self, time_s: float) -> Vector:
        """Not a number, ``(3,)``."""
        return np.full(3, np.nan)

    def joints_at(self, time_s: float) -> Vector:
        """Not a number, ``(7,)``."""
        return np.full(7, np.nan)

    def connect(self) -> None:
        """Nothing to connect."""

    def home(self) -> None:
        """Nothing to move."""

    def move(self, displacement_m: ArrayLike) -> Vector:
        """Returns the displacement ``(3,)`` m that would be sent if the TCP were at home."""
        return np.asarray(self._fence.next_target(self._home, displacement_m) - self._home, dtype=float)

    def stop(self) -> bool:
        """Nothing to stop."""
        return True

    def disconnect(self) -> None:
        """Nothing to release."""
