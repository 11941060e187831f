"""Recording the wire to .db3, and playing it back bit for bit; leaving the process with everything running."""

import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from datasets.common.errors import DataError, DeviceError
from datasets.rig.projection import Intrinsics
from perception.cameras.camera import RecordingEnded
from perception.cameras.playback import PlaybackCamera
from perception.cameras.realsense.camera import RealSenseCamera
from perception.cameras.realsense.recording import RealSenseRecording
from perception.cameras.realsense.settings import CameraParams

pytestmark = pytest.mark.realtime


def test_a_recording_plays_back_bit_exact(make_bench, record, tmp_path) -> None:
    bench = make_bench()
    path = tmp_path / "run.db3"
    record(bench, path, 15)
    sent = {shot.rgb.tobytes()[:4000]: shot for _, shot in bench.delivered}
    played = []
    with PlaybackCamera(lambda: RealSenseRecording(path, bench.rig.camera, bench.settings)) as camera:
        while True:
            try:
                played.append(camera.read())
            except RecordingEnded:
                break
    assert len(played) >= 15 + bench.settings.warm_up_frames
    numbers = []
    for frame in played:
        shot = sent[frame.rgb.tobytes()[:4000]]
        numbers.append(shot.number)
        np.testing.assert_array_equal(frame.rgb, shot.rgb)
        np.testing.assert_array_equal(np.rint(frame.depth / 0.001).astype(np.uint16), shot.counts)
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_two_playbacks_are_equal(make_bench, record, tmp_path) -> None:
    bench = make_bench()
    path = tmp_path / "run.db3"
    record(bench, path, 5)
    runs = []
    for _ in range(2):
        recording = RealSenseRecording(path, bench.rig.camera, bench.settings)
        frames = []
        while (frame := recording.next()) is not None:
            frames.append((frame.timestamp, frame.rgb.tobytes(), frame.depth.tobytes()))
        recording.close()
        runs.append(frames)
    assert runs[0] == runs[1]
    assert len(runs[0]) >= 5


def test_a_recording_cut_short_is_refused_in_one_line(make_bench, record, tmp_path) -> None:
    bench = make_bench()
    path = tmp_path / "run.db3"
    record(bench, path, 3)
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(Exception, match="cannot play it") as error:
        RealSenseRecording(path, bench.rig.camera, bench.settings)
    assert "\n" not in str(error.value)


def test_a_recording_from_another_camera_is_refused(make_bench, record, tmp_path) -> None:
    bench = make_bench()
    path = tmp_path / "run.db3"
    record(bench, path, 3)
    other = type(bench.rig.camera)(848, 480, 615.0, 615.0, 424.0, 240.0)
    with pytest.raises(DeviceError, match="images are 640x480 px, the rig's 848x480"):
        RealSenseRecording(path, other, bench.settings)


@pytest.mark.parametrize(("size", "focal"), [((848, 480), 605.0), ((1280, 720), 910.0)])
def test_a_wider_recording_is_cut_to_the_rigs_size(make_bench, record, rig, tmp_path, size, focal) -> None:
    bench = make_bench(lens=Intrinsics(*size, focal, focal, size[0] / 2, size[1] / 2))
    path = tmp_path / "run.db3"
    record(bench, path, 3)
    recording = RealSenseRecording(path, rig.camera, bench.settings)
    frame, seen = recording.next(), recording.intrinsics
    recording.close()
    assert frame.rgb.shape == (480, 640, 3)
    assert frame.depth.shape == (480, 640)
    assert (seen.width, seen.height) == (640, 480)
    assert seen.fx == pytest.approx(focal * 480 / size[1], rel=1e-3)
    assert seen.cx == pytest.approx(320, abs=1)
    if size[1] == 480:
        (shot,) = [shot for _, shot in bench.delivered if np.array_equal(shot.rgb[:, 104:744], frame.rgb)]
        np.testing.assert_array_equal(np.rint(frame.depth / 0.001), shot.counts[:, 104:744])


def test_a_wide_angle_camera_is_refused_with_its_focal_length(make_bench, record, rig, tmp_path) -> None:
    bench = make_bench(lens=Intrinsics(848, 480, 250.0, 250.0, 424.0, 240.0))
    path = tmp_path / "run.db3"
    record(bench, path, 3)
    with pytest.raises(DeviceError, match=r"focal lengths \(250.0, 250.0\) px differ by 59"):
        RealSenseRecording(path, rig.camera, bench.settings)


def test_a_recording_without_a_pair_says_what_it_holds(make_bench, record, tmp_path) -> None:
    bench = make_bench()
    path = tmp_path / "run.db3"
    record(bench, path, 3)
    strict = replace(bench.settings, min_depth_fraction=1.0)
    with pytest.raises(DataError, match=r"holds no frame of colour and depth.*Twin of a RealSense D435.*have a depth"):
        RealSenseRecording(path, bench.rig.camera, strict).next()


@pytest.mark.skipif("REAL_FRAMES" not in os.environ, reason="REAL_FRAMES names no folder of real frames")
def test_a_real_single_pair_is_refused_with_what_it_holds(rig) -> None:
    path = Path(os.environ["REAL_FRAMES"]) / "single_depth_color_640x480.bag"
    with pytest.raises(DataError, match=r"Intel RealSense D435.*taken 268 ms apart"):
        RealSenseRecording(path, rig.camera, CameraParams()).next()


def test_recording_to_a_bad_place_is_refused_before_anything_is_written(make_bench, tmp_path) -> None:
    bench = make_bench()
    (tmp_path / "there.db3").touch()
    for name, sentence in [("run.bag", ".db3 files only"), ("there.db3", "exists"), ("no/run.db3", "not a folder")]:
        camera = RealSenseCamera(
            bench.rig.camera, bench.settings, context=bench.twin.context, record_to=tmp_path / name
        )
        with pytest.raises(DeviceError, match=sentence):
            camera.connect()
        assert not camera.is_connected
    assert [path.name for path in tmp_path.iterdir()] == ["there.db3"]


def test_a_process_that_forgets_to_disconnect_keeps_its_exit_code() -> None:
    """A thread inside librealsense while the interpreter goes down would abort the process."""
    program = """
        import contextlib, numpy as np
        from datasets.rig.rig import Rig
        from perception.cameras.realsense.camera import RealSenseCamera
        from perception.cameras.realsense.settings import CameraParams
        from pipelines.twin.camera.camera import CameraTwin, TwinCameraParams
        rig = Rig.load()
        rng = np.random.default_rng(0)
        render = lambda t: (rng.integers(0, 256, (480, 640, 3), dtype=np.uint8), rng.random((480, 640)) + 1)
        twin = CameraTwin(rig.camera, lambda: contextlib.nullcontext(render), TwinCameraParams(fps=30))
        twin.start()
        camera = RealSenseCamera(rig.camera, CameraParams(warm_up_frames=1), context=twin.context)
        camera.connect()
        camera.read()
        raise SystemExit(7)
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 7, ended.stderr
