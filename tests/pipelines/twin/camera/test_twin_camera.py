"""The twin's camera itself: its clock, its threads, its losses."""

import contextlib
import itertools
import threading
import time

import numpy as np
import pyrealsense2 as rs
import pytest

from control.arms.xarm.wire.sdk import wait_until
from datasets.common.config import load_params
from datasets.common.errors import ConfigError, DeviceError
from datasets.rig.rig import Rig
from pipelines.twin.camera.camera import CameraTwin, TwinCameraParams
from pipelines.twin.camera.faults import ActiveFaults, CameraFault
from pipelines.twin.camera.software_realsense import Shot

pytestmark = pytest.mark.realtime


def test_renders_in_one_thread_of_its_own_and_leaves_the_renderer_there(make_bench) -> None:
    bench = make_bench()
    bench.twin.stop()
    assert bench.picture.threads == {"twin-camera-capture"}
    assert bench.picture.left_by == "twin-camera-capture"


def test_leaves_no_thread_and_no_device_behind(make_bench) -> None:
    before = set(threading.enumerate())
    bench = make_bench()
    assert len(bench.twin.context.query_devices()) == 1
    bench.twin.stop()
    bench.twin.stop()
    assert set(threading.enumerate()) <= before
    assert len(bench.twin.context.query_devices()) == 0


def test_starts_again_after_a_stop(make_bench) -> None:
    bench = make_bench()
    bench.twin.stop()
    bench.twin.start()
    with bench.camera as camera:
        camera.read()


def test_frames_carry_the_time_of_their_capture(bench) -> None:
    for _ in range(5):
        frame = bench.camera.read()
        assert time.monotonic() - frame.timestamp >= bench.twin.settings.latency_s
        assert min(abs(frame.timestamp - taken_s) for taken_s in bench.picture.times) < 0.002


def test_jitter_keeps_the_order(make_bench) -> None:
    bench = make_bench(jitter_s=0.1)
    bench.camera.connect()
    times = [bench.camera.read().timestamp for _ in range(10)]
    assert times == sorted(set(times))


def test_drops_the_asked_fraction_of_the_frames(make_bench) -> None:
    bench = make_bench(fps=90, drop_fraction=0.5, latency_s=0.0)
    assert wait_until(lambda: len(bench.picture.times) >= 80, 20.0)
    bench.twin.stop()
    assert 0.25 < len(bench.delivered) / len(bench.picture.times) < 0.75


@pytest.mark.parametrize("sigma", [0.0, 1.0])
def test_a_world_at_rest_never_gives_the_same_image_twice(rig: Rig, sigma: float) -> None:
    still = np.full((480, 640, 3), 99, np.uint8), np.ones((480, 640), np.float32)
    shots: list[Shot] = []
    settings = TwinCameraParams(fps=90, latency_s=0.0, colour_noise=sigma)
    with CameraTwin(rig.camera, lambda: contextlib.nullcontext(lambda t: still), settings, shots.append):
        assert wait_until(lambda: len(shots) >= 12, 10.0)
    for one, other in [*itertools.pairwise(shots), *itertools.pairwise(shots[::2])]:  # also with every second lost
        assert not np.array_equal(one.rgb, other.rgb)
        assert not np.array_equal(one.counts, other.counts)
    spread = np.std(shots[0].rgb[1:].astype(float))
    assert spread == pytest.approx(sigma, abs=0.1)
    assert np.all(still[0] == 99)


def test_a_renderer_that_fails_is_told_in_the_callers_thread(rig: Rig) -> None:
    @contextlib.contextmanager
    def broken():
        raise RuntimeError("no display")
        yield

    before = set(threading.enumerate())
    with pytest.raises(DeviceError, match="gave no picture: no display"):
        CameraTwin(rig.camera, broken).start()
    assert set(threading.enumerate()) <= before


def test_rendering_that_fails_later_is_told_by_check(rig: Rig) -> None:
    def render(t: float):
        if ended.is_set():
            raise ValueError("the world ended")
        return np.zeros((480, 640, 3), np.uint8), np.ones((480, 640), np.float32)

    ended = threading.Event()
    with CameraTwin(rig.camera, lambda: contextlib.nullcontext(render), TwinCameraParams(fps=90)) as twin:
        twin.check()
        ended.set()
        with pytest.raises(DeviceError, match="the world ended"):
            wait_until(lambda: twin.check() is not None, 10.0)


@pytest.mark.parametrize(
    ("rgb", "depth"),
    [
        (np.zeros((480, 320, 3), np.uint8), np.ones((480, 640), np.float32)),
        (np.zeros((480, 640, 3), np.float32), np.ones((480, 640), np.float32)),
        (np.zeros((480, 640, 3), np.uint8), np.ones((240, 640), np.float32)),
    ],
)
def test_pictures_of_another_shape_or_type_are_refused(rig: Rig, rgb: np.ndarray, depth: np.ndarray) -> None:
    twin = CameraTwin(rig.camera, lambda: contextlib.nullcontext(lambda t: (rgb, depth)), TwinCameraParams())
    with pytest.raises(DeviceError, match="a picture must be"):
        twin.start()


def test_presents_itself_as_a_d435(bench) -> None:
    device = bench.twin.context.query_devices()[0]
    names = [sensor.get_info(rs.camera_info.name) for sensor in device.query_sensors()]
    assert names == ["Stereo Module", "RGB Camera"]
    assert device.first_depth_sensor().get_depth_scale() == pytest.approx(0.001)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("fps", 0),
        ("fps", 1000),
        ("drop_fraction", 1.0),
        ("latency_s", -1.0),
        ("latency_s", float("nan")),
        ("jitter_s", 60.0),
        ("depth_unit_m", 1.0),
        ("colour_noise", -1.0),
    ],
)
def test_implausible_settings_are_refused_by_name(key: str, value: float) -> None:
    with pytest.raises(ConfigError, match=key):
        TwinCameraParams(**{key: value})


def test_unknown_keys_are_refused_by_name(tmp_path) -> None:
    (tmp_path / "twin.yaml").write_text("fps: 15\nlatancy_s: 0.1\n")
    with pytest.raises(ConfigError, match="latancy_s"):
        load_params(tmp_path / "twin.yaml", TwinCameraParams)


def test_unknown_faults_are_refused_with_the_names_there_are() -> None:
    with pytest.raises(ConfigError, match=r"'dead_color'.*dead_colour.*camera_unplugged"):
        ActiveFaults().begin("dead_color")


def test_a_fault_lasts_as_long_as_asked() -> None:
    schedule = ActiveFaults()
    begin_s = schedule.begin(CameraFault.STALL, 0.2)
    assert schedule.active(CameraFault.STALL) or time.monotonic() - begin_s >= 0.2
    assert wait_until(lambda: not schedule.active(CameraFault.STALL), 5.0)
    assert time.monotonic() - begin_s >= 0.2
    schedule.begin(CameraFault.DEAD_COLOUR)
    assert schedule.active(CameraFault.DEAD_COLOUR)
    schedule.end("dead_colour")
    assert not schedule.active(CameraFault.DEAD_COLOUR)
