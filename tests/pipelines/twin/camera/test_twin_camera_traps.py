"""librealsense's traps, each met through the ordinary pipeline."""

import re
import threading
from dataclasses import replace

import numpy as np
import pyrealsense2 as rs
import pytest

from datasets.common.errors import DeviceError
from datasets.rig.frame import Frame
from datasets.rig.projection import Intrinsics
from perception.cameras.realsense.aligned_stream import AlignedStream
from perception.cameras.realsense.camera import RealSenseCamera
from pipelines.twin.camera.software_realsense import SoftwareRealSense

pytestmark = pytest.mark.realtime


def one_line(error: pytest.ExceptionInfo) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def sensors(bench) -> list[rs.sensor]:
    """Depth, then colour."""
    found = bench.twin.context.query_devices()[0].query_sensors()
    return sorted(found, key=lambda sensor: sensor.get_info(rs.camera_info.name), reverse=True)


def test_without_a_camera_it_says_so_at_once(rig) -> None:
    """A pipeline would wait 15 s for a device to be plugged in."""
    camera = RealSenseCamera(rig.camera, context=rs.context())
    with pytest.raises(DeviceError) as error:
        camera.connect()
    assert "no RealSense camera is connected" in one_line(error)
    assert not camera.is_connected


def test_an_unknown_serial_number_lists_those_connected(bench) -> None:
    camera = RealSenseCamera(bench.rig.camera, bench.settings, serial="123", context=bench.twin.context)
    with pytest.raises(DeviceError, match="serial number 123; connected: 000042"):
        camera.connect()


def test_two_cameras_must_be_told_apart(rig, bench) -> None:
    second = SoftwareRealSense(bench.twin.context, rig.camera, 30, 0.001, serial="000043")
    with pytest.raises(DeviceError, match=r"several .*000042, 000043|several .*000043, 000042"):
        bench.open_camera().connect()
    second.unplug()


def test_a_rate_the_camera_does_not_have_is_refused(make_bench) -> None:
    bench = make_bench()
    with pytest.raises(DeviceError) as error:
        bench.open_camera(fps=60).connect()
    assert re.search("000042 does not offer .* 640x480 px, 60 frames/s", one_line(error))


def test_a_silent_camera_is_refused_and_nothing_is_left_open(make_bench) -> None:
    bench = make_bench()
    before = set(threading.enumerate())
    bench.twin.inject("camera_stall", 30.0)
    with pytest.raises(DeviceError, match="gave 0 of 4 frames"):
        bench.camera.connect()
    assert not bench.camera.is_connected
    assert set(threading.enumerate()) <= before
    bench.twin.clear("camera_stall")
    bench.camera.connect()
    bench.camera.read()


def test_connect_skips_the_warm_up_then_locks_what_the_sensors_have(make_bench) -> None:
    bench = make_bench()
    depth, colour = sensors(bench)
    assert colour.get_option(rs.option.enable_auto_exposure) == 1.0
    bench.camera.connect()
    first = bench.camera.read()
    taken_before = [taken_s for taken_s in bench.picture.times if taken_s < first.timestamp - 1e-3]
    assert len(taken_before) >= bench.settings.warm_up_frames
    for sensor in (colour, depth):
        assert sensor.get_option(rs.option.enable_auto_exposure) == 0.0
    assert colour.get_option(rs.option.enable_auto_white_balance) == 0.0
    assert colour.get_option(rs.option.exposure) == 156.0
    assert colour.get_option(rs.option.white_balance) == 4600.0


def test_exposure_stays_automatic_when_asked(make_bench) -> None:
    bench = make_bench()
    with bench.open_camera(lock_exposure=False):
        _, colour = sensors(bench)
        assert colour.get_option(rs.option.enable_auto_exposure) == 1.0


def test_each_run_sees_todays_light_and_leaves_the_camera_as_it_was(make_bench, monkeypatch) -> None:
    bench = make_bench()
    depth, colour = sensors(bench)
    colour.set_option(rs.option.enable_auto_exposure, 0.0)  # yesterday's run was killed
    colour.set_option(rs.option.exposure, 10.0)
    depth.set_option(rs.option.emitter_enabled, 0.0)
    warmed, warm_up = [], AlignedStream.warm_up

    def look(*arguments) -> Frame:
        options = (colour, rs.option.enable_auto_exposure), (depth, rs.option.emitter_enabled)
        warmed.append(tuple(sensor.get_option(option) for sensor, option in options))
        return warm_up(*arguments)

    monkeypatch.setattr(AlignedStream, "warm_up", look)
    for _ in range(2):
        with bench.open_camera():
            assert depth.get_option(rs.option.emitter_enabled) == 1.0
        assert warmed == [(1.0, 1.0), (0.0, 1.0)]
        assert colour.get_option(rs.option.enable_auto_exposure) == 0.0
        assert colour.get_option(rs.option.exposure) == 10.0
        assert depth.get_option(rs.option.emitter_enabled) == 0.0
        warmed.clear()


def test_it_says_which_device_it_is(bench) -> None:
    assert bench.camera.description == "Twin of a RealSense D435, serial number 000042, USB 3.2"
    bench.camera.disconnect()
    with pytest.raises(DeviceError, match="not connected"):
        _ = bench.camera.description


def test_a_focal_length_close_to_the_rigs_is_adopted(make_bench) -> None:
    bench = make_bench()
    rig = bench.rig.camera
    other = replace(rig, fx=rig.fx * 1.02, fy=rig.fy * 1.02, cx=rig.cx + 5)
    with RealSenseCamera(other, bench.settings, context=bench.twin.context) as camera:
        np.testing.assert_allclose(camera.intrinsics.as_array(), rig.as_array(), atol=1e-3)


def test_a_camera_unlike_the_rigs_is_refused_and_nothing_is_left_open(make_bench) -> None:
    bench = make_bench()
    other = Intrinsics(640, 480, 300.0, 300.0, 320.0, 240.0)
    camera = RealSenseCamera(other, bench.settings, context=bench.twin.context)
    with pytest.raises(DeviceError) as error:
        camera.connect()
    assert "focal lengths (615.0, 615.0) px differ by 105.0% from the rig's" in one_line(error)
    assert not camera.is_connected
    with bench.camera:
        pass


def test_the_camera_is_free_again_after_disconnect(bench, count_receivers) -> None:
    assert count_receivers() == 1
    bench.camera.disconnect()
    bench.camera.disconnect()
    assert count_receivers() == 0
    with bench.open_camera() as camera:
        camera.read()
    bench.camera.connect()
    bench.camera.connect()
    bench.camera.read()
