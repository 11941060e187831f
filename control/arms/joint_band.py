"""The band of joint angles that the fence needs: an arm outside it has turned its elbow or wrist another way."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from control.arms.arm import Vector
from control.arms.fence import Fence
from datasets.arm.kinematics import Kinematics, pointing_down
from datasets.arm.model import ARM_JOINTS
from datasets.common.errors import SafetyStop
from datasets.rig.rig import Rig

BAND_MARGIN_RAD = 0.3
"""How far beyond the band, rad, the controller's joint range and the watch act: homing leaves the elbow up to 0.2 rad
off. The shipped policy used 0.21 rad of it over 1200 goals on the twin's kinematics, half of them at corners."""
_GRID = 7
_STEP_M = 0.02
_ITERATIONS = 4
_MISSED_M = 1e-3


@dataclass(frozen=True, eq=False)
class JointBand:
    """Lowest and highest angle of each joint.

    Attributes:
        low_rad: ``(7,)``.
        high_rad: ``(7,)``; no entry is below that of ``low_rad``.
    """

    low_rad: Vector
    high_rad: Vector

    def __post_init__(self) -> None:
        low, high = (np.array(side, dtype=float) for side in (self.low_rad, self.high_rad))
        if low.shape != (7,) or high.shape != (7,) or not np.all(low <= high):
            raise SafetyStop(f"a joint band needs seven lower and upper angles, got {low.tolist()}, {high.tolist()}")
        object.__setattr__(self, "low_rad", low)
        object.__setattr__(self, "high_rad", high)

    @classmethod
    def of(cls, joints_rad: ArrayLike) -> "JointBand":
        """The narrowest band that holds postures ``(N, 7)`` rad; raises SafetyStop for anything else."""
        postures = np.atleast_2d(np.asarray(joints_rad, dtype=float))
        return cls(np.min(postures, axis=0), np.max(postures, axis=0))

    def joined(self, other: "JointBand") -> "JointBand":
        """The narrowest band that holds both."""
        return JointBand(np.minimum(self.low_rad, other.low_rad), np.maximum(self.high_rad, other.high_rad))

    def widened(self, rad: float) -> "JointBand":
        """The band made wider by ``rad`` on both sides, no farther than the arm's own limits (xArm user manual)."""
        low, high = _limits()
        return JointBand(np.maximum(self.low_rad - rad, low), np.minimum(self.high_rad + rad, high))

    def outside(self, joints_rad: ArrayLike) -> str | None:
        """Names the joints of ``(7,)`` rad that lie outside, with their angles in degrees; None if all are inside.

        A joint whose angle is NaN counts as outside.
        """
        joints = np.asarray(joints_rad, dtype=float)
        if np.all((joints >= self.low_rad) & (joints <= self.high_rad)):
            return None
        return ", ".join(
            f"{name} {math.degrees(angle):.1f} deg (not in {math.degrees(low):.1f}..{math.degrees(high):.1f})"
            for name, angle, low, high in zip(ARM_JOINTS, joints, self.low_rad, self.high_rad, strict=True)
            if not low <= angle <= high
        )


def needed_band(rig: Rig, fence: Fence) -> JointBand:
    """The band that the joints need on straight lines from home to any point of the fence, gripper pointing down.

    On every line the joints turn as little as they can (*assumed: elbow*), as in
    :class:`~control.clearance.arm_clearance.ArmClearance`. The lines lead to an even grid of ``_GRID`` points along
    each axis; towards a point out of reach, a line ends where the arm can no longer follow. This takes 0.3 s, once per
    process and fence.
    """
    corners = tuple(fence.low_m.tolist()), tuple(fence.high_m.tolist())
    home = tuple(float(angle) for angle in rig.home_joints_rad)
    return JointBand(*_angles(*corners, home, rig.tool.tcp_offset_m))


@lru_cache
def _angles(
    low_m: Sequence[float], high_m: Sequence[float], home_rad: Sequence[float], tcp_offset_m: float
) -> tuple[Vector, Vector]:
    kinematics, down = Kinematics(tcp_offset_m), pointing_down()
    home = np.array(home_rad)
    start = kinematics.tcp(home)
    axes = np.linspace(low_m, high_m, _GRID).T
    found = [home]
    for point in np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3):
        joints = home
        count = max(1, int(np.ceil(np.linalg.norm(point - start) / _STEP_M)))
        for place in np.linspace(start, point, count + 1)[1:]:
            joints = kinematics.approach(joints, place, down, _ITERATIONS)
            if np.linalg.norm(kinematics.tcp(joints) - place) > _MISSED_M:
                break
            found.append(joints)
    return np.min(found, axis=0), np.max(found, axis=0)


@lru_cache
def _limits() -> tuple[Vector, Vector]:
    low, high = Kinematics().joint_limits.T
    return low, high
