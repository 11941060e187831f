"""Captures: what is written is read again, whole or cut short, and what does not fit is refused in one sentence."""

import json
import os
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from datasets.common.errors import DataError
from datasets.rig.frame import Frame
from datasets.rig.projection import Intrinsics
from datasets.store.recording import SEGMENT_S, RecordingWriter
from perception.calibration.captures import POSTURE, Captures, Setting, session

SMALL = Intrinsics(16, 12, 20.0, 20.0, 8.0, 6.0)
REAL = "REAL_FRAMES_ROOT"
"""Names a folder that holds ``xarm7_realsense``, frames of a real arm, which are not the project's to pass on."""


def made(count: int = 4, camera: Intrinsics = SMALL, planned: int = 0, **changes) -> Captures:
    rng = np.random.default_rng(0)
    size = camera.height, camera.width
    values = {
        "rgb": rng.integers(0, 256, (count, *size, 3)).astype(np.uint8),
        "depth": (rng.integers(0, 3000, (count, *size)) * np.float32(1e-3)).astype(np.float32),
        "joints": rng.uniform(-2, 2, (count, 7))[np.arange(count) // 2],
        "tcp": rng.uniform(0, 0.5, (count, 3)),
        "timestamps": np.arange(count) / 10,
        "postures": np.arange(count) // 2,
        "intrinsics": camera,
        "setting": Setting(tool="xarm_gripper", planned=planned),
    }
    return Captures(**{**values, **changes})


def same(found: Captures, wanted: Captures) -> None:
    for name in ("rgb", "joints", "tcp", "timestamps", "postures"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
    np.testing.assert_allclose(found.depth, wanted.depth, atol=1e-6)
    assert found.intrinsics == wanted.intrinsics


def record(folder: Path, rig, captures: Captures, number: int = 0, attributes: dict | None = None) -> None:
    described = {"captures": asdict(captures.setting)} if attributes is None else attributes
    with RecordingWriter(str(folder), session(number), rig, {POSTURE: ()}, described) as writer:
        for i, frame in enumerate(captures.frames):
            labels = {"joints": captures.joints[i], "tcp": captures.tcp[i], POSTURE: captures.postures[i]}
            writer.append(Frame(frame.rgb, frame.depth, frame.timestamp), labels)


def test_images_are_read_as_they_were_saved(tmp_path):
    captures = made(masks=np.random.default_rng(1).random((4, 12, 16)) < 0.5)
    captures.save(tmp_path / "new")
    found = Captures.load(tmp_path / "new")
    same(found, captures)
    np.testing.assert_array_equal(found.masks, captures.masks)
    assert found.setting == captures.setting


def test_several_starts_of_capturing_are_one(rig, tmp_path):
    captures = made(camera=rig.camera, planned=2)
    record(tmp_path, rig, captures.select([0, 1]))
    record(tmp_path, rig, captures.select([2, 3]), 1)
    same(Captures.load(tmp_path), captures)


def test_captures_that_were_ended_early_say_so(rig, tmp_path, caplog):
    captures = made(camera=rig.camera, planned=5)
    record(tmp_path, rig, captures)
    found = Captures.load(tmp_path)
    assert found.missing == 3
    assert "2 postures of 5 planned" in str(found)
    assert "go on with: python -m pipelines.capture" in caplog.text


def test_frames_lost_at_the_end_of_a_killed_writing_are_left_out(rig, tmp_path):
    captures = made(10, camera=rig.camera)
    record(tmp_path, rig, captures)
    (tmp_path / "frames" / "native" / "rgb" / "c.1.0.0.0").unlink()
    assert len(Captures.load(tmp_path)) == int(rig.rate_hz * SEGMENT_S)


def test_distortion_is_taken_out(tmp_path):
    camera = Intrinsics(160, 120, 200.0, 200.0, 80.0, 60.0)
    bent = (0.2, 0.0, 0.0, 0.0, 0.0)
    pixel = np.array([[[140.0, 60.0]]])
    matrix = np.array([[200.0, 0, 80], [0, 200, 60], [0, 0, 1]])
    straight = cv2.undistortPoints(pixel, matrix, np.array(bent), P=matrix)[0, 0]
    depth = np.zeros((1, 120, 160), np.float32)
    depth[0, 58:63, 138:143] = 1.0
    made(1, camera, depth=depth, setting=Setting(distortion=bent)).save(tmp_path)
    found = Captures.load(tmp_path)
    rows, columns = np.nonzero(found.depth[0])
    np.testing.assert_allclose([columns.mean(), rows.mean()], straight, atol=0.3)
    assert abs(straight[0] - 140) > 0.8
    assert not any(found.setting.distortion)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rgb": np.zeros((4, 12, 16, 3))}, "rgb must be"),
        ({"depth": np.zeros((4, 12, 15), np.float32)}, "depth must be"),
        ({"depth": np.full((4, 12, 16), 1500, np.float32)}, "not millimetres"),
        ({"depth": np.full((4, 12, 16), -1, np.float32)}, "negative"),
        ({"depth": np.full((4, 12, 16), np.nan, np.float32)}, "no numbers"),
        ({"joints": np.full((4, 7), 90.0)}, "radians, not degrees"),
        ({"joints": np.full((4, 7), np.nan)}, "seven joints"),
        ({"joints": np.zeros((4, 6))}, "joints must be"),
        ({"masks": np.zeros((3, 12, 16), bool)}, "masks must be"),
        ({"postures": np.zeros(4, int)}, "posture 0 have joints that differ"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(changes, words):
    with pytest.raises(DataError, match=words):
        made(**changes)


def test_no_frame_is_refused():
    with pytest.raises(DataError, match="no frame"):
        made().select([])


def edited(folder: Path, **changes) -> Path:
    """A folder of images whose description was changed; None takes a key out."""
    made().save(folder)
    told = json.loads((folder / "frames.json").read_text()) | changes
    (folder / "frames.json").write_text(json.dumps({key: value for key, value in told.items() if value is not None}))
    return folder


FRAME = {"joints_rad": [0.0] * 7}
SIZE = {"width": 16, "height": 12, "fx": 20.0, "fy": 20.0, "cx": 8.0, "cy": 6.0}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"intrinsics": None}, "it needs intrinsics"),
        ({"frames": [{}]}, "joints_rad"),
        ({"frames": 3}, "does not describe frames"),
        ({"frames": [{"joints_rad": [0, 1]}]}, "joints must be"),
        ({"frames": [{"joints_rad": ["a"] * 7}]}, "does not describe frames"),
        ({"depth_unit_m": 1.0}, "depth_unit_m"),
        ({"depth_unit_m": "thin"}, "does not fit"),
        ({"frames": [{"joints_rad": [0.0] * 7}] * 5}, "no such image"),
        ({"frames": []}, "no frame"),
        *(({"frames": [FRAME | {"posture": bad}]}, "does not describe") for bad in (float("inf"), 10**30, 1.7, "one")),
        *(({"intrinsics": SIZE | {"width": bad}}, "does not describe frames") for bad in (float("inf"), 16.9)),
        *(({"intrinsics": SIZE | {"cx": bad}}, "must be finite") for bad in (float("nan"), float("-inf"))),
        ({"planned": float("inf")}, "does not fit"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(tmp_path, changes, words):
    with pytest.raises(DataError, match=words):
        Captures.load(edited(tmp_path, **changes))


def test_a_file_that_is_no_json_is_refused(tmp_path):
    edited(tmp_path)
    (tmp_path / "frames.json").write_text("{")
    with pytest.raises(DataError, match=r"frames\.json: does not describe frames"):
        Captures.load(tmp_path)


@pytest.mark.parametrize(("file", "words"), [("depth_1.png", "damaged"), ("colour_1.png", "damaged")])
def test_a_damaged_image_is_refused(tmp_path, file, words):
    edited(tmp_path)
    (tmp_path / file).write_bytes(b"\x89PNG")
    with pytest.raises(DataError, match=words):
        Captures.load(tmp_path)


def test_masks_of_some_frames_only_are_refused(tmp_path):
    made(masks=np.ones((4, 12, 16), bool)).save(tmp_path)
    (tmp_path / "mask_2.png").unlink()
    with pytest.raises(DataError, match="3 of 4 frames have a mask"):
        Captures.load(tmp_path)


def test_a_folder_without_captures_is_refused(tmp_path):
    with pytest.raises(DataError, match="no captures"):
        Captures.load(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        Captures.load(tmp_path / "none")


def test_captures_are_not_written_over_others(tmp_path):
    made().save(tmp_path)
    with pytest.raises(DataError, match="holds captures already"):
        made().save(tmp_path)


def test_a_recorded_run_is_refused(rig, tmp_path):
    record(tmp_path, rig, made(camera=rig.camera), attributes={})
    with pytest.raises(DataError, match="while the arm moved"):
        Captures.load(tmp_path)


def test_captures_without_the_arm_s_joints_are_refused(rig, tmp_path):
    captures = made(camera=rig.camera)
    with RecordingWriter(str(tmp_path), session(0), rig, {POSTURE: ()}, {"captures": {}}) as writer:
        writer.append(captures.frames[0], {POSTURE: 0})
    with pytest.raises(DataError, match="seven joints"):
        Captures.load(tmp_path)


def test_a_start_that_kept_nothing_is_refused(rig, tmp_path):
    RecordingWriter(str(tmp_path), session(0), rig, {POSTURE: ()}, {"captures": {}}).close()
    with pytest.raises(DataError, match="before the first frame"):
        Captures.load(tmp_path)


def test_two_cameras_in_one_folder_are_refused(rig, tmp_path):
    captures = made(camera=rig.camera)
    record(tmp_path, rig, captures)
    record(tmp_path, replace(rig, camera=replace(rig.camera, fx=600.0)), captures, 1)
    with pytest.raises(DataError, match="different cameras"):
        Captures.load(tmp_path)


@pytest.mark.parametrize("what", ["size", "tool"])
def test_sessions_of_another_image_size_or_tool_are_refused(rig, tmp_path, what):
    record(tmp_path, rig, made(camera=rig.camera))
    camera = replace(rig.camera, width=848) if what == "size" else rig.camera
    tool = {"setting": Setting(tool="flange")} if what == "tool" else {}
    record(tmp_path, replace(rig, camera=camera), made(camera=camera, **tool), 1)
    with pytest.raises(DataError, match="resolutions or tools"):
        Captures.load(tmp_path)


def test_no_serial_number_is_kept(tmp_path):
    made().save(tmp_path)
    assert "serial" not in (tmp_path / "frames.json").read_text()


@pytest.mark.skipif(not os.environ.get(REAL), reason=f"{REAL} names no folder of real frames")
def test_real_frames_open(tmp_path):
    folder = Path(os.environ[REAL]) / "xarm7_realsense"
    found = Captures.load(folder)
    assert len(found) == 5
    assert found.masks is not None
    assert 0.5 < np.median(found.depth[found.masks & (found.depth > 0)]) < 2
    shutil.copytree(folder, tmp_path / "unmasked", ignore=shutil.ignore_patterns("mask_*"))
    assert Captures.load(tmp_path / "unmasked").masks is None
