"""What comes out of the ordinary pipeline: new frames in metres, aligned, of a time that is known."""

import time

import numpy as np
import pyrealsense2 as rs
import pytest

from control.arms.xarm.wire.sdk import wait_until
from datasets.rig.frame import Frame
from perception.cameras.realsense.aligned_stream import AlignedStream, Rejected
from perception.cameras.realsense.settings import CameraParams
from pipelines.twin.camera.software_realsense import Shot, SoftwareRealSense

pytestmark = pytest.mark.realtime


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


def test_frames_from_before_the_start_are_never_given(make_bench) -> None:
    bench = make_bench()
    time.sleep(0.2)  # for which a camera that kept its frames would fill up
    begin_s = time.monotonic()
    with bench.camera as camera:
        assert camera.read().timestamp > begin_s - bench.twin.settings.latency_s - 0.05
