"""A recorded run is played with what it was recorded with, each frame once."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from datasets.common.errors import DataError
from datasets.rig.frame import Frame
from datasets.rig.projection import Intrinsics
from datasets.store.recording import RecordingWriter
from perception.cameras.playback import PlaybackCamera, open_recording
from perception.cameras.realsense.settings import CameraParams
from perception.cameras.run_recording import RunRecording
from played import TINY, everything


@pytest.fixture
def run(tmp_path, rig) -> Path:
    """A recorded run of five steps, the second of which used the first one's frame again."""
    rng = np.random.default_rng(0)
    writer = RecordingWriter(str(tmp_path / "runs"), "first", rig)
    for step, time_s in enumerate((100.0, 100.0, 100.2, 100.3, 100.4)):
        rgb = rng.integers(0, 256, (480, 640, 3), dtype=np.uint8)
        rgb[0, 0] = step
        depth = np.full((480, 640), 1.25, np.float32)
        writer.append(Frame(rgb, depth, time_s), {"intrinsics": [612.0, 613.0, 321.0, 241.0]})
    writer.close()
    return tmp_path / "runs" / "first"


@pytest.mark.realtime
def test_a_recorded_run_is_played_with_its_own_intrinsics(run: Path, rig) -> None:
    with PlaybackCamera(lambda: open_recording(run, rig.camera, CameraParams())) as camera:
        assert camera.intrinsics == Intrinsics(640, 480, 612.0, 613.0, 321.0, 241.0)
        frames = everything(camera)
    assert [int(frame.rgb[0, 0, 0]) for frame in frames] == [0, 2, 3, 4]
    assert all(np.all(frame.depth == np.float32(1.25)) for frame in frames)


@pytest.mark.realtime
def test_a_run_of_another_size_is_refused(run: Path) -> None:
    with pytest.raises(DataError, match="images are 640x480 px, the rig's 3x2"):
        open_recording(run, TINY, CameraParams())


def recorded(folder: Path, rig, times: Sequence[float], **more: Sequence[object]) -> Path:
    """A recording with a frame at each of ``times``, whose first pixel counts them."""
    writer = RecordingWriter(str(folder), "some", rig, dict.fromkeys(more, ()))
    for step, time_s in enumerate(times):
        rgb = np.full((480, 640, 3), step, np.uint8)
        given = {name: values[step] for name, values in more.items()}
        frame = Frame(rgb, np.ones((480, 640), np.float32), time_s)
        writer.append(frame, {"intrinsics": [612.0, 613.0, 321.0, 241.0], **given})
    writer.close()
    return folder / "some"


def test_frames_come_in_order_each_once_until_none_is_left(tmp_path, rig) -> None:
    playing = RunRecording(recorded(tmp_path, rig, (5.0, 5.0, 5.1, 5.05, 5.2)), rig.camera)
    found = list(iter(playing.next, None))
    assert [int(frame.rgb[0, 0, 0]) for frame in found] == [0, 2, 4]
    assert [frame.timestamp for frame in found] == [5.0, 5.1, 5.2]
    assert playing.next() is None


def test_goals_are_counted_from_the_recording_s_first(tmp_path, rig) -> None:
    path = recorded(tmp_path, rig, (1.0, 2.0, 3.0), goal_index=(4, 4, 6))
    found = list(iter(RunRecording(path, rig.camera).next, None))
    assert [frame.goal_index for frame in found] == [0, 0, 2]


def test_frames_of_a_recording_without_goals_are_plain(tmp_path, rig) -> None:
    frame = RunRecording(recorded(tmp_path, rig, (1.0,)), rig.camera).next()
    assert type(frame) is Frame


def test_closing_forgets_what_was_read_ahead(tmp_path, rig) -> None:
    playing = RunRecording(recorded(tmp_path, rig, (1.0, 2.0, 3.0)), rig.camera)
    assert playing.next() is not None
    for _ in range(2):
        playing.close()
    assert playing.next() is None
