"""Goals are accepted where the arm reaches them with room to spare."""

import argparse

import numpy as np
import pytest

from control.arms.params import ArmParams
from control.task.goal_check import REACH_MARGIN_M, check_goals, reach_margin
from datasets.arm.kinematics import Kinematics, ReachError
from pipelines.run_real import choose_goals, parser
from pipelines.setup.devices import DeviceNames
from pipelines.setup.setup import make_fence


def test_a_goal_that_cannot_be_reached_pointing_down_is_told_so(rig):
    roomy = argparse.Namespace(workspace=BiggerBox(), home_joints_rad=rig.home_joints_rad, tool=rig.tool)
    with pytest.raises(ReachError, match="not reachable with the gripper pointing down"):
        check_goals([(0.75, 0.0, 0.5)], roomy)


def test_a_goal_at_the_edge_of_reach_is_refused_with_the_distance(rig):
    kinematics, edge = Kinematics(), np.array([0.565, -0.187, 0.368])
    with pytest.raises(ReachError, match=r"lies 1[12] mm from the edge .* 20 mm are asked"):
        check_goals([edge], rig)
    assert 0 <= reach_margin(kinematics, edge, rig) < REACH_MARGIN_M
    assert reach_margin(kinematics, kinematics.tcp(rig.home_joints_rad), rig) == REACH_MARGIN_M
    far = parser().parse_args(["--random", "10", "--radius", "1"])
    drawn = choose_goals(far, DeviceNames(), rig, make_fence(rig, ArmParams.load()))
    assert len(check_goals(drawn, rig)) == 10


class BiggerBox:
    def contains(self, point):
        return True
