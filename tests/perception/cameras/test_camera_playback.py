"""Playing recordings, whatever they are stored in."""

import threading
import time
from collections.abc import Sequence

import numpy as np
import pytest

from datasets.common.errors import DataError, DeviceError
from datasets.rig.frame import Frame
from perception.cameras.camera import RecordingEnded
from perception.cameras.playback import PlaybackCamera, open_recording
from perception.cameras.realsense.recording import RealSenseRecording
from perception.cameras.realsense.settings import CameraParams
from perception.cameras.run_recording import RecordedFrame
from played import TINY, everything

pytestmark = pytest.mark.realtime


class ListRecording:
    """Numbered frames with a clock of their own; each of a goal where ``goals`` has one for it."""

    intrinsics = TINY

    def __init__(self, count: int, broken_at: int | None = None, goals: Sequence[int] = ()) -> None:
        self._frames = iter(range(count))
        self._broken_at = broken_at
        self._goals = goals
        self.closed = 0

    def next(self) -> Frame | None:
        number = next(self._frames, None)
        if number is None:
            return None
        if number == self._broken_at:
            raise DataError("cut short")
        given = np.full((2, 3, 3), number, np.uint8), np.ones((2, 3), np.float32), 1e9 + number * 0.02
        return RecordedFrame(*given, self._goals[number]) if self._goals else Frame(*given)

    def close(self) -> None:
        self.closed += 1


def test_stepped_playback_misses_nothing_and_counts_as_taken_now() -> None:
    with PlaybackCamera(lambda: ListRecording(5)) as camera:
        before = time.monotonic()
        first = camera.read_latest(0.1)
        assert before <= first.timestamp <= time.monotonic()
        assert [frame.rgb[0, 0, 0] for frame in everything(camera)] == [1, 2, 3, 4]
        with pytest.raises(RecordingEnded, match="after 5 frames"):
            camera.read_latest(1.0)


def numbers(camera: PlaybackCamera) -> list[int]:
    return [int(frame.rgb[0, 0, 0]) for frame in everything(camera)]


def test_each_goal_is_shown_its_own_frames_whatever_was_left_of_the_one_before() -> None:
    with PlaybackCamera(lambda: ListRecording(8, goals=[0, 0, 0, 1, 1, 3, 3, 3])) as camera:
        camera.begin_goal(0)
        assert camera.read_latest(0.1).rgb[0, 0, 0] == 0
        camera.begin_goal(1)
        assert numbers(camera) == [3, 4]
        with pytest.raises(RecordingEnded, match="it holds no more frames of this goal"):
            camera.read()
        camera.begin_goal(2)
        with pytest.raises(RecordingEnded, match="it holds no more frames of this goal"):
            camera.read()
        camera.begin_goal(3)
        before = time.monotonic()
        assert camera.read().timestamp >= before
        assert numbers(camera) == [6, 7]
        with pytest.raises(RecordingEnded, match="the recording has ended after 8 frames"):
            camera.begin_goal(4)


def test_where_frames_tell_no_goals_another_goal_begins_at_the_next_frame() -> None:
    with PlaybackCamera(lambda: ListRecording(5)) as camera:
        camera.begin_goal(0)
        assert camera.read().rgb[0, 0, 0] == 1
        camera.begin_goal(1)
        assert numbers(camera) == [3, 4]


def test_before_any_goal_all_frames_are_shown() -> None:
    with PlaybackCamera(lambda: ListRecording(4, goals=[0, 0, 1, 1])) as camera:
        assert numbers(camera) == [0, 1, 2, 3]


def test_damage_in_the_middle_is_told() -> None:
    with PlaybackCamera(lambda: ListRecording(5, broken_at=3)) as camera:
        for _ in range(3):
            camera.read()
        with pytest.raises(DataError, match="cut short"):
            camera.read()


def test_an_empty_recording_leaves_nothing_open() -> None:
    recording = ListRecording(0)
    camera = PlaybackCamera(lambda: recording)
    with pytest.raises(DataError, match="holds no frame"):
        camera.connect()
    assert recording.closed == 1
    assert not camera.is_connected


def test_disconnect_is_idempotent_and_playing_again_begins_again() -> None:
    before = set(threading.enumerate())
    camera = PlaybackCamera(lambda: ListRecording(3))
    camera.disconnect()
    for _ in range(2):
        camera.connect()
        camera.connect()
        assert camera.read().rgb[0, 0, 0] == 0
        camera.disconnect()
        camera.disconnect()
    assert set(threading.enumerate()) <= before
    with pytest.raises(DeviceError, match="not open"):
        camera.read()
    with pytest.raises(DeviceError, match="not open"):
        _ = camera.intrinsics


@pytest.mark.parametrize(("content", "sentence"), [(None, "no such recording"), (b"not a recording", "cannot play it")])
def test_a_file_that_is_no_recording_is_refused_in_one_line(tmp_path, rig, content, sentence: str) -> None:
    path = tmp_path / "run.db3"
    if content is not None:
        path.write_bytes(content)
    camera = PlaybackCamera(lambda: RealSenseRecording(path, rig.camera, CameraParams()))
    with pytest.raises(DataError, match=sentence) as error:
        camera.connect()
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("name", ["nothing", "nothing.db3", "nothing.avi", "."])
def test_a_path_without_a_recording_is_refused_in_one_line(tmp_path, rig, name: str) -> None:
    with pytest.raises(DataError) as error:
        open_recording(tmp_path / name, rig.camera, CameraParams())
    assert "\n" not in str(error.value)
