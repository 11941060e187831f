"""The postures of a capture: inside the fence on all of the way, spread out, and the same for the same seed."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from control.arms.fence import Fence
from control.arms.params import ArmParams
from control.arms.xarm.report_proof import MAX_TURN_RAD as PROOF_TURN_RAD
from control.arms.xarm.turning import MAX_TURN_RAD, turning_way
from control.clearance.arm_clearance import ArmClearance
from control.clearance.params import Obstacle
from datasets.arm.kinematics import Kinematics
from datasets.common.errors import ConfigError
from pipelines.capture.postures import LinkPlaces, choose_postures


@pytest.fixture(scope="module")
def fence(rig):
    return Fence.from_rig(rig, ArmParams.load())


POST = Obstacle("post", (0.30, 0.22, 0.0), (0.40, 0.32, 1.0))
"""Where the elbow swings, and the TCP goes, when nothing stands there."""


def least_distance_m(clearance, rig, plan):
    """The least distance on the round trip, at joints that the choice did not look at."""
    home = np.array(rig.home_joints_rad)
    ways = [start + np.linspace(0, 1, 13)[:, None] * (end - start) for start, end in pairwise([home, *plan, home])]
    return min(clearance.nearest(joints).distance_m for joints in np.concatenate(ways))


@pytest.fixture(scope="module")
def plan(rig, fence):
    return choose_postures(rig, fence, ArmClearance(rig), 12, 1)


def test_the_whole_round_trip_stays_inside_and_upright(rig, fence, plan):
    kinematics, home = Kinematics(), np.array(rig.home_joints_rad)
    for start, end in pairwise([home, *plan, home]):
        turning_way(fence, kinematics, start, end)
        for part in np.linspace(0, 1, 23):  # not the points that the choice looked at
            assert fence.contains(kinematics.tcp(start + part * (end - start)))
    assert MAX_TURN_RAD < PROOF_TURN_RAD


def test_the_whole_arm_keeps_clear_of_the_site_s_boxes(rig, fence, plan):
    clearance = ArmClearance(rig, [POST])
    assert least_distance_m(clearance, rig, plan) < 0.02, "it would not be in the way"
    around = choose_postures(rig, fence, ArmClearance(rig, [POST]), 8, 1)
    assert least_distance_m(clearance, rig, around) >= clearance.params.margin_m


def test_postures_are_spread_and_the_elbow_swings(rig, fence, plan):
    places = LinkPlaces()
    elbows = np.array([places(joints)[1] for joints in plan])
    tcps = np.array([Kinematics().tcp(joints) for joints in plan])
    assert np.all(np.ptp(tcps, axis=0) > 0.6 * (fence.high_m - fence.low_m))
    assert np.ptp(elbows[:, 1]) > 0.15
    apart = np.linalg.norm(plan[:, None] - plan[None], axis=-1)[~np.eye(12, dtype=bool)]
    assert apart.min() > 0.2


def test_a_seed_gives_the_same_postures(rig, fence, plan):
    np.testing.assert_array_equal(choose_postures(rig, fence, ArmClearance(rig), 12, 1), plan)
    assert not np.allclose(choose_postures(rig, fence, ArmClearance(rig), 12, 2), plan)


def test_a_site_without_room_for_postures_is_refused(rig, fence):
    narrow = replace(fence, low_m=fence.high_m - 0.03)
    with pytest.raises(ConfigError, match="make keep_within larger"):
        choose_postures(rig, narrow, ArmClearance(rig), 5, 0)
