"""Playing recordings, whatever they are stored in."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from datasets.common.errors import DataError, DeviceError
from datasets.rig.frame import Frame
from datasets.rig.projection import Intrinsics
from datasets.store.recording import RecordingWriter
from perception.cameras.playback import PlaybackCamera, RecordingEnded, open_recording
from perception.cameras.realsense.recording import RealSenseRecording
from perception.cameras.realsense.settings import CameraSettings

pytestmark = pytest.mark.realtime

TINY = Intrinsics(3, 2, 3.0, 3.0, 1.0, 0.5)


class ListRecording:
    """Frames from a list, with a clock of its own."""

    intrinsics = TINY

    def __init__(self, count: int, period_s: float = 0.02, broken_at: int | None = None) -> None:
        self._frames = iter(range(count))
        self._period_s = period_s
        self._broken_at = broken_at
        self.closed = 0

    def next(self) -> Frame | None:
        number = next(self._frames, None)
        if number is None:
            return None
        if number == self._broken_at:
            raise DataError("cut short")
        rgb = np.full((2, 3, 3), number, np.uint8)
        return Frame(rgb, np.ones((2, 3), np.float32), 1e9 + number * self._period_s)

    def close(self) -> None:
        self.closed += 1


def everything(camera: PlaybackCamera) -> list[Frame]:
    found = []
    while True:
        try:
            found.append(camera.read())
        except RecordingEnded:
            return found


def test_stepped_playback_misses_nothing_and_counts_as_taken_now() -> None:
    with PlaybackCamera(lambda: ListRecording(5), real_time=False) as camera:
        before = time.monotonic()
        first = camera.read_latest(0.1)
        assert before <= first.timestamp <= time.monotonic()
        assert [frame.rgb[0, 0, 0] for frame in everything(camera)] == [1, 2, 3, 4]
        with pytest.raises(RecordingEnded, match="after 5 frames"):
            camera.read_latest(1.0)


def test_real_time_playback_keeps_the_pace_of_the_recording() -> None:
    with PlaybackCamera(lambda: ListRecording(6, period_s=0.05)) as camera:
        times = [frame.timestamp for frame in everything(camera)]
    gaps = np.diff(times) / 0.05
    np.testing.assert_allclose(gaps, np.rint(gaps), atol=0.01)
    assert np.all(gaps > 0.5)


def test_real_time_playback_in_a_slow_reader_misses_frames() -> None:
    with PlaybackCamera(lambda: ListRecording(250, period_s=0.005)) as camera:
        seen = []
        for _ in range(5):
            seen.append(int(camera.read().rgb[0, 0, 0]))
            time.sleep(0.1)
    assert np.max(np.diff(seen)) > 5


def test_a_gap_in_the_recording_is_stale_as_it_was_live() -> None:
    with PlaybackCamera(lambda: ListRecording(2, period_s=60.0), read_timeout_s=0.05) as camera:
        camera.read()
        with pytest.raises(DeviceError, match="no new frame"):
            camera.read()
        with pytest.raises(DeviceError, match="ms old"):
            camera.read_latest(0.01)


def test_damage_in_the_middle_is_told() -> None:
    with PlaybackCamera(lambda: ListRecording(5, broken_at=3), real_time=False) as camera:
        for _ in range(3):
            camera.read()
        with pytest.raises(DataError, match="cut short"):
            camera.read()
    with (
        PlaybackCamera(lambda: ListRecording(5, period_s=0.001, broken_at=3)) as camera,
        pytest.raises(DeviceError, match="cut short"),
    ):
        everything(camera)


def test_an_empty_recording_leaves_nothing_open() -> None:
    recording = ListRecording(0)
    camera = PlaybackCamera(lambda: recording)
    with pytest.raises(DataError, match="holds no frame"):
        camera.connect()
    assert recording.closed == 1
    assert not camera.is_connected


@pytest.mark.parametrize("real_time", [False, True])
def test_disconnect_is_idempotent_and_playing_again_begins_again(real_time: bool) -> None:
    before = set(threading.enumerate())
    camera = PlaybackCamera(lambda: ListRecording(3, period_s=10.0), real_time)
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
    camera = PlaybackCamera(lambda: RealSenseRecording(path, rig.camera, CameraSettings()))
    with pytest.raises(DataError, match=sentence) as error:
        camera.connect()
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


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


@pytest.mark.parametrize("real_time", [False, True])
def test_a_recorded_run_is_played_with_its_own_intrinsics(run: Path, rig, real_time: bool) -> None:
    with PlaybackCamera(lambda: open_recording(run, rig.camera, CameraSettings()), real_time) as camera:
        assert camera.intrinsics == Intrinsics(640, 480, 612.0, 613.0, 321.0, 241.0)
        frames = everything(camera)
    steps = [int(frame.rgb[0, 0, 0]) for frame in frames]
    if real_time:  # a busy machine may miss some, as live
        assert steps == sorted(set(steps) & {0, 2, 3, 4})
    else:
        assert steps == [0, 2, 3, 4]
    assert all(np.all(frame.depth == np.float32(1.25)) for frame in frames)


def test_a_run_of_another_size_is_refused(run: Path) -> None:
    with pytest.raises(DataError, match="images are 640x480 px, the rig's 3x2"):
        open_recording(run, TINY, CameraSettings())


@pytest.mark.parametrize("name", ["nothing", "nothing.db3", "nothing.avi", "."])
def test_a_path_without_a_recording_is_refused_in_one_line(tmp_path, rig, name: str) -> None:
    with pytest.raises(DataError) as error:
        open_recording(tmp_path / name, rig.camera, CameraSettings())
    assert "\n" not in str(error.value)
