"""What a hidden twin is in truth: drawn by a seed within the envelope, and read again from its file."""

import json
from dataclasses import replace

import numpy as np
import pytest

from datasets.common.errors import DataError
from datasets.rig.projection import invert, project, transform
from pipelines.twin.hidden.truth import FOCAL_PX, JOINTS_RAD, SCALE, WARP_M, Truth


def test_every_truth_lies_within_the_envelope(rig):
    centre = (rig.workspace.low + rig.workspace.high) / 2
    drawn = [Truth.draw(seed, rig, joint_offsets=True) for seed in range(60)]
    for truth in drawn:
        pose = truth.pose
        away = pose[:3, 3] - centre
        distance = np.linalg.norm(away)
        assert 0.6 <= distance <= 1.8
        assert abs(np.degrees(np.arctan2(away[1], away[0]))) <= 80
        assert -20 <= np.degrees(np.arcsin(away[2] / distance)) <= 60
        np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-9)
        level = np.cross(pose[:3, 2], [0, 0, 1])
        roll = np.degrees(np.arccos(pose[:3, 0] @ level / np.linalg.norm(level)))
        assert roll <= 10.001
        assert FOCAL_PX[0] <= truth.camera.fx <= FOCAL_PX[1]
        pixel = project(transform(invert(pose), centre), truth.camera)
        assert np.all((pixel > 0) & (pixel < [640, 480]))
        assert abs(truth.depth_scale - 1) <= SCALE
        assert np.abs(truth.joint_offsets).max() <= JOINTS_RAD
    assert np.std([truth.pose[1, 3] for truth in drawn]) > 0.4
    assert np.std([truth.camera.fx for truth in drawn]) > 80


def test_joint_offsets_change_nothing_else(rig):
    without, with_ = Truth.draw(5, rig), Truth.draw(5, rig, joint_offsets=True)
    assert not any(without.joint_offsets)
    assert all(with_.joint_offsets)
    assert replace(with_, joint_offsets=without.joint_offsets) == without


def test_a_camera_may_report_a_wrong_focal_length(rig):
    truth = Truth.draw(5, rig, intrinsics_error=0.02)
    assert 0 < abs(truth.told_camera.fx / truth.camera.fx - 1) <= 0.02
    assert Truth.draw(5, rig).told == Truth.draw(5, rig).intrinsics


def test_depth_is_read_scaled_and_warped_by_no_more_than_said(rig):
    for seed in range(10):
        truth = Truth.draw(seed, rig)
        read = truth.as_read(np.ones((48, 64), np.float32))
        warp = read - truth.depth_scale
        assert 0 < np.abs(warp).max() <= WARP_M + 1e-6
        assert np.abs(np.diff(warp, axis=0)).max() < WARP_M / 4
        assert not truth.as_read(np.zeros((4, 4), np.float32)).any()


def test_the_truth_s_file_is_read_again(rig, tmp_path):
    truth = Truth.draw(2, rig, joint_offsets=True)
    truth.save(tmp_path / "truth.json")
    assert Truth.load(tmp_path / "truth.json") == truth
    (tmp_path / "bad.json").write_text(json.dumps({"seed": 1}))
    for name in ("bad.json", "none.json"):
        with pytest.raises(DataError, match="no truth of a hidden twin"):
            Truth.load(tmp_path / name)
