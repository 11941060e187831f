"""The joint band holds every way from home to a goal, and little else."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.arms.fence import Fence
from control.arms.joint_band import BAND_MARGIN_RAD, JointBand, needed_band
from control.clearance.arm_clearance import ArmClearance
from datasets.arm.kinematics import Kinematics
from datasets.common.errors import SafetyStop
from datasets.rig.rig import Rig


@pytest.fixture(scope="module")
def band(rig: Rig) -> JointBand:
    return needed_band(rig, Fence.from_rig(rig))


def test_the_ways_of_the_clearance_check_to_random_goals_lie_in_the_band(rig: Rig, band: JointBand) -> None:
    clearance, rng, done = ArmClearance(rig), np.random.default_rng(3), 0
    for goal in rng.uniform(rig.workspace.low, rig.workspace.high, (60, 3)):
        try:
            way = clearance.way(rig.home_joints_rad, goal)
        except SafetyStop:  # out of reach, as a third of the box is
            continue
        done += 1
        assert [band.widened(BAND_MARGIN_RAD / 3).outside(joints) for joints in way.joints_rad] == [None] * len(
            way.joints_rad
        )
    assert done > 30


def test_another_inverse_kinematics_needs_the_same_band(rig: Rig, band: JointBand) -> None:
    kinematics, rng, found = Kinematics(), np.random.default_rng(4), [np.asarray(rig.home_joints_rad)]
    start = kinematics.tcp(rig.home_joints_rad)
    low, high = np.asarray(rig.workspace.low), np.asarray(rig.workspace.high)
    for goal in np.clip(rng.uniform(low - 0.2, high + 0.2, (150, 3)), low, high):  # corners and faces need most
        joints = np.asarray(rig.home_joints_rad)
        for point in np.linspace(start, goal, 15)[1:]:
            joints = kinematics.step(joints, point, iterations=3)  # as the twin's controller does
            if np.linalg.norm(kinematics.tcp(joints) - point) > 1e-3:
                break
            found.append(joints)
    np.testing.assert_allclose(np.min(found, axis=0), band.low_rad, atol=0.1)
    np.testing.assert_allclose(np.max(found, axis=0), band.high_rad, atol=0.1)
    for joint in (0, 2, 4, 6):
        assert band.low_rad[joint] == pytest.approx(-band.high_rad[joint], abs=0.02)


def test_a_smaller_fence_needs_no_more_than_a_larger_one(rig: Rig, band: JointBand) -> None:
    fence = Fence.from_rig(rig)
    smaller = dataclasses.replace(fence, low_m=fence.low_m + 0.05, high_m=fence.high_m - 0.05)
    part = needed_band(rig, smaller)
    assert np.all(part.low_rad >= band.low_rad - 0.03)
    assert np.all(part.high_rad <= band.high_rad + 0.03)
    assert np.sum(part.high_rad - part.low_rad) < np.sum(band.high_rad - band.low_rad)


def test_a_flipped_elbow_and_a_turned_wrist_lie_outside_by_name(rig: Rig, band: JointBand) -> None:
    home = np.asarray(rig.home_joints_rad)
    wide = band.widened(BAND_MARGIN_RAD)
    assert wide.outside(home) is None
    for joint, angle in ((2, 1.6), (4, np.pi), (6, -np.pi), (1, np.nan)):
        turned = home.copy()
        turned[joint] = angle
        assert (wide.outside(turned) or "").startswith(
            f"joint{joint + 1} {np.degrees(angle):.1f} deg (not in {np.degrees(wide.low_rad[joint]):.1f}.."
        )


def test_a_band_of_postures_holds_them_and_the_join_of_two_holds_both(rig: Rig, band: JointBand) -> None:
    rng, home = np.random.default_rng(5), np.asarray(rig.home_joints_rad)
    postures = home + rng.normal(0, 1, (20, 7))
    own = JointBand.of(postures)
    joined = own.joined(band)
    assert all(own.outside(joints) is None and joined.outside(joints) is None for joints in postures)
    np.testing.assert_array_equal(joined.low_rad, np.minimum(own.low_rad, band.low_rad))
    np.testing.assert_array_equal(joined.high_rad, np.maximum(own.high_rad, band.high_rad))
    assert JointBand.of(home).outside(home) is None
    assert JointBand.of(home).outside(home + 1e-6) is not None


@given(st.floats(0, 10))
def test_a_widened_band_keeps_to_the_arms_own_limits(band: JointBand, rad: float) -> None:
    low, high = Kinematics().joint_limits.T
    wide = band.widened(rad)
    np.testing.assert_array_equal(wide.low_rad, np.maximum(band.low_rad - rad, low))
    np.testing.assert_array_equal(wide.high_rad, np.minimum(band.high_rad + rad, high))


@pytest.mark.parametrize(
    ("low", "high"),
    [([0.0] * 6, [1.0] * 6), ([0.0] * 7, [-1.0] + [1.0] * 6), ([np.nan] * 7, [1.0] * 7)],
)
def test_a_band_that_is_none_is_refused(low: list[float], high: list[float]) -> None:
    with pytest.raises(SafetyStop, match="seven lower and upper angles"):
        JointBand(np.array(low), np.array(high))


def test_postures_of_another_arm_make_no_band() -> None:
    for joints in (np.zeros(6), np.full((3, 7), np.nan)):
        with pytest.raises(SafetyStop, match="seven lower and upper angles"):
            JointBand.of(joints)
