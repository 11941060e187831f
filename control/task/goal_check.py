"""Decides which goals a run accepts, before anything is connected."""

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from datasets.arm.kinematics import Kinematics, ReachError
from datasets.common.errors import ConfigError
from datasets.rig.rig import Rig

REACH_MARGIN_M = 0.02
"""Least distance, m, of a goal from the edge of what the arm reaches: at the edge a controller that overshoots by
millimetres stops with a joint speed error (C24, seen on the emulated controller within 10 mm)."""
_NEAREST_M = 1e-3
_DIRECTIONS = np.array([way for way in itertools.product((-1.0, 0.0, 1.0), repeat=3) if any(way)])
_DIRECTIONS /= np.linalg.norm(_DIRECTIONS, axis=1, keepdims=True)


def check_goals(goals_m: Sequence[Sequence[float]], rig: Rig) -> list[NDArray[np.float64]]:
    """Checks the goals and returns them as ``(3,)`` arrays, m.

    Raises:
        ConfigError: a goal is not made of numbers or lies outside the workspace; the message gives the box.
        ReachError: no joints bring the TCP there with the gripper pointing down, or the edge of reach is too near.
    """
    kinematics = Kinematics(rig.tool.tcp_offset_m)
    checked = []
    for goal in goals_m:
        point = np.asarray(goal, dtype=float)
        if not rig.workspace.contains(point):
            box = rig.workspace
            raise ConfigError(
                f"goal {point.tolist()} m lies outside the workspace x {list(box.x_m)}, y {list(box.y_m)}, "
                f"z {list(box.z_m)} m; choose a point inside, in metres"
            )
        room_m = reach_margin(kinematics, point, rig)
        if room_m < REACH_MARGIN_M:
            raise ReachError(
                f"goal {point.tolist()} m lies {room_m * 1000:.0f} mm from the edge of what the arm reaches with its "
                f"gripper down, {REACH_MARGIN_M * 1000:.0f} mm are asked; choose a point nearer to home"
            )
        checked.append(point)
    return checked


def reach_margin(kinematics: Kinematics, xyz_m: ArrayLike, rig: Rig) -> float:
    """Distance of a reachable point from the nearest unreachable one, m; looks no farther than ``REACH_MARGIN_M``.

    Judged along 26 directions, by bisection to a millimetre. Raises ReachError where the point itself is out of reach.
    """
    point = np.asarray(xyz_m, dtype=float)
    joints = kinematics.solve(point, rig.home_joints_rad)
    near, far = 0.0, REACH_MARGIN_M
    beyond = [way for way in _DIRECTIONS if not kinematics.is_reachable(point + far * way, joints)]
    while beyond and far - near > _NEAREST_M:
        middle = (near + far) / 2
        if nearer := [way for way in beyond if not kinematics.is_reachable(point + middle * way, joints)]:
            beyond, far = nearer, middle
        else:
            near = middle
    return near if beyond else far
