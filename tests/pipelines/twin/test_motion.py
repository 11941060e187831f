"""How the emulated joints move: together, within their speed, and where they were at any past moment."""

import numpy as np

from datasets.rig.rig import Rig
from pipelines.twin.controller.motion import JointTarget, LineTarget, Motion


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
