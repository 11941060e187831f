"""The emulated controller's mind, by a clock turned by hand: modes, states, limits, interruption and errors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.arm.kinematics import Kinematics
from datasets.rig.rig import Rig
from pipelines.twin.controller.connections import Connections
from pipelines.twin.controller.faults import STRAY_SPEED_RAD_S, STRAYS, ControllerFaults
from pipelines.twin.controller.firmware import LEAD_S, MOVING, ONLINE_LINE, POSITION, STOPPED, VELOCITY, Firmware
from turned_clock import Clock

DOWN = (np.pi, 0.0, 0.0)


@pytest.fixture
def firmware(rig: Rig, clock) -> Firmware:
    firmware = Firmware(np.array(rig.home_joints_rad), clock, "v2.5.0", rig.tool.tcp_offset_m)
    firmware.configure(tcp_offset_mm_rad=(0.0, 0.0, 172.0, 0.0, 0.0, 0.0))
    return firmware


def ready(firmware: Firmware, mode: int) -> Firmware:
    firmware.enable(True)
    assert firmware.set_mode(mode)
    firmware.set_state(0)
    return firmware


def go(firmware: Firmware, x: float, y: float, z: float, speed_mm_s: float = 250.0, acc: float = 2000.0) -> None:
    interrupts = firmware.mode == ONLINE_LINE
    firmware.go(firmware.line((x, y, z, *DOWN), speed_mm_s, acc), interrupts=interrupts)


def watch(firmware: Firmware, clock, seconds: float, dt: float = 0.01) -> np.ndarray:
    """TCP every ``dt``, ``(n, 3)`` m."""
    path = [firmware.tcp()]
    for _ in range(round(seconds / dt)):
        clock.now += dt
        path.append(firmware.tcp())
    return np.array(path)


@settings(max_examples=12)
@given(
    goal=st.tuples(st.floats(320, 520), st.floats(-200, 200), st.floats(150, 420)),
    speed=st.floats(30, 250),
    acceleration=st.floats(500, 5000),
)
def test_speed_and_acceleration_hold_and_the_line_is_straight(rig, goal, speed, acceleration) -> None:
    clock = Clock()
    firmware = Firmware(np.array(rig.home_joints_rad), clock, "v2.5.0", rig.tool.tcp_offset_m)
    firmware.configure(tcp_offset_mm_rad=(0.0, 0.0, 172.0, 0.0, 0.0, 0.0))
    go(ready(firmware, ONLINE_LINE), *goal, speed, acceleration)
    path = watch(firmware, clock, 12.0, 0.02)
    velocity = np.diff(path, axis=0) / 0.02
    assert np.linalg.norm(velocity, axis=1).max() <= speed / 1000 * 1.03 + 1e-3
    direction = path[-1] - path[0]
    if np.linalg.norm(direction) > 0.02:
        direction /= np.linalg.norm(direction)
        off_line = (path - path[0]) - np.outer((path - path[0]) @ direction, direction)
        assert np.linalg.norm(off_line, axis=1).max() < 1e-3
    np.testing.assert_allclose(path[-1] * 1000, goal, atol=0.3)
    assert firmware.error == 0
    assert firmware.state == 2


def test_a_new_target_interrupts_the_old_one_in_mode_7_and_queues_in_mode_0(firmware: Firmware, clock) -> None:
    go(ready(firmware, ONLINE_LINE), 500, 0, 228)
    watch(firmware, clock, 0.2)
    go(firmware, 400, 0, 228)
    assert watch(firmware, clock, 2.0)[:, 0].max() < 0.46
    ready(firmware, POSITION)
    go(firmware, 450, 0, 228)
    go(firmware, 400, 0, 228)
    path = watch(firmware, clock, 3.0)
    assert path[:, 0].max() == pytest.approx(0.45, abs=1e-4)
    assert path[-1, 0] == pytest.approx(0.40, abs=1e-4)


def test_leaving_the_boundary_raises_c35_and_stops_near_it(firmware: Firmware, clock) -> None:
    firmware.limit(fence_on=True, fence_mm=(450, 230, 320, -320, 520, 80))
    go(ready(firmware, ONLINE_LINE), 550, 0, 228)
    path = watch(firmware, clock, 1.0)
    assert (firmware.error, firmware.mode, firmware.state) == (35, 0, 4)
    assert path[-1, 0] < 0.47


def test_a_point_out_of_reach_raises_an_error_rather_than_nonsense(firmware: Firmware, clock) -> None:
    go(ready(firmware, ONLINE_LINE), 1200, 0, 228)
    watch(firmware, clock, 6.0)
    assert firmware.error in (21, 24)
    assert np.isfinite(firmware.joints()).all()
    limits = Kinematics().joint_limits
    assert (firmware.joints() >= limits[:, 0] - 1e-6).all()
    assert (firmware.joints() <= limits[:, 1] + 1e-6).all()


@pytest.mark.parametrize("mode", [POSITION, VELOCITY, ONLINE_LINE])
def test_errors_pause_and_emergency_stop_bring_it_to_rest_quickly(firmware: Firmware, clock, mode: int) -> None:
    def begin() -> None:
        ready(firmware, mode)
        if mode == VELOCITY:
            firmware.go(firmware.velocity(np.array([0.0, 0.25, 0.0]), 5.0), interrupts=True)
        else:
            go(firmware, 400, 250 if firmware.tcp()[1] < 0.1 else -250, 228)
        watch(firmware, clock, 0.3)
        assert firmware.speed_m_s() > 0.2

    for happen in (lambda: firmware.fail(31), firmware.pause, lambda: firmware.press_emergency_stop(True)):
        begin()
        happen()
        watch(firmware, clock, 0.08)
        assert firmware.speed_m_s() == 0
        firmware.press_emergency_stop(False)
        firmware.clean_error()
        firmware.set_state(4)


def test_after_the_emergency_button_only_enabling_helps(firmware: Firmware) -> None:
    ready(firmware, ONLINE_LINE)
    firmware.press_emergency_stop(True)
    firmware.clean_error()
    assert firmware.error == 1, "the button is still pressed"
    firmware.enable(True)
    assert not firmware.enabled
    firmware.press_emergency_stop(False)
    firmware.clean_error()
    firmware.set_state(0)
    assert firmware.state == 4
    assert ready(firmware, ONLINE_LINE).may_move


def test_a_pause_keeps_the_target_and_ready_resumes_it(firmware: Firmware, clock) -> None:
    go(ready(firmware, ONLINE_LINE), 450, 0, 228)
    watch(firmware, clock, 0.1)
    firmware.pause()
    held = watch(firmware, clock, 0.5)[-1]
    assert firmware.state == 3
    assert held[0] < 0.44
    firmware.set_state(0)
    assert watch(firmware, clock, 1.0)[-1, 0] == pytest.approx(0.45, abs=1e-4)


def test_only_a_setting_that_changes_resets_mode_and_state(firmware: Firmware) -> None:
    ready(firmware, ONLINE_LINE)
    firmware.configure(tcp_offset_mm_rad=(0.0, 0.0, 172.0, 0.0, 0.0, 0.0))
    assert (firmware.mode, firmware.state) == (7, 2)
    firmware.configure(load_kg_mm=(0.82, 0.0, 0.0, 48.0))
    assert (firmware.mode, firmware.state) == (0, 5)


@pytest.mark.parametrize(
    ("version", "modes"), [("v1.6.8", {0, 1, 2}), ("v1.10.5", {0, 1, 2, 5}), ("v1.11.0", {0, 1, 2, 5, 7})]
)
def test_firmware_has_the_modes_of_its_version(rig: Rig, clock, version: str, modes: set[int]) -> None:
    firmware = Firmware(np.array(rig.home_joints_rad), clock, version, rig.tool.tcp_offset_m)
    assert {mode for mode in range(12) if firmware.set_mode(mode)} == modes


@pytest.mark.parametrize("code", [21, 31, 35])
def test_state_0_clears_an_error_unless_its_cause_lasts(firmware: Firmware, code: int) -> None:
    ready(firmware, 0)
    firmware.fail(code)
    firmware.set_state(0)
    assert (firmware.error, firmware.state) == (0, 2)
    firmware.press_emergency_stop(True)
    firmware.set_state(0)
    assert (firmware.error, firmware.state) == (1, 4)


def test_the_boundary_holds_the_tcp_as_configured_whatever_is_mounted(firmware: Firmware, clock) -> None:
    ready(firmware, 0)
    tip_mm = firmware.tcp()[2] * 1000
    firmware.limit(fence_on=True, fence_mm=(700, 0, 300, -300, 700, round(tip_mm) - 20), tcp_offset_mm_rad=(0.0,) * 6)
    pose = firmware.pose()
    firmware.go(firmware.line((*pose[:2], pose[2] - 100, *pose[3:]), 200.0, 2000.0), interrupts=True)
    for _ in range(200):
        clock.now += 0.01
        firmware.advance()
    assert firmware.error == 0
    assert firmware.tcp()[2] * 1000 < tip_mm - 90


def test_in_manual_mode_a_hand_leads_the_arm_and_in_no_other(firmware: Firmware, rig: Rig) -> None:
    joints = np.asarray(rig.home_joints_rad) + 0.05
    for mode in (0, 1, 5, 7):
        ready(firmware, mode)
        assert not firmware.push(joints), "stiff"
    ready(firmware, 2)
    assert firmware.push(joints)
    np.testing.assert_allclose(firmware.joints(), joints)
    firmware.set_state(4)
    assert not firmware.push(np.asarray(rig.home_joints_rad))


def test_a_paused_motion_is_one_that_waits(firmware: Firmware) -> None:
    ready(firmware, 0)
    pose = firmware.pose()
    for _ in range(3):
        firmware.go(firmware.line((pose[0] + 50, *pose[1:]), 50.0, 500.0), interrupts=False)
    assert firmware.queued == firmware.snapshot().commands_queued == 2
    firmware.pause()
    assert firmware.queued == firmware.snapshot().commands_queued == 3
    firmware.set_state(4)
    assert firmware.queued == 0


@pytest.mark.parametrize(("version", "lead_s"), [("v2.3.9", LEAD_S), ("v2.4.0", 0.0)])
def test_reports_of_an_old_firmware_run_ahead_of_the_arm(rig: Rig, clock, version: str, lead_s: float) -> None:
    firmware = Firmware(np.array(rig.home_joints_rad), clock, version, rig.tool.tcp_offset_m)
    ready(firmware, 0)
    pose = firmware.pose()
    firmware.go(firmware.line((pose[0] + 100, *pose[1:]), 100.0, 2000.0), interrupts=True)
    for _ in range(50):
        clock.now += 0.01
        firmware.advance()
    ahead_m = Kinematics().tcp(firmware.snapshot().joints_rad) - firmware.tcp()
    np.testing.assert_allclose(ahead_m, [0.1 * lead_s, 0, 0], atol=2e-4)


def test_in_reduced_mode_a_joint_that_leaves_its_range_stops_the_arm(firmware: Firmware, clock) -> None:
    firmware.limit(joint_range_rad=(-0.1, 0.1, *[-3.0, 3.0] * 6))
    go(ready(firmware, ONLINE_LINE), 400, 200, 228)
    watch(firmware, clock, 2.0)
    assert firmware.error == 0, "reduced mode is off"
    firmware.limit(reduced_on=True)
    go(ready(firmware, ONLINE_LINE), 400, 0, 228)
    clock.now += 0.05
    firmware.advance()
    assert firmware.error == 23
    firmware.limit(reduced_on=False)
    go(ready(firmware, ONLINE_LINE), 400, 0, 228)
    watch(firmware, clock, 2.0)
    firmware.limit(reduced_on=True)
    go(ready(firmware, ONLINE_LINE), 400, 200, 228)
    watch(firmware, clock, 2.0)
    assert (firmware.error, firmware.state) == (23, 4)
    assert firmware.joints()[0] == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("rebounds", [False, True])
def test_after_a_collision_the_arm_goes_back_only_with_rebound_on(firmware: Firmware, clock, rebounds: bool) -> None:
    firmware.limit(rebound_on=rebounds)
    go(ready(firmware, ONLINE_LINE), 400, 200, 228)
    watch(firmware, clock, 0.5)
    there = firmware.tcp()
    firmware.fail(31)
    path = watch(firmware, clock, 1.0)
    assert (path[-1] - there)[1] == pytest.approx(-0.025, abs=0.003) if rebounds else (path[-1] - there)[1] > 0
    assert firmware.speed_m_s() == 0


@pytest.mark.parametrize("fault", STRAYS)
def test_joints_that_go_astray_take_the_tool_along_or_not_and_end_with_the_stop(firmware, clock, fault: str) -> None:
    ControllerFaults(firmware, Connections()).inject(fault)
    before, pose = firmware.joints(), firmware.kinematics.tcp_pose(firmware.joints())
    watch(firmware, clock, 0.3)
    np.testing.assert_array_equal(firmware.joints(), before)  # motors that are off turn nothing
    ready(firmware, ONLINE_LINE)
    watch(firmware, clock, 0.5)
    assert firmware.state == MOVING
    turned, now = firmware.joints() - before, firmware.kinematics.tcp_pose(firmware.joints())
    assert np.max(np.abs(turned)) == pytest.approx(0.5 * STRAY_SPEED_RAD_S, abs=0.1)
    if fault == "elbow_wanders":
        np.testing.assert_allclose(now, pose, atol=1e-3)
    elif fault == "wrist_turns":
        np.testing.assert_allclose(now[:3, 3], pose[:3, 3], atol=1e-6)
        np.testing.assert_allclose(turned[:6], 0, atol=1e-6)
    firmware.set_state(STOPPED)
    stopped = firmware.joints()
    watch(firmware, clock, 0.3)
    np.testing.assert_array_equal(firmware.joints(), stopped)


def test_the_other_branch_has_the_same_pose_of_the_tool_in_the_end(firmware: Firmware, clock) -> None:
    before, pose = firmware.joints(), firmware.kinematics.tcp_pose(firmware.joints())
    ControllerFaults(firmware, Connections()).inject("branch_flips")
    ready(firmware, ONLINE_LINE)
    watch(firmware, clock, 3.0)
    assert np.max(np.abs(firmware.joints() - before)) == pytest.approx(np.pi)
    np.testing.assert_allclose(firmware.kinematics.tcp_pose(firmware.joints()), pose, atol=1e-6)
