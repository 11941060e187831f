"""librealsense's traps, each met through the ordinary pipeline."""

import re
import threading
import time
from dataclasses import replace

import numpy as np
import pyrealsense2 as rs
import pytest

from control.arms.xarm.wire.sdk import wait_until
from datasets.common.errors import DeviceError
from datasets.rig.frame import Frame
from datasets.rig.projection import Intrinsics
from perception.cameras.realsense.aligned_stream import AlignedStream, Rejected
from perception.cameras.realsense.camera import RealSenseCamera
from perception.cameras.realsense.settings import CameraParams
from pipelines.twin.camera.software_realsense import Shot, SoftwareRealSense

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


def test_fifty_held_frames_do_not_starve_the_pipeline(bench) -> None:
    held = [bench.camera.read() for _ in range(50)]
    assert len({frame.timestamp for frame in held}) == 50
    assert not np.shares_memory(held[0].rgb, held[1].rgb)


def test_images_arrive_bit_exact_and_depth_stays_where_it_was(bench) -> None:
    """Alignment with equal geometry would push 4 % of the depth pixels one place aside."""
    for _ in range(5):
        frame = bench.camera.read()
        noted: list[Shot] = []

        def is_noted(frame: Frame = frame, noted: list[Shot] = noted) -> bool:
            noted[:] = [shot for _, shot in bench.delivered if np.array_equal(shot.rgb, frame.rgb)]
            return bool(noted)

        assert wait_until(is_noted, 1.0)  # a frame is noted as delivered a moment after it was
        assert len(noted) == 1
        np.testing.assert_array_equal(np.rint(frame.depth / 0.001).astype(np.uint16), noted[0].counts)


def test_no_reading_stays_zero(bench) -> None:
    frame = bench.camera.read()
    assert np.all(frame.depth[:, :40] == 0)
    assert np.all(frame.depth[:, 40:] > 0.7)


def test_depth_is_in_metres_whatever_the_devices_unit(make_bench) -> None:
    for unit_m in (0.0001, 0.00025):
        bench = make_bench(depth_unit_m=unit_m, latency_s=0.0)
        if unit_m * 65535 < 1.2:
            pytest.fail("the picture must fit the unit's range")
        with bench.camera as camera:
            depth = camera.read().depth
        assert 0.8 - unit_m <= depth[depth > 0].min() < 0.81
        assert depth.max() == pytest.approx(1.2, abs=4 * unit_m)


def test_strides_are_not_trusted(rig) -> None:
    """librealsense copies pixels as they lie in memory."""
    context = rs.context()
    device = SoftwareRealSense(context, rig.camera, 30, 0.001)
    pipeline = rs.pipeline(context)
    pipeline.start()
    rgb = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)[::-1, ::-1]
    counts = np.random.default_rng(1).integers(1, 5000, (640, 480)).astype(np.uint16).T
    shot = Shot(1, time.time() * 1e3, rgb, counts)
    device.give_depth(shot)
    device.give_colour(shot)
    frames = pipeline.wait_for_frames(1000)
    np.testing.assert_array_equal(np.asanyarray(frames.get_color_frame().get_data()), rgb)
    np.testing.assert_array_equal(np.asanyarray(frames.get_depth_frame().get_data()), counts)
    pipeline.stop()
    device.unplug()


def test_a_clock_of_the_devices_own_is_told_and_the_assumed_latency_used(make_bench, caplog) -> None:
    bench = make_bench(host_clock=False)
    with bench.open_camera(assumed_latency_s=1.0) as camera:
        assert 1.0 <= time.monotonic() - camera.read().timestamp < 2.0
    assert caplog.text.count("frames count as taken 1000 ms before they arrive") == 1


@pytest.mark.parametrize("by_s", [-0.15, 0.04])
def test_a_clock_that_is_set_is_a_fault_and_not_a_younger_frame(make_bench, monkeypatch, by_s) -> None:
    bench = make_bench()
    with bench.camera:
        bench.camera.read()
        wall = time.time
        monkeypatch.setattr(time, "time", lambda: wall() + by_s)
        assert f"this computer's clock was set by {by_s:+.2f} s" in bench.wait_until_refused()
        bench.wait_until_fresh()


def test_a_frame_from_the_future_is_refused(rig) -> None:
    """The computer's clock was set back while the camera was running."""
    context = rs.context()
    device = SoftwareRealSense(context, rig.camera, 30, 0.001)

    def start() -> tuple[rs.pipeline, rs.pipeline_profile]:
        pipeline = rs.pipeline(context)
        return pipeline, pipeline.start()

    stream = AlignedStream(start, rig.camera, CameraParams())
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (480, 640, 3), dtype=np.uint8)
    verdicts = []
    for number, ahead_s in enumerate((0.0, 1.0)):
        shot = Shot(number, (time.time() + ahead_s) * 1e3, rgb + number, np.full((480, 640), 1000 + number, np.uint16))
        device.give_depth(shot)
        device.give_colour(shot)
        verdicts.append(stream.next(1.0))
    stream.close()
    device.unplug()
    assert isinstance(verdicts[0], Frame)
    assert isinstance(verdicts[1], Rejected)
    assert "s ahead of this computer's" in verdicts[1].why


def test_it_says_which_device_it_is(bench) -> None:
    assert bench.camera.description == "Twin of a RealSense D435, serial number 000042, USB 3.2"
    bench.camera.disconnect()
    with pytest.raises(DeviceError, match="not connected"):
        _ = bench.camera.description


def test_frames_from_before_the_start_are_never_given(make_bench) -> None:
    bench = make_bench()
    time.sleep(0.2)  # for which a camera that kept its frames would fill up
    begin_s = time.monotonic()
    with bench.camera as camera:
        assert camera.read().timestamp > begin_s - bench.twin.settings.latency_s - 0.05


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
