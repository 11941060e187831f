"""What a stop is: it goes out before anything is asked, needs no new thread, and is confirmed by what the arm does."""

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from control.arms.params import ArmParams
from control.arms.xarm.driver import XArm
from control.arms.xarm.wire.sdk import wait_until
from datasets.common.errors import DeviceError
from datasets.common.suspension import Suspension
from datasets.rig.rig import Rig
from pipelines.twin.controller.controller import ControllerTwin
from pipelines.twin.controller.protocol import Register

FAR = np.array([0.0, 0.25, 0.0])
MOST_S = 0.42
STOPPED, READY = 4, 2


@pytest.fixture
def arm(rig: Rig, twin: ControllerTwin) -> Iterator[XArm]:
    with XArm(twin.host, rig) as arm:
        yield arm


def drive(arm: XArm, twin: ControllerTwin) -> None:
    """Under way to a far target, at 0.1 m/s, for the next two seconds."""
    # By the connection itself: no public command goes so far in one step.
    arm._link.expected = None
    arm._link.post(arm._command(arm.target + FAR, np.zeros(3), 0.1))
    assert wait_until(lambda: twin.firmware.speed_m_s() > 0.05, 1.0)


def said(arm: XArm, words: str) -> list[str]:
    return [event for _, event in arm.events if words in event]


def registers(twin: ControllerTwin, since_s: float) -> list[tuple[int, bytes]]:
    return [(request.register, request.payload) for time_s, request in list(twin.log) if time_s >= since_s]


@pytest.mark.realtime
def test_a_stop_that_is_acknowledged_only_is_not_confirmed(
    arm: XArm, twin: ControllerTwin, held_up: Callable[[], float], caplog: pytest.LogCaptureFixture
) -> None:
    drive(arm, twin)
    twin.inject("ack_without_stop")
    began, before = time.monotonic(), held_up()
    assert not arm.stop()
    assert time.monotonic() - began - (held_up() - before) <= MOST_S
    assert twin.firmware.speed_m_s() > 0.05
    assert not said(arm, "stop confirmed")
    (told,) = said(arm, "stop NOT confirmed")
    assert "acknowledged" in told
    assert "press the emergency stop" in told
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [told]


@pytest.mark.realtime
@pytest.mark.parametrize("fault", ["nan_reports", "frozen_pose"])
def test_reports_that_are_not_the_arms_confirm_no_stop(arm: XArm, twin: ControllerTwin, fault: str) -> None:
    drive(arm, twin)
    arm._proof.target = arm.target + FAR  # a target as drive has sent, so that the reports are found stale
    twin.inject(fault)
    assert wait_until(lambda: bool(said(arm, "stop NOT confirmed")), 2.0)
    assert twin.firmware.state == STOPPED
    assert not said(arm, "stop confirmed")
    arm.disconnect()
    assert not said(arm, "stop confirmed")


@pytest.mark.realtime
def test_a_confirmed_stop_is_one_of_an_arm_at_rest(arm: XArm, twin: ControllerTwin) -> None:
    for _ in range(5):
        drive(arm, twin)
        assert arm.stop()
        assert twin.firmware.state == STOPPED
        assert twin.firmware.speed_m_s() == 0
        arm.disconnect()
        arm.connect()


@pytest.mark.realtime
def test_an_arm_that_stands_since_its_stop_is_closed_without_alarm(
    arm: XArm, twin: ControllerTwin, caplog: pytest.LogCaptureFixture
) -> None:
    """It stands short of its target and its pose repeats to the last bit, which is no sign of stale reports."""
    for _ in range(3):
        arm.move(np.array([0.0, 0.02, 0.0]))
    assert wait_until(lambda: twin.firmware.speed_m_s() > 0.05, 1.0)
    assert arm.stop()
    # By the driver's own judge, for as long as it would take: nothing public says what is not the matter.
    assert not wait_until(lambda: arm._proof.is_blind, 1.0)
    arm.disconnect()
    assert "NOT confirmed" not in caplog.text
    assert said(arm, "stop confirmed")


@pytest.mark.realtime
@pytest.mark.parametrize("moves", [True, False])
def test_an_arm_that_goes_on_after_its_stop_is_noticed_and_stopped_once_more(
    arm: XArm, twin: ControllerTwin, moves: bool
) -> None:
    drive(arm, twin)
    assert arm.stop()
    firmware = twin.firmware
    firmware.set_state(0)  # another program
    if moves:
        joints = firmware.joints() + np.array([0.3, 0, 0, 0, 0, 0, 0])
        firmware.go(firmware.joint_target(joints, 0.3, 1.0), interrupts=True)
    assert wait_until(lambda: bool(said(arm, "the arm was stopped, but")), 1.0)
    assert wait_until(lambda: len(said(arm, "stop confirmed")) == 2, 1.0)
    assert firmware.state == STOPPED
    assert firmware.speed_m_s() == 0
    (told,) = said(arm, "the arm was stopped, but")
    assert ("is moving again" if moves else "was made ready again") in told
    firmware.set_state(0)  # and once more: told, but not fought over
    assert wait_until(lambda: len(said(arm, "the arm was stopped, but")) == 2, 1.0)
    assert not wait_until(lambda: firmware.state != READY, 0.3)


@pytest.mark.realtime
def test_disconnecting_looks_again_too(arm: XArm, twin: ControllerTwin) -> None:
    drive(arm, twin)
    threading.Timer(0.15, lambda: twin.firmware.set_state(0)).start()
    arm.disconnect()
    assert said(arm, "the arm was stopped, but was made ready again")
    assert twin.firmware.state == STOPPED


@pytest.mark.realtime
@pytest.mark.parametrize("fault", ["c31", "c24", "pause", "mode0", "estop"])
def test_the_stop_goes_out_before_the_controller_is_asked_for_the_cause(
    arm: XArm, twin: ControllerTwin, fault: str
) -> None:
    drive(arm, twin)
    began = time.monotonic()
    twin.inject(fault)
    assert wait_until(lambda: bool(said(arm, "stop confirmed")), 1.0)
    first, *others = registers(twin, began)
    assert first == (Register.SET_STATE, bytes([STOPPED]))
    assert (Register.GET_ERROR, b"") in others
    if fault in ("c31", "c24"):
        with pytest.raises(DeviceError, match=fault.upper()):
            arm.move(np.zeros(3))


@pytest.mark.realtime
def test_no_posture_is_asked_about_before_the_stop(arm: XArm, twin: ControllerTwin, rig: Rig) -> None:
    twin.firmware.ignores_moves = True
    arm._link._closing.set()  # the driver's own order, without the watch's
    began = time.monotonic()
    with pytest.raises(DeviceError, match="did not reach the posture"):
        arm.take_posture(np.asarray(rig.home_joints_rad) + 0.001 * np.arange(7))
    asked = [each for each in registers(twin, began) if each[0] in (Register.GET_ERROR, Register.SET_STATE)]
    moving = asked[asked.index((Register.SET_STATE, b"\0")) + 1 :]  # before it the error is asked for
    assert moving.index((Register.SET_STATE, bytes([STOPPED]))) < moving.index((Register.GET_ERROR, b""))


@pytest.mark.realtime
def test_stopping_and_disconnecting_need_no_new_thread(
    arm: XArm, twin: ControllerTwin, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    drive(arm, twin)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", full)
        assert arm.stop()
        assert twin.firmware.state == STOPPED
        arm.disconnect()
    assert twin.firmware.state == STOPPED
    assert wait_until(lambda: twin.clients == [], 2.0)


@pytest.mark.realtime
def test_a_stop_of_a_stopper_that_is_gone_is_sent_by_its_caller(arm: XArm, twin: ControllerTwin) -> None:
    drive(arm, twin)
    # What only a crash of the driver's own threads would bring about.
    for _, stopper in arm._link._stoppers:
        stopper.close()
        stopper._thread.join(1.0)
    assert arm.stop()
    assert twin.firmware.state == STOPPED


@pytest.mark.realtime
def test_a_stop_from_many_threads_at_once_takes_no_longer(
    arm: XArm, twin: ControllerTwin, held_up: Callable[[], float]
) -> None:
    """From the four that may stop a run at the same moment: its loop, its watchdog, the monitor, a signal's handler."""
    drive(arm, twin)
    twin.inject("silent")
    took: list[float] = []

    def stop() -> None:
        began, before = time.monotonic(), held_up()
        assert not arm.stop()
        took.append(time.monotonic() - began - (held_up() - before))

    threads = [threading.Thread(target=stop) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(took) == len(threads)
    assert max(took) <= MOST_S + 0.05


@pytest.mark.realtime
def test_a_computer_that_slept_stops_the_arm(arm: XArm, twin: ControllerTwin) -> None:
    drive(arm, twin)
    ahead_s = [0.0]
    # No test can send the computer to sleep.
    arm._link._suspension = Suspension(always=lambda: time.monotonic() + ahead_s[0])
    assert not wait_until(lambda: arm.fault is not None, 0.05)
    ahead_s[0] = 1.5
    assert wait_until(lambda: arm.fault is not None and twin.firmware.state == STOPPED, 1.0)
    assert "the computer slept for 1.5 s" in str(arm.fault)


def test_the_deadlines_leave_the_second_connection_its_turn() -> None:
    assert 2 * ArmParams().stop_timeout_s < MOST_S


@pytest.mark.realtime
def test_a_stop_whose_reply_is_late_is_confirmed_by_the_reports(
    twin: ControllerTwin, rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with XArm(twin.host, rig) as arm:
        arm.move(np.array([0.0, 0.02, 0.0]))
        monkeypatch.setattr("pipelines.twin.controller.faults.SLOW_S", 0.12)
        twin.inject("slow")
        assert arm.stop()
        assert twin.firmware.state == STOPPED
        assert not [event for _, event in arm.events if "NOT confirmed" in event]
