"""Inverse kinematics: what it promises to reach it reaches, inside the joint limits."""

import numpy as np
import pytest

from datasets.arm.kinematics import Kinematics, ReachError, pointing_down


@pytest.fixture(scope="module")
def kinematics() -> Kinematics:
    return Kinematics()


def test_solved_joints_bring_the_tcp_to_the_point_pointing_down(kinematics, rig):
    rng = np.random.default_rng(0)
    reached = 0
    for point in rng.uniform(rig.workspace.low, rig.workspace.high, (100, 3)):
        try:
            joints = kinematics.solve(point, rig.home_joints_rad)
        except ReachError:
            continue
        reached += 1
        pose = kinematics.tcp_pose(joints)
        assert np.linalg.norm(pose[:3, 3] - point) < 1e-3
        assert pose[:3, 2] @ [0, 0, -1] > np.cos(0.03)
        assert (joints >= kinematics.joint_limits[:, 0] - 1e-6).all()
        assert (joints <= kinematics.joint_limits[:, 1] + 1e-6).all()
    assert reached > 85


def test_the_quick_approach_ends_where_the_exact_one_does(kinematics, rig):
    rng = np.random.default_rng(1)
    low, high = kinematics.joint_limits.T
    misses = []
    for point in rng.uniform([0.3, -0.2, 0.15], [0.5, 0.2, 0.4], (100, 3)):
        joints = kinematics.approach(np.array(rig.home_joints_rad), point, pointing_down(), iterations=8)
        assert (joints >= low).all()
        assert (joints <= high).all()
        pose = kinematics.tcp_pose(joints)
        assert pose[:3, 2] @ [0, 0, -1] > np.cos(0.03)
        misses.append(np.linalg.norm(pose[:3, 3] - point))
    assert np.median(misses) < 1e-4
    assert max(misses) < 2e-3


def test_the_quick_approach_stays_in_the_limits_wherever_it_is_sent(kinematics):
    rng = np.random.default_rng(2)
    low, high = kinematics.joint_limits.T
    for _ in range(200):
        joints = kinematics.approach(rng.uniform(-7, 7, 7), rng.uniform(-2, 2, 3), pointing_down(rng.uniform(-3, 3)))
        assert np.isfinite(joints).all()
        assert (joints >= low).all()
        assert (joints <= high).all()


def test_a_point_out_of_reach_is_refused_with_a_sentence(kinematics, rig):
    with pytest.raises(ReachError, match="not reachable with the gripper pointing down"):
        kinematics.solve([0.9, 0, 0.2], rig.home_joints_rad)
    assert not kinematics.is_reachable([0.9, 0, 0.2], rig.home_joints_rad)


@pytest.mark.parametrize("yaw", [-3.0, 0.0, 1.2])
def test_pointing_down_is_a_rotation_about_the_vertical(yaw):
    rotation = pointing_down(yaw)
    assert np.allclose(rotation @ rotation.T, np.eye(3))
    assert np.isclose(np.linalg.det(rotation), 1)
    assert np.allclose(rotation[:, 2], [0, 0, -1])
