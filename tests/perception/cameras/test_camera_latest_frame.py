"""The newest frame only, from one thread to others."""

import re
import threading
import time

import numpy as np
import pytest

from datasets.common.errors import DeviceError
from datasets.rig.frame import Frame
from perception.cameras.latest_frame import LatestFrame

pytestmark = pytest.mark.realtime


def frame(age_s: float = 0.0) -> Frame:
    return Frame(np.zeros((2, 3, 3), np.uint8), np.ones((2, 3), np.float32), time.monotonic() - age_s)


def test_take_gives_each_frame_once() -> None:
    box, first = LatestFrame(), frame()
    box.post(first)
    assert box.take(0.0) is first
    with pytest.raises(DeviceError, match="no new frame within"):
        box.take(0.0)


def test_take_skips_what_was_replaced() -> None:
    box, newest = LatestFrame(), frame()
    box.post(frame())
    box.post(newest)
    assert box.take(0.0) is newest


def test_take_waits_for_a_frame_posted_by_another_thread() -> None:
    box, late = LatestFrame(), frame()
    poster = threading.Timer(0.05, box.post, [late])
    poster.start()
    assert box.take(5.0) is late
    poster.join()


def test_take_is_woken_by_a_fault() -> None:
    box = LatestFrame()
    poster = threading.Timer(0.05, box.fail, [DeviceError("unplugged")])
    poster.start()
    with pytest.raises(DeviceError, match="unplugged"):
        box.take(60.0)
    poster.join()


def test_latest_gives_the_same_frame_until_a_newer_one_comes() -> None:
    box, first = LatestFrame(), frame()
    box.post(first)
    assert box.latest(1.0) is first
    assert box.latest(1.0) is first


def test_read_after_latest_waits_for_a_newer_one() -> None:
    box = LatestFrame()
    box.post(frame())
    box.latest(1.0)
    with pytest.raises(DeviceError, match="no new frame"):
        box.take(0.0)


@pytest.mark.parametrize("max_age_s", [0.1, 0.0, float("nan")])
def test_latest_refuses_a_stale_frame(max_age_s: float) -> None:
    box, began = LatestFrame(), time.monotonic()
    box.post(frame(age_s=0.5))
    with pytest.raises(DeviceError) as refused:
        box.latest(max_age_s)
    (told_ms,) = re.findall(r"(\d+) ms old", str(refused.value))
    assert 500 <= int(told_ms) <= 501 + 1e3 * (time.monotonic() - began)


def test_latest_gives_a_newer_frame_a_moment_when_the_newest_is_stale() -> None:
    box, newer = LatestFrame(), frame(age_s=-5.0)
    box.post(frame(age_s=1.0))
    poster = threading.Timer(0.05, box.post, [newer])
    poster.start()
    assert box.latest(0.5, catch_up_s=60.0) is newer
    poster.join()


def test_latest_waiting_for_a_newer_frame_is_woken_by_a_fault() -> None:
    box = LatestFrame()
    box.post(frame(age_s=1.0))
    poster = threading.Timer(0.05, box.fail, [DeviceError("unplugged")])
    poster.start()
    with pytest.raises(DeviceError, match="unplugged"):
        box.latest(0.5, catch_up_s=60.0)
    poster.join()


def test_latest_before_any_frame() -> None:
    with pytest.raises(DeviceError, match="not given a frame yet"):
        LatestFrame().latest(1.0)


def test_a_fault_hides_the_frame_until_a_newer_one_comes() -> None:
    class Special(DeviceError):
        pass

    box, fresh = LatestFrame(), frame()
    box.post(frame())
    box.fail(Special("dead"))
    for call in (lambda: box.take(0.0), lambda: box.latest(1.0)):
        with pytest.raises(Special, match="dead"):
            call()
    box.post(fresh)
    assert box.latest(1.0) is fresh
