"""Frames to judge by are read from every place that holds some, and refused in one sentence where they are bad."""

import json

import numpy as np
import pytest

from datasets.common.errors import DataError
from datasets.rig.frame import Frame
from datasets.store.recording import FRAMES, STOPPED, RecordingWriter
from perception.calibration.calibration import Calibration
from perception.calibration.captures import IMAGES
from perception.real.frames import RealFrames


def rewrite(folder, change):
    told = json.loads((folder / IMAGES).read_text())
    change(told)
    (folder / IMAGES).write_text(json.dumps(told))


def test_a_folder_of_images_is_read_with_its_pose(folder, drawn, rig):
    frames = RealFrames.load(folder, rig, 200)
    np.testing.assert_allclose(frames.calibration.pose, drawn[1], atol=1e-7)
    assert (len(frames.captures), frames.postures, frames.is_bare) == (5, True, False)
    assert frames.tcp_offset_m(rig) == rig.tool.tcp_offset_m


def test_the_only_folder_of_frames_inside_is_found(folder, rig):
    assert len(RealFrames.load(folder.parent, rig, 200).captures) == 5


def test_of_many_frames_some_are_taken_evenly(folder, rig):
    frames = RealFrames.load(folder, rig, 3)
    np.testing.assert_array_equal(frames.captures.postures, [0, 2, 4])


def test_a_measured_calibration_goes_before_what_the_folder_tells(folder, drawn, rig):
    measured = Calibration.of_pose(np.eye(4), "here", depth_scale=1.02)
    frames = RealFrames.load(folder, rig, 1, measured)
    np.testing.assert_array_equal(frames.calibration.pose, np.eye(4))
    read = drawn[0].depth[0]
    np.testing.assert_allclose(frames.captures.depth[0], read / 1.02, atol=1e-3)


def test_a_recorded_run_is_read_without_the_step_that_a_stop_came_at(drawn, rig, tmp_path):
    captures, pose = drawn
    with RecordingWriter(str(tmp_path / "run"), FRAMES, rig, {STOPPED: ()}) as writer:
        for index, frame in enumerate(captures.frames):
            joints = np.full(7, np.nan) if index == 0 else captures.joints[index]
            labels = {"joints": joints, "T_base_camera_told": pose, STOPPED: float(index == 4)}
            writer.append(Frame(frame.rgb, frame.depth, frame.timestamp), labels)
    frames = RealFrames.load(tmp_path / "run", rig, 200)
    np.testing.assert_allclose(frames.captures.joints, captures.joints[1:4])
    np.testing.assert_allclose(frames.calibration.pose, pose)
    assert (frames.postures, frames.captures.setting.tool) == (False, "xarm_gripper")


def test_a_bare_flange_is_found_at_the_flange_and_an_unknown_tool_refused(spoilt, rig):
    rewrite(spoilt, lambda told: told.update(tool="none"))
    assert RealFrames.load(spoilt, rig, 1).tcp_offset_m(rig) == 0
    rewrite(spoilt, lambda told: told.update(tool="hook"))
    with pytest.raises(DataError, match=r"'hook', .* give the estimator of that tool"):
        RealFrames.load(spoilt, rig, 1).tcp_offset_m(rig)
    assert not RealFrames.load(spoilt, rig, 1).shows_gripper
    rewrite(spoilt, lambda told: told.update(tool="xarm_gripper"))
    assert RealFrames.load(spoilt, rig, 1).shows_gripper


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


SPOILS = {
    "a missing picture": (lambda f: (f / "colour_1.png").unlink(), "colour_1.png: no such image"),
    "a missing depth": (lambda f: (f / "depth_4.png").unlink(), "depth_4.png: no such image"),
    "a missing mask": (lambda f: (f / "mask_2.png").unlink(), "4 of 5 frames have a mask"),
    "a cut picture": (lambda f: cut(f / "colour_0.png"), "colour_0.png: a damaged image"),
    "a cut depth": (lambda f: cut(f / "depth_0.png"), "depth_0.png: a damaged image"),
    "a cut description": (lambda f: cut(f / IMAGES), "does not describe frames"),
    "six joints": (lambda f: rewrite(f, lambda t: t["frames"][2].update(joints_rad=[0.0] * 6)), "joints_rad"),
    "no joints": (lambda f: rewrite(f, lambda t: t["frames"][2].pop("joints_rad")), "joints_rad"),
    "joints that are no numbers": (
        lambda f: rewrite(f, lambda t: t["frames"][0]["joints_rad"].__setitem__(3, float("nan"))),
        "no numbers",
    ),
    "degrees": (lambda f: rewrite(f, lambda t: t["frames"][0].update(joints_rad=[90.0] * 7)), "radians, not degrees"),
    "no frames": (lambda f: rewrite(f, lambda t: t.update(frames=[])), "hold no frame"),
    "no intrinsics": (lambda f: rewrite(f, lambda t: t.pop("intrinsics")), "needs intrinsics"),
    "a pose of three rows": (
        lambda f: rewrite(f, lambda t: t.update(T_base_camera=np.eye(4)[:3].tolist())),
        "T_base_camera is no pose",
    ),
    "a pose that mirrors": (
        lambda f: rewrite(f, lambda t: t.update(T_base_camera=np.diag([1.0, 1, -1, 1]).tolist())),
        "T_base_camera is no pose",
    ),
    "a pose in words": (lambda f: rewrite(f, lambda t: t.update(T_base_camera="front")), "T_base_camera is no pose"),
    "an empty folder": (lambda f: [each.unlink() for each in f.iterdir()], "holds no frames"),
}


@pytest.mark.parametrize("spoil", SPOILS)
def test_bad_folders_are_refused_in_one_sentence(spoilt, rig, spoil):
    damage, words = SPOILS[spoil]
    damage(spoilt)
    with pytest.raises(DataError, match=words) as refused:
        RealFrames.load(spoilt, rig, 200)
    assert str(spoilt) in str(refused.value) or "captures" in str(refused.value)


def test_a_folder_that_is_not_there_or_ambiguous_is_refused(folder, spoilt, rig, tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        RealFrames.load(tmp_path / "nowhere", rig, 200)
    (tmp_path / "second").symlink_to(folder)
    with pytest.raises(DataError, match=r"several folders of frames \(second, spoilt\)"):
        RealFrames.load(tmp_path, rig, 200)
