"""Every report of the arm is judged, and the first that is not an honest arm's is remembered."""

import math
import re
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from control.arms.fence import Fence
from control.arms.joint_band import BAND_MARGIN_RAD, JointBand, needed_band
from control.arms.xarm.report_proof import ReportProof, tilt, yaw
from datasets.arm.kinematics import Kinematics
from datasets.rig.rig import Rig


def stepping(xyz: np.ndarray, joints: np.ndarray) -> tuple[list[float], list[float]]:
    return [*(xyz * 1000).tolist(), np.pi, 0.0, 0.0], joints.tolist()


@pytest.fixture
def proof() -> ReportProof:
    return ReportProof(0.172, 0.25, 0.3)


@pytest.fixture
def home(rig: Rig) -> tuple[np.ndarray, np.ndarray]:
    joints = np.asarray(rig.home_joints_rad)
    return np.asarray(Kinematics().tcp(joints)), joints


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("index", range(13))
def test_one_number_that_is_none_is_enough(proof: ReportProof, home, number: float, index: int) -> None:  # type: ignore[no-untyped-def]
    pose, joints = stepping(*home)
    raw = [*pose, *joints]
    raw[index] = number
    told = SimpleNamespace(actual_tcp_pose=raw[:6], actual_joint_angle=raw[6:])
    proof.look(0.0, pose, joints, told)
    assert proof.fault is not None
    assert "not a number" in proof.fault


@pytest.mark.parametrize("offset_m", [0.0, 0.009, 0.016, 0.1])
def test_the_tolerance_is_that_of_connecting_and_what_lag_explains(proof: ReportProof, home, offset_m: float) -> None:  # type: ignore[no-untyped-def]
    xyz, joints = home
    proof.look(0.0, *stepping(xyz + np.array([0, 0, offset_m]), joints), None)
    assert (proof.fault is not None) == (offset_m > 0.015)


@pytest.mark.parametrize(("roll", "pitch", "yaw"), [(0.4, 0, 0), (0, 0.4, 0), (0, 0, 0.4), (0.3, 0.3, 0), (0, 0, -0.4)])
def test_a_tool_that_leans_or_turns_too_far_is_a_fault(proof: ReportProof, home, roll, pitch, yaw) -> None:  # type: ignore[no-untyped-def]
    pose, joints = stepping(*home)
    proof.look(0.0, [*pose[:3], np.pi - roll, pitch, yaw], joints, None)
    assert proof.fault is not None
    assert "deg" in proof.fault


def test_another_branch_is_a_fault_though_its_tool_stands_as_it_should(proof: ReportProof, home, rig: Rig) -> None:  # type: ignore[no-untyped-def]
    """Shoulder turned round, upper arm leant back: the very same pose of everything from the elbow on."""
    xyz, joints = home
    flipped = joints * [1, -1, 1, 1, 1, 1, 1] + [np.pi, 0, -np.pi, 0, 0, 0, 0]
    np.testing.assert_allclose(Kinematics().tcp_pose(flipped), Kinematics().tcp_pose(joints), atol=1e-9)
    proof.look(0.0, *stepping(xyz, flipped), None)
    assert proof.fault is None
    proof.band = needed_band(rig, Fence.from_rig(rig)).widened(BAND_MARGIN_RAD)
    proof.look(0.01, *stepping(xyz, joints), None)
    assert proof.fault is None
    proof.look(0.02, *stepping(xyz, flipped), None)
    assert re.search(
        r"joint band of its motion: joint1 180\.0 deg \(not in .*, joint3 -180\.0 deg \(not in", str(proof.fault)
    )


@pytest.mark.parametrize("joint", range(7))
@pytest.mark.parametrize("side", [-1, 1])
def test_every_joint_is_held_on_both_sides(proof: ReportProof, home, joint: int, side: int) -> None:  # type: ignore[no-untyped-def]
    _, joints = home
    turn = np.eye(7)[joint] * side * 0.01
    for part, stops in ((0.9, False), (1.1, True)):
        proof.band = JointBand(joints - 0.01, joints + 0.01)
        turned = joints + part * turn
        proof.look(0.0, *stepping(np.asarray(Kinematics().tcp(turned)), turned), None)
        assert (f"joint{joint + 1} " in str(proof.fault)) == stops


@pytest.mark.parametrize("away_m", [0.0, 0.004, 0.03])
@pytest.mark.parametrize("changes", [False, True])
def test_a_pose_that_repeats_is_stale_only_where_the_arm_should_move(proof, home, away_m, changes) -> None:  # type: ignore[no-untyped-def]
    xyz, joints = home
    proof.target = xyz + np.array([away_m, 0, 0])
    for report in range(100):
        jitter = 1e-6 * (report % 2) * changes
        proof.look(report * 0.01, *stepping(xyz + np.array([0, 0, jitter]), joints), None)
    assert (proof.fault is not None) == (away_m > 0.005 and not changes)


def test_a_pose_that_repeats_once_the_arm_was_seen_to_stop_is_no_fault(proof: ReportProof, home) -> None:  # type: ignore[no-untyped-def]
    pose, angles = stepping(*home)
    proof.target = home[0] + [0.0, 0.03, 0.0]
    proof.stood()
    for tick in range(300):
        proof.look(0.01 * tick, pose, angles, None)
    assert proof.fault is None
    assert not proof.is_blind


def test_old_reports_read_at_once_are_not_stale(proof, home) -> None:  # type: ignore[no-untyped-def]
    xyz, joints = home
    proof.target = xyz + np.array([0.05, 0, 0])
    for report in range(60):  # half a second of them, after this process was held up
        proof.look(1e-4 * report, *stepping(xyz, joints), None)
    assert proof.fault is None


def test_a_report_that_cannot_be_judged_is_a_fault(proof: ReportProof, home) -> None:  # type: ignore[no-untyped-def]
    pose, joints = stepping(*home)
    proof.look(0.0, pose, joints[:5], None)
    assert proof.fault is not None
    assert "could not be judged" in proof.fault


def test_a_stale_pose_and_one_that_is_no_number_prove_no_rest(proof: ReportProof, home) -> None:  # type: ignore[no-untyped-def]
    xyz, joints = home
    proof.look(0.0, *stepping(xyz + 0.1, joints), None)
    assert proof.fault is not None
    assert not proof.is_blind, "these are the arm's own poses"
    nowhere, stale = (ReportProof(0.172, 0.25, 0.3) for _ in range(2))
    nowhere.look(0.0, *stepping(xyz * np.nan, joints), None)
    stale.target = xyz + np.array([0.05, 0, 0])
    for report in range(100):
        stale.look(report * 0.01, *stepping(xyz, joints), None)
    assert nowhere.is_blind
    assert stale.is_blind


def test_the_first_fault_stays_whatever_is_reported_later(proof: ReportProof, home) -> None:  # type: ignore[no-untyped-def]
    xyz, joints = home
    proof.look(0.0, *stepping(xyz + 0.1, joints), None)
    first = proof.fault
    proof.look(0.01, *stepping(xyz * np.nan, joints), None)
    proof.look(0.02, *stepping(xyz, joints), None)
    assert proof.fault == first
    assert not proof.is_blind


@pytest.mark.parametrize("away_rad", [0.0, 0.01, 0.05])
def test_where_joints_are_the_target_they_say_whether_the_arm_should_move(proof: ReportProof, home, away_rad) -> None:  # type: ignore[no-untyped-def]
    xyz, joints = home
    proof.target, proof.target_joints = xyz + 0.3, joints + away_rad * np.eye(7)[6]
    for report in range(100):
        proof.look(report * 0.01, *stepping(xyz, joints), None)
    assert (proof.fault is not None) == (away_rad > 0.02)


@given(roll=st.floats(-np.pi, np.pi), pitch=st.floats(-1.5, 1.5), turn=st.floats(-np.pi, np.pi))
def test_tilt_and_yaw_are_angles_of_the_tool_s_axes(roll: float, pitch: float, turn: float) -> None:
    axes = Rotation.from_euler("ZYX", [turn, pitch, roll]).as_matrix()
    assert math.cos(tilt((roll, pitch, turn))) == pytest.approx(-axes[2, 2], abs=1e-9)
    assert yaw((roll, pitch, turn)) == pytest.approx(abs(turn))
    assert yaw((roll, pitch, turn + 2 * np.pi)) == pytest.approx(abs(turn), abs=1e-9)
