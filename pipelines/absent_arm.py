"""The arm of a played-back camera: there is none."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from control.arms.arm import Arm
from control.safety import Fence
from datasets.kinematics import Kinematics
from datasets.rig import Rig

Vector = NDArray[np.float64]


class AbsentArm(Arm):
    """Stands at the rig's home, whatever it is told: commands go through the fence from there, and nowhere else.

    Its position says nothing about the pictures; the runtime must not compare the two.
    """

    is_connected = True

    def __init__(self, rig: Rig, fence: Fence) -> None:
        self._joints = np.asarray(rig.home_joints_rad, dtype=float)
        self._home = np.asarray(Kinematics().tcp(self._joints), dtype=float)
        self._fence = fence

    @property
    def tcp(self) -> Vector:
        """Home, ``(3,)`` m."""
        return self._home.copy()

    @property
    def target(self) -> Vector:
        """Home, ``(3,)`` m."""
        return self._home.copy()

    def tcp_at(self, time_s: float) -> Vector:
        """Home, ``(3,)`` m."""
        return self._home.copy()

    def joints_at(self, time_s: float) -> Vector:
        """Home, ``(7,)`` rad."""
        return self._joints.copy()

    def connect(self) -> None:
        """Nothing to connect."""

    def home(self) -> None:
        """It is there."""

    def move(self, displacement_m: ArrayLike) -> Vector:
        """What would be sent from home."""
        return np.asarray(self._fence.next_target(self._home, displacement_m) - self._home, dtype=float)

    def stop(self) -> bool:
        """It never moves."""
        return True

    def disconnect(self) -> None:
        """Nothing to release."""
