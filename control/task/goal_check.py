"""Which goals a run accepts, decided before anything is connected."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from datasets.arm.kinematics import Kinematics
from datasets.common.errors import ConfigError
from datasets.rig.rig import Rig


def check_goals(goals_m: Sequence[Sequence[float]], rig: Rig) -> list[NDArray[np.float64]]:
    """The goals as ``(3,)`` arrays, m.

    Raises:
        ConfigError: a goal is no number or lies outside the workspace; the message gives the box.
        ReachError: no joints bring the TCP there with the gripper pointing down.
    """
    kinematics = Kinematics()
    checked = []
    for goal in goals_m:
        point = np.asarray(goal, dtype=float)
        if not rig.workspace.contains(point):
            box = rig.workspace
            raise ConfigError(
                f"goal {point.tolist()} m lies outside the workspace x {list(box.x_m)}, y {list(box.y_m)}, "
                f"z {list(box.z_m)} m; choose a point inside, in metres"
            )
        kinematics.solve(point, rig.home_joints_rad)
        checked.append(point)
    return checked
