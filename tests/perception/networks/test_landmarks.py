"""A glance that knows the arm: its landmarks are the arm's, and its options leave the default as it was."""

import numpy as np
import pytest
import torch

from datasets.arm.kinematics import Kinematics
from datasets.common.errors import ConfigError
from datasets.rig.landmarks import AXIS_M, ELBOW_TO_WRIST_M, wrist_to_tcp_m
from perception.networks import build_backbone
from perception.training.landmarks import frames, landmarks


def test_landmarks_are_where_the_arms_own_kinematics_have_them() -> None:
    rng, kinematics = np.random.default_rng(0), Kinematics()
    joints = rng.uniform(*kinematics.joint_limits.T, (20, 7))
    poses = np.array([kinematics.tcp_pose(each) for each in joints])
    links = frames(torch.from_numpy(joints)).numpy()
    np.testing.assert_allclose(links[:, 6, :3, 3] + 0.172 * links[:, 6, :3, 2], poses[:, :3, 3], atol=1e-9)
    elbow, wrist, axis = landmarks(torch.from_numpy(joints), torch.from_numpy(poses[:, :3, 3])).numpy().swapaxes(0, 1)
    # The user manual's dimensions: the upper arm with its shoulder's offset, the forearm, the tool's axis.
    shoulder = np.array([0.0, 0.0, 0.267])
    np.testing.assert_allclose(np.linalg.norm(elbow - shoulder, axis=1), np.hypot(0.293, 0.0525), atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(wrist - elbow, axis=1), np.hypot(0.3425, 0.0775), atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(wrist - elbow, axis=1), ELBOW_TO_WRIST_M, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(poses[:, :3, 3] - wrist, axis=1), wrist_to_tcp_m(0.172), atol=1e-9)
    np.testing.assert_allclose(axis, poses[:, :3, 3] - AXIS_M * poses[:, :3, 2], atol=1e-9)


@pytest.mark.parametrize(
    "name", ["voting:16", "voting:16x2+", "voting:16x2+more", "voting:0x2+context", "voting:16x2+mode+mode"]
)
def test_misspelt_sizes_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"WIDTHxBLOCKS\[\+context\]"):
        build_backbone(name, 7, 84, 0.1)
