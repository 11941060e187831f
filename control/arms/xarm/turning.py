"""Whether all joints may turn evenly from one posture to another, and where that leads the TCP."""

import numpy as np

from control.arms.arm import Vector
from control.arms.fence import Fence
from datasets.arm.kinematics import Kinematics, pointing_down
from datasets.common.errors import SafetyStop

MAX_TURN_RAD = 0.30
"""Largest total turn of the tool, rad, from where it points at home: the reports' proof stops the arm at 0.35 in tilt
or yaw."""
_POINTS = 50


def turning_way(
    fence: Fence, kinematics: Kinematics, start_rad: Vector, joints_rad: Vector, most_turn_rad: float = MAX_TURN_RAD
) -> Vector:
    """The TCP's way ``(N, 3)`` m while all joints turn evenly from ``start_rad`` to ``joints_rad``, both ``(7,)``.

    Raises:
        SafetyStop: ``joints_rad`` are not seven finite numbers within the joints' limits, or on the way the TCP would
            leave the fence or the tool would turn by more than ``most_turn_rad`` from where it points at home.
    """
    low, high = kinematics.joint_limits.T
    if np.shape(joints_rad) != (7,) or not (np.all(joints_rad >= low) and np.all(joints_rad <= high)):
        raise SafetyStop(
            f"the posture {np.asarray(joints_rad).tolist()} is not seven numbers within the joints' limits"
        )
    poses = [kinematics.tcp_pose(start_rad + part * (joints_rad - start_rad)) for part in np.linspace(0, 1, _POINTS)]
    for pose in poses:
        if not fence.contains(pose[:3, 3]):
            raise SafetyStop(f"the turn would bring the TCP to {pose[:3, 3].round(3).tolist()} m, outside the fence")
        turned = float(np.arccos(np.clip((np.trace(pointing_down().T @ pose[:3, :3]) - 1) / 2, -1, 1)))
        if turned > most_turn_rad:
            raise SafetyStop(f"it would turn the tool by {np.degrees(turned):.0f} deg from where it points at home")
    return np.array([pose[:3, 3] for pose in poses])
