"""What goes wrong on the wire, in mid-move: the driver says why and has stopped the arm, within what time."""

import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from control.arms.params import ArmParams
from control.arms.xarm.driver import XArm
from control.arms.xarm.setup import enter_mode
from control.arms.xarm.wire.sdk import is_wire_up, wait_until
from datasets.common.errors import DeviceError, SafetyStop
from datasets.rig.rig import Rig
from pace import paced
from pipelines.twin.controller.controller import ControllerTwin
from pipelines.twin.controller.faults import STALL_S
from pipelines.twin.controller.firmware import RESET
from pipelines.twin.controller.protocol import Register

pytestmark = pytest.mark.realtime

STOP_DEADLINE_S = 0.25
PARAMS = ArmParams()

FAULTS = {
    "c21": ("C21: kinematic error", 0.0),
    "c24": ("C24: a joint was asked to move too fast", 0.0),
    "c31": ("C31: the arm hit something", 0.0),
    "c35": ("C35: the TCP reached the controller's safety boundary", 0.0),
    "estop": ("C1: the emergency stop button", 0.0),
    "mode0": (r"left mode \d for mode 0", 0.0),
    "pause": ("state 3: paused", 0.0),
    "no_solution": ("did not carry out a command: warning W14", 0.2),
    "drop_control": ("connection to the controller broke", 0.0),
    "drop_motion": ("connection to the controller broke", 0.0),
    "drop_reports": ("no report of the arm's position", PARAMS.report_deadline_s),
    "mute_reports": ("no report of the arm's position", PARAMS.report_deadline_s),
    "silent": ("no report of the arm's position", PARAMS.report_deadline_s),
    "silent_motion": ("has not answered a command", PARAMS.command_deadline_s),
}
"""Fault: what the driver says, and after what missing report's or reply's deadline it can know."""
UNCONFIRMED = "stop NOT confirmed by the controller"
UNSTOPPABLE = {"silent", "drop_control"}
"""Nothing reaches the controller: the arm ends at its last target (mode 7) or when the velocity's duration does."""


def begin_moving(arm: XArm) -> None:
    for _ in paced(range(3)):
        arm.move(np.array([0.0, 0.02, 0.0]))
    arm.move(np.array([0.0, 0.02, 0.0]))


IN_VELOCITY_MODE = ("c24", "mode0", "pause", "drop_control", "drop_motion", "mute_reports", "silent", "silent_motion")


@pytest.mark.parametrize(
    ("fault", "arm"),
    [*((fault, "online_line") for fault in FAULTS), *((fault, "velocity") for fault in IN_VELOCITY_MODE)],
    indirect=["arm"],
)
def test_a_fault_in_mid_move_stops_the_arm_in_time_and_is_named(
    fault: str, arm: XArm, twin: ControllerTwin, held_up: Callable[[], float]
) -> None:
    words, deadline_s = FAULTS[fault]
    begin_moving(arm)
    twin.inject(fault)
    began, held_up_before = time.monotonic(), held_up()
    if fault == "silent_motion":
        arm.move(np.array([0.0, 0.02, 0.0]))
    assert wait_until(lambda: arm.fault is not None, 2.0, 0.002)
    if fault not in UNSTOPPABLE:
        assert wait_until(lambda: twin.firmware.speed_m_s() == 0 and twin.firmware.state == 4, 2.0, 0.002)
    at_rest_s = time.monotonic() - began - (held_up() - held_up_before)
    assert at_rest_s <= deadline_s + STOP_DEADLINE_S
    assert not arm.is_connected
    assert wait_until(lambda: re.search(words, str(arm.fault)) is not None, 1.0), arm.fault
    with pytest.raises(DeviceError, match=words):
        arm.move(np.zeros(3))
    assert wait_until(lambda: twin.firmware.speed_m_s() == 0, 0.4)
    assert not wait_until(lambda: twin.firmware.speed_m_s() > 0, 0.15)
    assert np.linalg.norm(twin.tcp() - arm.target) < 0.05
    assert arm.fence.contains(twin.tcp(), tolerance_m=1e-4)
    assert any("stopping:" in event for _, event in arm.events)


def test_an_arm_that_is_seen_outside_the_fence_is_stopped(
    arm: XArm, twin: ControllerTwin, monkeypatch: pytest.MonkeyPatch, held_up: Callable[[], float]
) -> None:
    begin_moving(arm)
    began, held_up_before = time.monotonic(), held_up()
    # The fence is moved and not the arm, which the checks of joints and of the way to its target would stop before.
    above = np.array([0.0, 0.0, 1.0])
    aside = replace(arm.fence, low_m=arm.fence.low_m + above, high_m=arm.fence.high_m + above)
    monkeypatch.setattr(arm._link, "_fence", aside)
    assert wait_until(lambda: twin.firmware.speed_m_s() == 0 and twin.firmware.state == 4, 2.0, 0.002)
    assert time.monotonic() - began - (held_up() - held_up_before) <= STOP_DEADLINE_S
    assert "the TCP is outside the fence" in str(arm.fault)


@pytest.mark.parametrize("arm", ["online_line", "velocity"], indirect=True)
@pytest.mark.parametrize("fault", ["stall", "slow", "latency", "jitter"])
def test_what_a_healthy_controller_does_now_and_then_stops_nothing(
    fault: str, arm: XArm, twin: ControllerTwin, held_up: Callable[[], float]
) -> None:
    begin_moving(arm)
    twin.inject(fault)
    for _ in paced(range(5)):
        began, held_up_before = time.monotonic(), held_up()
        arm.move(np.array([0.0, 0.01, 0.0]))
        waited_s = time.monotonic() - began - (held_up() - held_up_before)
        assert waited_s < PARAMS.reply_wait_s + 0.08, "the loop must not wait for the controller"
    for _ in paced(range(20)):
        if arrived := np.linalg.norm(arm.tcp - arm.target) < 2e-3:
            break
        arm.move(np.zeros(3))
    assert arm.fault is None
    assert arrived
    assert len(twin.faults.stalls_s) == (fault == "stall")
    assert all(over - began >= STALL_S for began, over in twin.faults.stalls_s)


def test_a_warning_is_told_in_words_once_and_stops_nothing(
    arm: XArm, twin: ControllerTwin, caplog: pytest.LogCaptureFixture
) -> None:
    def told() -> list[str]:
        return [event for _, event in arm.events if "warning" in event]

    begin_moving(arm)
    twin.inject("warning")
    assert wait_until(lambda: bool(told()), 1.0)
    for _ in paced(range(5)):
        arm.move(np.array([0.0, 0.01, 0.0]))
    assert arm.fault is None
    twin.firmware.warn(0)
    assert wait_until(lambda: len(told()) > 1, 1.0)
    first, second = told()
    assert first.startswith("the controller reports warning W15: its Modbus queue is full; ")
    assert second == "the controller's warning W15 is over"
    shown = [record.getMessage() for record in caplog.records if record.name == "control.arms.xarm.link"]
    assert shown == [first]


def test_stop_is_quick_while_the_motion_connection_hangs(
    arm: XArm, twin: ControllerTwin, held_up: Callable[[], float]
) -> None:
    begin_moving(arm)
    twin.inject("silent_motion")
    arm.move(np.array([0.0, 0.02, 0.0]))
    began, held_up_before = time.monotonic(), held_up()
    assert arm.stop()
    assert time.monotonic() - began - (held_up() - held_up_before) < 0.1
    assert twin.firmware.state == 4


def test_stop_of_a_silent_controller_gives_up_in_time_and_says_so(
    arm: XArm, twin: ControllerTwin, caplog: pytest.LogCaptureFixture, held_up: Callable[[], float]
) -> None:
    begin_moving(arm)
    twin.inject("silent")
    began, held_up_before = time.monotonic(), held_up()
    assert not arm.stop()
    assert time.monotonic() - began - (held_up() - held_up_before) < 0.5
    assert any(UNCONFIRMED in event for _, event in arm.events)
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert errors
    assert all(UNCONFIRMED in error and "press the emergency stop" in error for error in errors)


@pytest.mark.slow
@pytest.mark.skipif(not Path("models/estimator/estimator.json").is_file(), reason="no trained models yet")
def test_a_stop_that_nobody_confirmed_is_told_on_stderr_at_once_and_last(patient_folder: Path) -> None:
    command = [sys.executable, "-m", "pipelines.run_real", "--policy", "p", "--goal", "0.45", "0.1", "0.3"]
    more = {"cwd": patient_folder, "env": {**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])}}
    command += ["--fault", "silent@0.2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, **more)
    assert done.returncode == 3, done.stderr
    # The arm goes on, and its reports do not: by patient deadlines the pictures or the targets may tell it first.
    why = "no report of the (arm's position|controller's errors)|estimate (drifted from|disagrees with) the encoders"
    why += "|the arm is [0-9]+ mm from its target"
    assert re.search(f"stopped: .*({why})", done.stderr), done.stderr
    told = [line for line in done.stderr.splitlines() if UNCONFIRMED in line]
    assert len(told) >= 2
    assert told[0].startswith(UNCONFIRMED)
    assert done.stderr.splitlines()[-1] == f"pipelines.run_real: {told[0]}"


def test_stop_with_both_connections_broken_returns_at_once(
    arm: XArm, twin: ControllerTwin, held_up: Callable[[], float]
) -> None:
    begin_moving(arm)
    twin.inject("drop_control")
    assert wait_until(lambda: twin.clients == [], 1.0)
    began, held_up_before = time.monotonic(), held_up()
    assert not arm.stop()
    assert time.monotonic() - began - (held_up() - held_up_before) < 0.1
    assert any(UNCONFIRMED in event for _, event in arm.events)


def test_disconnect_from_a_silent_controller_is_bounded(arm: XArm, twin: ControllerTwin) -> None:
    twin.inject("silent")
    began = time.monotonic()
    arm.disconnect()
    assert time.monotonic() - began < 5


def test_an_error_is_never_cleared_and_motors_never_enabled_without_a_new_connect(
    arm: XArm, twin: ControllerTwin
) -> None:
    began = time.monotonic()
    twin.inject("estop")
    cleans_or_enables = {16, 11}
    assert not wait_until(
        lambda: any(at_s > began and request.register in cleans_or_enables for at_s, request in list(twin.log)), 0.3
    )
    with pytest.raises(DeviceError, match="C1: the emergency stop button"):
        arm.connect()
    twin.faults.clear()
    with pytest.raises(DeviceError, match="C1: the emergency stop button"):
        arm.connect()
    assert twin.firmware.error == 1
    twin.firmware.clean_error()  # the operator, in the vendor's studio
    arm.connect()
    assert arm.is_connected


def test_after_a_stop_the_stopped_arm_is_not_armed_again_by_any_call(arm: XArm, twin: ControllerTwin) -> None:
    begin_moving(arm)
    arm.stop()
    for call in (lambda: arm.move(np.zeros(3)), arm.home, lambda: arm.go_to(arm.tcp)):
        with pytest.raises(SafetyStop):
            call()
    assert twin.firmware.state == 4


def test_a_stop_while_the_posture_is_taken_is_not_undone_by_the_new_mode(
    arm: XArm, twin: ControllerTwin, rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def enter_after_a_stop(api: object, mode: int) -> None:
        arm.stop()
        enter_mode(api, mode)
        assert twin.firmware.may_move

    monkeypatch.setattr("control.arms.xarm.driver.enter_mode", enter_after_a_stop)
    with pytest.raises(SafetyStop):
        arm.take_posture(np.asarray(rig.home_joints_rad) + 0.1)
    assert Register.MOVE_JOINT not in {request.register for _, request in twin.log}
    assert twin.firmware.state == 4


def test_a_report_from_before_the_new_mode_does_not_end_the_posture(
    arm: XArm, twin: ControllerTwin, rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def enter_before_the_next_report(api: object, mode: int) -> None:
        enter_mode(api, mode)
        arm._link.state = RESET  # as an old report says, which no server can send at that moment

    monkeypatch.setattr("control.arms.xarm.driver.enter_mode", enter_before_the_next_report)
    joints = np.asarray(rig.home_joints_rad) + 0.02
    arm.take_posture(joints)
    np.testing.assert_allclose(twin.joints(), joints, atol=0.005)
    assert arm.is_connected


def test_a_stop_is_sent_though_an_old_report_says_stopped(arm: XArm, twin: ControllerTwin) -> None:
    begin_moving(arm)
    arm._link.stopped, arm._link.state = True, 4  # as an old report says, which no server can send at that moment
    arm.stop()
    assert twin.firmware.state == 4


def test_disconnecting_stops_by_the_motion_connection_when_the_other_broke(arm: XArm, twin: ControllerTwin) -> None:
    begin_moving(arm)
    # Without the watch, which would stop the arm itself when the connection breaks.
    arm._link._closing.set()
    arm._link._watch_thread.join()
    for client in [client for client in twin.clients if not client.commands_motion]:
        client.close()
    assert wait_until(lambda: not is_wire_up(arm._link.guard), 1.0)
    arm.disconnect()
    assert twin.firmware.state == 4


CLIENT = """
import sys, time
from control.arms.params import ArmParams
from control.arms.xarm.driver import XArm
from datasets.rig.rig import Rig
from pipelines.twin.controller.controller import point_sdk_at_emulators

point_sdk_at_emulators()
params = ArmParams(mode=sys.argv[2], report_deadline_s=1.0, command_deadline_s=1.0)
with XArm(sys.argv[1], Rig.load(), params) as arm:
    for step in range(100):
        arm.move([0.0, 0.0, -0.025 if step < 10 else 0.0])
        print(*arm.target, flush=True)
        time.sleep(0.1)  # the pace of a control loop
"""


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["online_line", "velocity"])
def test_an_arm_whose_process_is_killed_comes_to_rest_inside_the_fence(
    rig: Rig, twin: ControllerTwin, mode: str, held_up: Callable[[], float]
) -> None:
    command = [sys.executable, "-c", CLIENT, twin.host, mode]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        lines = [client.stdout.readline() for _ in range(4)]
        assert wait_until(lambda: twin.firmware.speed_m_s() > 0.1, 0.5)
        client.kill()
        lines += client.stdout.readlines()
    target = np.array([float(value) for value in lines[-1].split()])
    assert wait_until(lambda: twin.firmware.speed_m_s() == 0, 1.0)
    assert np.linalg.norm(twin.tcp() - target) < 0.06
    # A velocity is as good as the reports it was made from, which a busy machine may have let lie for a moment.
    late_s = PARAMS.report_delay_s + held_up()
    outside = np.maximum(rig.workspace.low - twin.tcp(), twin.tcp() - rig.workspace.high).max()
    assert outside <= (1e-4 if mode == "online_line" else rig.max_speed_m_s * late_s)
    assert wait_until(lambda: twin.clients == [], 2.0)


SDK_CALLS = {
    "set_servo_angle": lambda arm: arm.take_posture(np.asarray(Rig.load().home_joints_rad)),
    "set_position": lambda arm: arm.move(np.array([0.01, 0.0, 0.0])),
    "vc_set_cartesian_velocity": lambda arm: arm.move(np.array([0.01, 0.0, 0.0])),
}


@pytest.mark.parametrize(
    ("arm", "name"),
    [("online_line", "set_servo_angle"), ("online_line", "set_position"), ("velocity", "vc_set_cartesian_velocity")],
    indirect=["arm"],
)
def test_what_the_sdk_raises_becomes_a_device_error_and_stops_the_arm(arm, twin, name, monkeypatch) -> None:
    def blank_serial_number(*values: object, **named: object) -> int:
        return int("")

    monkeypatch.setattr(arm._link.motion, name, blank_serial_number)  # of this arm's connection alone
    with pytest.raises(DeviceError, match=f"{name}.*failed.*invalid literal"):
        SDK_CALLS[name](arm)
    assert wait_until(lambda: twin.firmware.state == 4, 1.0)
    assert not arm.is_connected


@pytest.mark.parametrize("broken", ["get_err_warn_code", "error_code"])
def test_a_watch_that_cannot_ask_stops_the_arm_all_the_same(arm, twin, broken, monkeypatch) -> None:
    def fail(*values: object) -> None:
        raise ValueError("broken")

    # The SDK's class, whichever that is.
    monkeypatch.setattr(type(arm._link.guard), broken, fail if broken == "get_err_warn_code" else property(fail))
    twin.inject("pause")
    assert wait_until(lambda: arm.fault is not None and twin.firmware.state == 4, 1.0)
    assert wait_until(lambda: "ValueError: broken" in arm.fault, 1.0)  # which is asked once the stop is out
