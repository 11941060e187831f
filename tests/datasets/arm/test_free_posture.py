"""Random postures are free of the arm itself, its tool and the table."""

import numpy as np
import pytest

from control.clearance.distance import ArmDistance
from datasets.arm.free_posture import FreePostures
from datasets.arm.kinematics import Kinematics
from datasets.arm.tools import ToolParams
from datasets.rig.rig import Tool, Workspace

ANYWHERE = Workspace((-0.1, 0.7), (-0.5, 0.5), (0.03, 0.85))


@pytest.mark.parametrize("name", ["flange", "xarm_gripper"])
def test_any_posture_is_free_of_the_arm_and_the_table(name: str) -> None:
    tool = ToolParams.load(name)
    free, rng = FreePostures(Tool(name, tool.tcp_m)), np.random.default_rng(1)
    judge, kinematics = ArmDistance([], 0.0, mounted=tool), Kinematics(tool.tcp_m)
    axes = []
    for _ in range(60):
        joints, tcp = free.sample(rng, ANYWHERE)
        assert ANYWHERE.contains(tcp)
        np.testing.assert_allclose(tcp, kinematics.tcp(joints))
        # Of its own shapes; those of the judge are thicker by up to their inflation.
        assert judge.nearest(joints).distance_m > -0.005
        axes.append(kinematics.tcp_pose(joints)[:3, 2])
    assert np.abs(np.mean(axes, axis=0)).max() < 0.4  # it points everywhere


def test_postures_in_the_arm_itself_or_the_table_are_not_free() -> None:
    free, rng = FreePostures(Tool("flange", 0.0)), np.random.default_rng(2)
    judge = ArmDistance([], 0.0, mounted=ToolParams.load("flange"))
    low, high = Kinematics().joint_limits.T
    every = [rng.uniform(np.maximum(low, -np.pi), np.minimum(high, np.pi)) for _ in range(200)]
    bad = [joints for joints in every if judge.nearest(joints).distance_m < -0.02]
    assert len(bad) > 20
    assert not any(free.holds(joints) for joints in bad)
