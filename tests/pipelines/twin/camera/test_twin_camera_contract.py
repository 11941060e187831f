"""What every camera promises, whatever it is: RealSense, or a recording of one."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from datasets.common.errors import DeviceError
from pace import paced
from perception.cameras.camera import Camera
from perception.cameras.playback import PlaybackCamera
from perception.cameras.realsense.recording import RealSenseRecording

pytestmark = pytest.mark.realtime

KINDS = ["realsense", "playback"]


@pytest.fixture(scope="module")
def recording(tmp_path_factory, rig):
    """Frames enough of the twin as librealsense records them."""
    path = tmp_path_factory.mktemp("recording") / "twin.db3"
    return path


@pytest.fixture(params=KINDS)
def camera(request, make_bench: Callable, record: Callable, recording) -> Iterator[Camera]:
    """A camera of each kind, not yet connected."""
    bench = make_bench()
    kind: str = request.param
    if kind == "playback" and not recording.exists():
        record(bench, recording, 60)
    if kind == "realsense":
        made: Camera = bench.camera
    else:
        made = PlaybackCamera(lambda: RealSenseRecording(recording, bench.rig.camera, bench.settings))
    yield made
    made.disconnect()


def test_before_connecting_there_is_nothing_to_read(camera: Camera) -> None:
    assert not camera.is_connected
    for call in (camera.read, lambda: camera.read_latest(1.0), lambda: camera.intrinsics):
        with pytest.raises(DeviceError, match=r"call connect\(\) first"):
            call()


def test_frames_are_the_rigs_size_in_metres_and_of_now(camera: Camera, rig) -> None:
    with camera:
        assert camera.is_connected
        np.testing.assert_allclose(camera.intrinsics.as_array(), rig.camera.as_array(), rtol=1e-5)
        for frame in (camera.read(), camera.read_latest(2.0)):
            assert frame.rgb.shape == (480, 640, 3)
            assert frame.depth[frame.depth > 0].min() > 0.79
            assert frame.depth.max() < 1.21
            assert np.mean(frame.depth == 0) == pytest.approx(40 / 640)
            assert 0 <= time.monotonic() - frame.timestamp < 2.0


def test_every_read_is_newer_and_differs(camera: Camera) -> None:
    with camera:
        frames = [camera.read() for _ in range(6)]
    for one, newer in itertools.pairwise(frames):
        assert newer.timestamp > one.timestamp
        assert not np.array_equal(newer.rgb, one.rgb)
        assert not np.shares_memory(newer.depth, one.depth)


def test_read_latest_never_goes_back(camera: Camera) -> None:
    with camera:
        times = [camera.read_latest(2.0).timestamp for _ in paced(range(6), 0.02)]
        assert times == sorted(times)
        assert camera.read().timestamp > times[-1]


def test_connect_and_disconnect_any_number_of_times_leave_nothing_behind(camera: Camera) -> None:
    before = set(threading.enumerate())
    camera.disconnect()
    for _ in range(2):
        camera.connect()
        camera.connect()
        camera.read()
        camera.disconnect()
        camera.disconnect()
        assert not camera.is_connected
    assert set(threading.enumerate()) <= before


def test_an_error_inside_the_block_disconnects(camera: Camera) -> None:
    with pytest.raises(ZeroDivisionError), camera:
        _ = 1 / 0
    assert not camera.is_connected
