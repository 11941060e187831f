"""Who else moves the arm, and an arm that does not follow: noticed when connecting and while it runs."""

import contextlib
import re
import time
from dataclasses import replace

import numpy as np
import pytest

from control.arms.params import ArmParams
from control.arms.xarm.driver import _LEAST_LAG_M, _MAX_LAG_STEPS, XArm  # the bounds that are tested
from control.arms.xarm.wire import sdk
from datasets.arm.kinematics import Kinematics
from datasets.common.errors import DeviceError, SafetyStop
from datasets.rig.rig import Rig
from pace import paced
from pipelines.twin.controller.controller import ControllerTwin
from pipelines.twin.controller.firmware import PAUSED, STOPPED
from pipelines.twin.controller.protocol import Register

pytestmark = pytest.mark.realtime


def set_up_before(twin: ControllerTwin, rig: Rig) -> None:
    """Tool and payload are set already, so that setting them again resets nothing."""
    twin.firmware.configure(tcp_offset_mm_rad=(0.0, 0.0, 172.0, 0.0, 0.0, 0.0), load_kg_mm=(0.82, 0.0, 0.0, 48.0))
    twin.firmware.enable(True)


def somebody_moves(twin: ControllerTwin, y_mm: float, speed_mm_s: float = 200.0) -> None:
    """A line as another client commands it, with no boundary and in mode 0."""
    firmware = twin.firmware
    with firmware.lock:
        firmware.advance()
        firmware.limit(fence_on=False, reduced_on=False)
        firmware.set_mode(0)
        firmware.set_state(0)
        x, _, z, *angles = firmware.pose()
        firmware.go(firmware.line((x, y_mm, z, *angles), speed_mm_s, 2000.0), interrupts=True)


def test_a_paused_motion_is_not_resumed_by_connecting(twin: ControllerTwin, rig: Rig) -> None:
    set_up_before(twin, rig)
    somebody_moves(twin, 420.0)
    assert sdk.wait_until(lambda: twin.firmware.speed_m_s() > 0.1, 1.0)
    twin.firmware.pause()
    assert sdk.wait_until(lambda: twin.firmware.speed_m_s() == 0, 1.0)
    here = twin.tcp()
    with pytest.raises(DeviceError, match="paused the arm in mid-motion"):
        XArm(twin.host, rig, ArmParams(collision_sensitivity=4)).connect()
    assert twin.firmware.state == PAUSED, "whoever paused it decides"
    np.testing.assert_allclose(twin.tcp(), here, atol=1e-6)


def test_what_waits_in_the_controller_is_dropped_before_it_is_made_ready(
    twin: ControllerTwin, rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up_before(twin, rig)
    monkeypatch.setattr("control.arms.xarm.driver.check_controller", lambda *given: None)  # lets a paused arm pass
    somebody_moves(twin, 420.0)
    twin.firmware.pause()
    assert sdk.wait_until(lambda: twin.firmware.speed_m_s() == 0, 1.0)
    here = twin.tcp()
    with XArm(twin.host, rig, ArmParams(collision_sensitivity=4), take_over=True):
        assert not sdk.wait_until(lambda: not np.allclose(twin.tcp(), here, rtol=0, atol=1e-4), 0.2)


@pytest.mark.parametrize("speed_mm_s", [20.0, 200.0])
def test_an_arm_that_somebody_moves_is_not_taken_over(twin: ControllerTwin, rig: Rig, speed_mm_s: float) -> None:
    somebody = twin.firmware
    set_up_before(twin, rig)
    somebody.enable(True)
    somebody_moves(twin, 250.0, speed_mm_s)
    since = time.monotonic()
    with (
        pytest.raises(SafetyStop, match="the arm is moving, though nothing was commanded from here"),
        XArm(twin.host, rig),  # closed again where it connects, or every later test would find its lock
    ):
        pass
    setting = {Register.MOTION_EN, Register.SET_MODE, Register.MOVE_LINE}
    assert twin.firmware.speed_m_s() > 0.5 * speed_mm_s / 1000, "nor stopped"
    assert not setting & {request.register for time_s, request in twin.log if time_s > since}


@pytest.mark.parametrize("mode", ["online_line", "velocity"])
@pytest.mark.parametrize("speed_m_s", [0.25, 0.05])
def test_an_arm_that_does_not_follow_stops_before_its_target_has_run_away(
    twin: ControllerTwin, rig: Rig, mode: str, speed_m_s: float
) -> None:
    with XArm(twin.host, rig, ArmParams(mode=mode), max_speed_m_s=speed_m_s) as arm:
        most_m = max(_MAX_LAG_STEPS * arm.fence.max_displacement_m, _LEAST_LAG_M)
        twin.inject("ignored")
        with contextlib.suppress(DeviceError):
            for _ in paced(range(20)):
                arm.move(np.array([0.0, 0.025, 0.0]))
        assert re.search("mm from its target.*does not carry out the commands", str(arm.fault))
        assert sdk.wait_until(lambda: twin.firmware.state == STOPPED, 1.0)
        assert np.linalg.norm(arm.target - twin.tcp()) <= most_m + 2 * arm.fence.max_displacement_m


def test_a_client_that_drives_the_arm_away_in_the_same_mode_is_noticed(twin: ControllerTwin, rig: Rig) -> None:
    with XArm(twin.host, rig) as arm:
        arm.move(np.zeros(3))
        firmware = twin.firmware
        with firmware.lock:
            x, _, z, *angles = firmware.pose()
            firmware.go(firmware.line((x, 290.0, z, *angles), 1000.0, 5000.0), interrupts=True)
        assert sdk.wait_until(lambda: arm.fault is not None, 2.0)
        assert "somebody else commands it" in str(arm.fault)
        assert sdk.wait_until(lambda: firmware.speed_m_s() == 0, 1.0)
        assert twin.tcp()[1] < 0.28


def test_following_at_full_speed_through_a_stall_is_no_lag(twin: ControllerTwin, rig: Rig) -> None:
    lags = []
    with XArm(twin.host, rig) as arm:
        for step in paced(range(16)):
            if step == 4:
                twin.inject("stall")
            arm.move(np.array([0.0, 0.025 if step < 8 else -0.025, 0.0]))
            lags.append(float(np.linalg.norm(arm.target - arm.tcp)))
        assert arm.fault is None
    assert 0.03 < max(lags) < 0.8 * _MAX_LAG_STEPS * rig.max_displacement_m


@pytest.mark.parametrize("turn_deg", [172, 60, -60, 21])
def test_a_wrist_turned_far_from_homes_is_refused(rig: Rig, turn_deg: int) -> None:
    turned = np.array(rig.home_joints_rad)
    turned[6] += np.radians(turn_deg)
    words = f"{abs(turn_deg)} deg about the vertical"
    with ControllerTwin(rig, joints_rad=turned) as twin, pytest.raises(SafetyStop, match=words):
        XArm(twin.host, rig).connect()


def test_homing_in_velocity_mode_keeps_to_the_acceleration(twin: ControllerTwin, rig: Rig) -> None:
    params = ArmParams(mode="velocity", acceleration_m_s2=0.5, slow_speed_m_s=0.25)
    with XArm(twin.host, rig, params) as arm:
        arm.go_to(arm.tcp + np.array([0.0, 0.06, 0.0]))
        log = [(t, request) for t, request in twin.log if request.register == Register.VC_SET_CARTV]
    times = np.array([t for t, _ in log])
    speeds = np.array([request.floats(6)[:3] for _, request in log]) / 1000
    rising = np.flatnonzero(np.diff(np.linalg.norm(speeds, axis=1)) > 0)
    changes = np.linalg.norm(np.diff(speeds, axis=0), axis=1)[rising]
    # A command is made some ms before it is on the wire, and the one before it may have been quicker.
    assert np.all(changes <= 0.5 * (np.diff(times)[rising] + 0.02))
    assert len(rising) >= 3


def test_a_posture_is_not_taken_past_the_fence(twin: ControllerTwin, rig: Rig) -> None:
    kinematics, home = Kinematics(), np.asarray(rig.home_joints_rad)
    floor = float(kinematics.tcp(home)[2])
    lower = home + np.array([0, 0.1, 0, 0, 0, 0, 0])
    assert floor - kinematics.tcp(lower)[2] > 0.01
    narrow = replace(rig, workspace=replace(rig.workspace, z_m=(floor - 0.005, 0.5)))
    with XArm(twin.host, narrow) as arm, pytest.raises(SafetyStop, match="turning it back would leave the fence"):
        arm._take_posture(lower)  # as homing does: take_posture looks for the fence before
    assert Register.MOVE_JOINT not in {request.register for _, request in twin.log}


def test_a_frame_from_before_the_tool_was_set_is_compared_with_the_arm_as_it_stood(
    twin: ControllerTwin, rig: Rig
) -> None:
    began = time.monotonic()
    with XArm(twin.host, rig) as arm:
        connected = time.monotonic()
        # Where the history begins: asked for a moment before, tcp_at gives its oldest.
        first = arm._link.history.latest.time - arm._link.history.span_s
        assert first < began + 0.5 * (connected - began)
        for moment in np.linspace(first, connected, 50):
            np.testing.assert_allclose(arm.tcp_at(moment), arm.tcp, atol=1e-4)
