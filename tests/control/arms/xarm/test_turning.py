"""All joints turn evenly only where the TCP stays inside, the tool upright and the joints in their limits."""

import numpy as np
import pytest

from control.arms.fence import Fence
from control.arms.params import ArmParams
from control.arms.xarm.turning import turning_way
from datasets.arm.kinematics import Kinematics
from datasets.common.errors import SafetyStop


@pytest.fixture(scope="module")
def fence(rig):
    return Fence.from_rig(rig, ArmParams.load())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ([1.2, 0, 0, 0, 0, 0, 1.2], "outside the fence"),
        ([0, 0, 0, 0, 0, 0, 0.5], "turn the tool"),
        ([0, 0, 0, 9.0, 0, 0, 0], "joints' limits"),
        ([np.nan] * 7, "not seven numbers"),
    ],
)
def test_a_turn_that_leaves_its_bounds_is_refused(rig, fence, change, words):
    home = np.array(rig.home_joints_rad)
    with pytest.raises(SafetyStop, match=words):
        turning_way(fence, Kinematics(), home, home + change)


def test_the_way_is_the_tcp_s(rig, fence):
    home, kinematics = np.array(rig.home_joints_rad), Kinematics()
    end = home + np.array([0.1, 0, 0, 0, 0, 0, 0.1])
    way = turning_way(fence, kinematics, home, end)
    np.testing.assert_allclose(way[[0, -1]], [kinematics.tcp(home), kinematics.tcp(end)])
