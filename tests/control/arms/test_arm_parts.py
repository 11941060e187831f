"""The small parts of the arm's driver: newest command first, poses of the past."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.arms.xarm.braking import speed_within
from control.arms.xarm.wire.pose_history import Pose, PoseHistory
from control.arms.xarm.wire.sdk import run_bounded, wait_until
from control.arms.xarm.wire.sender import CommandSender
from datasets.common.errors import DeviceError

pytestmark = pytest.mark.realtime


def test_a_command_overtaken_before_it_left_is_dropped_and_the_newest_is_sent() -> None:
    sent, gate = [], threading.Event()

    def send(command: int) -> int:
        sent.append(command)
        gate.wait(2)
        return 0

    sender = CommandSender(send, refused=lambda code: None)
    sender.post(1, wait_s=0.05)
    assert wait_until(lambda: sender.unanswered == 1, 1.0)
    for command in (2, 3, 4):
        sender.post(command, wait_s=0.0)
    gate.set()
    sender.post(5, wait_s=1.0)
    sender.close()
    assert sent[0] == 1
    assert sent[-1] == 5
    assert 2 not in sent
    assert 3 not in sent
    assert sender.unanswered == 0


def test_a_refused_command_is_told_and_a_dropped_one_never_leaves() -> None:
    codes: list[int] = []
    sender = CommandSender(lambda command: command, refused=codes.append)
    sender.post(9, wait_s=1.0)
    sender.drop()
    sender.close()
    sender.close()
    assert codes == [9]


def test_a_call_that_hangs_is_left_behind_and_one_that_raises_is_told() -> None:
    over, began = threading.Event(), time.monotonic()
    with pytest.raises(DeviceError, match="did not finish 'enable' within"):
        run_bounded(lambda: over.wait(60), 0.05, "enable")
    assert time.monotonic() - began < 10
    over.set()
    with pytest.raises(DeviceError, match="'enable' failed: broken"):
        run_bounded(lambda: exec("raise ValueError('broken')"), 1.0, "enable")
    assert run_bounded(lambda: 7, 1.0, "enable") == 7


@given(part=st.floats(0, 1))
def test_poses_between_two_reports_lie_on_the_line(part: float) -> None:
    history = PoseHistory()
    history.add(Pose(1.0, np.zeros(3), np.zeros(7)))
    history.add(Pose(2.0, np.ones(3), np.full(7, 2.0)))
    pose = history.at(1.0 + part)
    np.testing.assert_allclose(pose.xyz, part, atol=1e-9)
    np.testing.assert_allclose(pose.joints, 2 * part, atol=1e-9)


def test_moments_the_reports_do_not_cover_are_refused() -> None:
    history = PoseHistory(length=3, max_gap_s=0.2)
    with pytest.raises(DeviceError, match="connect it first"):
        _ = history.latest
    for time_s in (1.0, 2.0, 3.0, 4.0):
        history.add(Pose(time_s, np.full(3, time_s), np.zeros(7)))
    assert history.at(4.15).xyz[0] == 4.0
    with pytest.raises(DeviceError, match="300 ms older"):
        history.at(4.3)
    with pytest.raises(DeviceError, match="go back 2"):
        history.at(1.5)
    history.clear()
    with pytest.raises(DeviceError, match="connect it first"):
        history.at(4.0)


@given(room=st.floats(0, 0.5), now=st.floats(-0.25, 0.25), duration=st.floats(0.05, 0.5), braking=st.floats(0.5, 20.0))
def test_a_velocity_fits_into_the_room_with_slowing_down_and_braking(room, now, duration, braking) -> None:
    def way(speed: float) -> float:
        return speed * duration + (speed**2 + max(now - speed, 0) ** 2) / (2 * braking)

    speed = float(speed_within(np.array([room]), np.array([now]), duration, braking)[0])
    least = max(now - braking * duration, 0) / 2  # slower than that, slowing down takes the longer way
    if room >= way(least):
        assert way(speed) <= room + 1e-9
        assert way(speed + 1e-4) > room
    else:
        assert speed == pytest.approx(least)


@given(times=st.lists(st.floats(0, 10), min_size=1, max_size=8, unique=True).map(sorted), part=st.floats(0, 1))
def test_an_arm_that_stood_still_was_always_where_it_is(times: list[float], part: float) -> None:
    history = PoseHistory()
    for time_s in times:
        history.add(Pose(time_s, np.full(3, time_s), np.full(7, time_s)))
    span_s = history.span_s
    history.stood_still()
    assert history.span_s == span_s
    np.testing.assert_allclose(history.at(times[0] + part * span_s).xyz, times[-1])
