"""How the emulated joints move: together, within their speed, and where they were at any past moment."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.rig.rig import Rig
from pipelines.twin.controller.motion import (
    JOINT_ACCELERATION_LIMIT_RAD_S2,
    STOP_ACCELERATION_M_S2,
    TICK_S,
    JointTarget,
    LineTarget,
    Motion,
)


def test_where_it_was_can_be_asked_for_at_any_rate_of_looking(rig: Rig) -> None:
    start = np.array(rig.home_joints_rad)
    often, seldom = Motion(start, 0.0), Motion(start, 0.0)
    for motion in (often, seldom):
        motion.target = LineTarget(np.array([0.45, 0.1, 0.3]), motion.rotation, 0.25, 2.0)
    for tick in range(1, 101):
        often.advance(tick * 0.01)
    seldom.advance(1.0)
    for time_s in np.linspace(0, 1, 23):
        np.testing.assert_allclose(often.joints_at(time_s), seldom.joints_at(time_s), atol=2e-3)
    assert np.linalg.norm(seldom.joints_at(0.3) - seldom.joints_at(0.6)) > 0.05


def test_joints_arrive_together_and_within_their_speed(rig: Rig) -> None:
    motion = Motion(np.array(rig.home_joints_rad), 0.0)
    goal = np.array(rig.home_joints_rad) + 0.2
    motion.target = JointTarget(goal, 0.5, 2.0)
    steps = []
    for tick in range(1, 301):
        motion.advance(tick * 0.01)
        steps.append(motion.joints)
    speeds = np.abs(np.diff(steps, axis=0)) / 0.01
    assert speeds.max() <= 0.5 + 1e-6
    np.testing.assert_allclose(motion.joints, goal, atol=1e-5)
    assert not motion.is_moving


def stop_in_mid_turn(rig: Rig, way_rad: np.ndarray, speed_rad_s: float) -> tuple[Motion, float, np.ndarray]:
    """Stops joints that turn by ``way_rad``; the motion, the TCP's speed at the stop, and joints ``(n, 7)`` since."""
    start = np.array(rig.home_joints_rad)
    motion = Motion(start, 0.0)
    motion.target = JointTarget(start + way_rad, speed_rad_s, 20.0)
    motion.advance(0.2)
    speed_m_s = motion.speed_m_s
    motion.stop()
    path = [motion.joints]
    for tick in range(1, 101):
        motion.advance(0.2 + tick * TICK_S)
        path.append(motion.joints)
    return motion, speed_m_s, np.array(path)


@given(
    way=st.lists(st.floats(-1, 1), min_size=7, max_size=7).filter(lambda way: max(map(abs, way)) > 0.5),
    speed_rad_s=st.floats(0.1, 1.0),
)
def test_a_stop_in_a_move_of_the_joints_brakes_them_along_their_way(rig, way, speed_rad_s) -> None:
    motion, speed_m_s, path = stop_in_mid_turn(rig, np.array(way), speed_rad_s)
    fastest = np.max(np.abs(way))
    shares = (path - path[0]) @ way / np.dot(way, way)
    np.testing.assert_allclose(path - path[0], np.outer(shares, way), atol=1e-9)
    assert np.all(np.diff(shares) >= 0)
    assert not motion.is_moving
    braking = -np.diff(np.diff(shares * fastest, prepend=shares[0] * fastest - speed_rad_s * TICK_S)) / TICK_S**2
    assert braking.max() <= JOINT_ACCELERATION_LIMIT_RAD_S2 * 1.001
    least_s = max(speed_m_s / STOP_ACCELERATION_M_S2, speed_rad_s / JOINT_ACCELERATION_LIMIT_RAD_S2)
    turning_s = np.count_nonzero(np.diff(shares)) * TICK_S
    assert least_s * 0.8 - 2 * TICK_S <= turning_s <= least_s * 1.25 + 2 * TICK_S


@pytest.mark.parametrize("speed_m_s", [0.1, 0.25, 0.4])
def test_a_stop_takes_as_far_by_joints_as_in_a_straight_line(rig: Rig, speed_m_s: float) -> None:
    reach_m = Motion(np.array(rig.home_joints_rad), 0.0).xyz_m[0]
    motion, before_m_s, path = stop_in_mid_turn(rig, np.array([1.0, *[0.0] * 6]), speed_m_s / reach_m)
    assert before_m_s == pytest.approx(speed_m_s, rel=0.01)
    further_m = (path[-1] - path[0])[0] * reach_m
    assert further_m == pytest.approx(speed_m_s**2 / (2 * STOP_ACCELERATION_M_S2), abs=speed_m_s * TICK_S)
    assert motion.speed_m_s == 0


def test_a_target_that_comes_while_the_joints_brake_goes_on_from_their_speed(rig: Rig) -> None:
    start = np.array(rig.home_joints_rad)
    motion = Motion(start, 0.0)
    motion.target = JointTarget(start + np.array([1.0, *[0.0] * 6]), 0.5, 20.0)
    motion.advance(0.2)
    motion.stop()
    motion.advance(0.21)
    braked_m_s = motion.speed_m_s
    motion.target = LineTarget(np.array([0.35, 0.1, 0.3]), motion.rotation, 0.25, 2.0)
    motion.advance(0.214)
    assert motion.speed_m_s == pytest.approx(braked_m_s, abs=2.0 * TICK_S + 1e-6)
    motion.advance(3.0)
    np.testing.assert_allclose(motion.xyz_m, [0.35, 0.1, 0.3], atol=1e-4)
