"""Connecting to an xArm: what is set before it may move, what is refused, and that nothing is left open."""

import socket
import struct
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from control.arms.fence import REACH_M
from control.arms.params import ArmParams
from control.arms.xarm.driver import XArm
from control.arms.xarm.wire import sdk
from datasets.arm.kinematics import Kinematics
from datasets.common.config import load_params
from datasets.common.errors import ConfigError, DeviceError, SafetyStop
from datasets.rig.rig import Rig, Tool, Workspace
from pace import paced
from pipelines.twin.controller.controller import ControllerTwin
from pipelines.twin.controller.protocol import Register
from pipelines.twin.controller.reports import Snapshot, rich_report

pytestmark = pytest.mark.realtime


def threads_of_the_sdk() -> list[str]:
    return [thread.name for thread in threading.enumerate() if not thread.name.startswith(("Main", "xarm-twin"))]


def test_it_configures_first_and_sets_mode_and_state_last(rig: Rig) -> None:
    with ControllerTwin(rig) as twin, XArm(twin.host, rig, ArmParams(collision_sensitivity=4)):
        registers = [request.register for _, request in twin.log]
        settings = twin.firmware.settings
        state = twin.firmware.state
    configuration = [35, 36, 37, 47, 48, 50, 52, 58, 59, 77, 78]
    last_mode = len(registers) - 1 - registers[::-1].index(19)
    assert all(max(i for i, r in enumerate(registers) if r == each) < last_mode for each in configuration)
    assert 12 in registers[last_mode:]
    assert 16 not in registers, "an error must never be cleared"
    assert settings.tcp_offset_mm_rad[2] == pytest.approx(172)
    assert settings.load_kg_mm == pytest.approx((0.82, 0, 0, 48))
    assert settings.fence_on
    assert settings.fence_mm == (620, 230, 320, -320, 520, 80)
    assert settings.reduced_on
    assert settings.reduced_tcp_mm_s == pytest.approx(250)
    assert settings.collision_sensitivity == 4
    assert max(registers.index(each) for each in (47, 48, 58)) < registers.index(50), "taken when it is switched on"
    assert state in (1, 2)


def test_nothing_is_asked_of_the_controller_while_the_arm_moves(rig: Rig) -> None:
    with ControllerTwin(rig) as twin, XArm(twin.host, rig) as arm:
        assert sdk.wait_until(lambda: time.monotonic() - twin.log[-1][0] > 0.2, 5.0)  # connecting asks nothing more
        twin.log.clear()
        for _ in paced(range(5)):
            arm.move(np.array([0.01, 0, 0]))
            _ = arm.tcp
        assert {request.register for _, request in twin.log} == {21}
        assert len(twin.log) == 5


def test_it_leaves_the_process_as_it_was(rig: Rig) -> None:
    socket.setdefaulttimeout(None)
    threads = set(threads_of_the_sdk())
    with ControllerTwin(rig) as twin:
        with XArm(twin.host, rig):
            assert socket.getdefaulttimeout() is None
        assert socket.getdefaulttimeout() is None
        assert twin.firmware.state == 4
        assert sdk.wait_until(lambda: set(threads_of_the_sdk()) <= threads, 3.0)
        assert twin.clients == []


def test_what_the_sdk_prints_stays_out_of_the_programs_output(rig: Rig, capfd: pytest.CaptureFixture[str]) -> None:
    with ControllerTwin(rig) as twin, XArm(twin.host, rig):
        time.sleep(0.3)  # for which its threads would print, if they did
    out, _ = capfd.readouterr()
    assert out == ""


@pytest.mark.parametrize(
    ("mode", "firmware", "message"),
    [
        ("online_line", "v1.10.9", r"firmware is v1\.10\.9; mode 7 .* needs v1\.11\.0"),
        ("velocity", "v1.7.3", r"firmware is v1\.7\.3; mode 5 .* needs v1\.8\.0"),
    ],
)
def test_too_old_a_firmware_is_refused_before_anything_is_set(rig: Rig, mode: str, firmware: str, message: str) -> None:
    with ControllerTwin(rig, firmware=firmware) as twin:
        with pytest.raises(DeviceError, match=message):
            XArm(twin.host, rig, ArmParams(mode=mode)).connect()  # type: ignore[arg-type]
        assert not {11, 19, 35, 36, 37, 52} & {request.register for _, request in twin.log}
        assert not twin.firmware.enabled


def test_older_firmware_that_has_the_mode_is_fine(rig: Rig) -> None:
    with ControllerTwin(rig, firmware="v1.12.2") as twin, XArm(twin.host, rig, reports_are_commands=True) as arm:
        arm.move(np.array([0.01, 0, 0]))
        assert sdk.wait_until(lambda: bool(np.allclose(arm.tcp, arm.target, atol=1e-3)), 3.0)


def test_a_controller_that_only_simulates_its_arm_is_refused_unless_asked_for(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def simulating(snapshot: Snapshot) -> bytes:
        report = bytearray(rich_report(snapshot))
        report[314] = 1
        return bytes(report)

    monkeypatch.setattr("pipelines.twin.controller.controller.rich_report", simulating)
    with ControllerTwin(rig) as twin:  # at a loopback address, as a real controller behind a tunnel is
        with pytest.raises(DeviceError, match=r"simulation mode.*switch to the real robot"):
            XArm(twin.host, rig).connect()
        assert not {11, 19, 35, 36, 37, 52} & {request.register for _, request in twin.log}
        with XArm(twin.host, rig, simulated=True) as arm:
            assert arm.is_connected


def test_an_error_nobody_has_looked_at_is_refused(rig: Rig) -> None:
    with ControllerTwin(rig) as twin:
        twin.inject("c31")
        with pytest.raises(DeviceError, match=r"C31: the arm hit something.*remove the obstacle"):
            XArm(twin.host, rig).connect()
        assert twin.firmware.error == 31


@pytest.mark.parametrize("mode", ["online_line", "velocity"])
def test_a_standing_warning_is_told_and_keeps_nobody_from_connecting(
    rig: Rig, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    with ControllerTwin(rig) as twin:
        twin.firmware.warn(14)
        with XArm(twin.host, rig, ArmParams(mode=mode, collision_sensitivity=4)) as arm:  # type: ignore[arg-type]
            assert twin.firmware.settings.collision_sensitivity == 4
            arm.move(np.array([0.01, 0, 0]))
            assert sdk.wait_until(lambda: "warning W14" in caplog.text, 1.0)
            assert arm.is_connected
        assert twin.firmware.warning == 14, "a warning must never be cleared"


def test_limits_and_payload_that_the_controller_did_not_take_are_named(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def another(snapshot: Snapshot) -> bytes:
        report = bytearray(rich_report(snapshot))
        struct.pack_into("<3f", report, 119, 0.0, 0.0, 60.0)
        struct.pack_into("<2f", report, 508, 1000.0, 3.0)
        return bytes(report)

    monkeypatch.setattr("pipelines.twin.controller.controller.rich_report", another)
    wrong = "did not take over: payload's centre, TCP speed limit, joint speed limit; "
    with ControllerTwin(rig) as twin, pytest.raises(DeviceError, match=wrong):
        XArm(twin.host, rig).connect()


@pytest.mark.parametrize("host", ["127.0.0.253", "not an address", "10.0.0", ""])
def test_an_address_where_no_controller_answers_is_one_sentence(rig: Rig, host: str) -> None:
    before = threading.active_count()
    with pytest.raises(DeviceError, match=r"no xArm controller answers|not an IPv4 address") as error:
        XArm(host, rig).connect()
    assert "\n" not in str(error.value)
    assert sdk.wait_until(lambda: threading.active_count() <= before + 1, 1.0)


def test_a_controller_that_accepts_and_never_answers_is_given_up(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdk, "CONNECT_TIMEOUT_S", 1.0)
    with ControllerTwin(rig) as twin:
        twin.inject("silent")
        began = time.monotonic()
        with pytest.raises(DeviceError, match="no xArm controller answers"):
            XArm(twin.host, rig).connect()
        assert time.monotonic() - began < 6


def test_an_arm_that_stands_outside_the_fence_is_refused_and_left_stopped(rig: Rig) -> None:
    outside = Kinematics().solve([0.40, 0.0, 0.55], rig.home_joints_rad)
    with ControllerTwin(rig, joints_rad=outside) as twin:
        with pytest.raises(SafetyStop, match="outside the fence"):
            XArm(twin.host, rig).connect()
        assert twin.firmware.state == 4


def test_a_controller_whose_base_is_not_the_rigs_is_refused(rig: Rig) -> None:
    with ControllerTwin(rig) as twin:
        twin.firmware._tool_offset_m += 0.028  # as if its world offset were 28 mm: no setting shows it
        with pytest.raises(SafetyStop, match=r"28 mm from where the joints put it"):
            XArm(twin.host, rig).connect()
        assert twin.firmware.state == 4


def connect_and_move(arm: XArm) -> None:
    arm.connect()
    arm.move(np.zeros(3))


def test_a_stop_while_connecting_is_obeyed(rig: Rig) -> None:
    with ControllerTwin(rig) as twin:
        arm = XArm(twin.host, rig)
        stopper = threading.Thread(target=lambda: sdk.wait_until(lambda: bool(twin.log), 5.0, 0.001) and arm.stop())
        stopper.start()
        with pytest.raises((SafetyStop, DeviceError)):
            connect_and_move(arm)
        stopper.join()
        arm.disconnect()
        assert twin.firmware.state == 4


def test_a_tool_that_does_not_point_down_is_refused(rig: Rig) -> None:
    tilted = np.array(rig.home_joints_rad)
    tilted[5] -= 0.6
    with ControllerTwin(rig, joints_rad=tilted) as twin, pytest.raises(SafetyStop, match="deg from pointing straight"):
        XArm(twin.host, rig).connect()


def test_an_elbow_far_from_homes_is_brought_back(rig: Rig) -> None:
    rest = Kinematics()
    turned = np.array(rig.home_joints_rad) + np.array([-0.35, 0.0, 0.45, 0.0, 0.0, 0.0, 0.0])
    wandered = rest.solve(rest.tcp(rig.home_joints_rad), turned)
    assert np.max(np.abs(wandered - rig.home_joints_rad)) > 0.25
    with ControllerTwin(rig, joints_rad=wandered) as twin, XArm(twin.host, rig) as arm:
        arm.home()
        np.testing.assert_allclose(twin.joints(), rig.home_joints_rad, atol=0.005)
        arm.move(np.array([0.01, 0, 0]))
        assert sdk.wait_until(lambda: bool(np.allclose(arm.tcp, arm.target, atol=1e-3)), 3.0)


@pytest.mark.slow
def test_the_elbow_is_turned_no_faster_than_the_speed_limit_allows(rig: Rig) -> None:
    limit_m_s, home = 0.03, np.asarray(rig.home_joints_rad)
    turned = home + np.array([0.2, 0, 0, 0, 0, 0, 0])
    with ControllerTwin(rig) as twin, XArm(twin.host, rig, max_speed_m_s=limit_m_s) as arm:
        began = time.monotonic()
        arm._take_posture(turned)  # as homing does: take_posture goes slower than this limit
        # What the joints did, and not how long the command took: it returns a tolerance early and starts at any moment.
        times = np.linspace(began, time.monotonic(), 100)
        speeds = np.diff([twin.joints(moment) for moment in times], axis=0) / np.diff(times)[:, None]
        assert np.max(np.abs(speeds)) == pytest.approx(limit_m_s / REACH_M, rel=0.01)
        np.testing.assert_allclose(twin.joints(), turned, atol=0.005)
        asked = [request.floats(9)[7] for _, request in twin.log if request.register == Register.MOVE_JOINT]
    assert asked == [pytest.approx(limit_m_s / REACH_M)]
    for unlimited in (XArm("127.0.0.1", rig), XArm("127.0.0.1", rig, max_speed_m_s=9.0)):
        assert unlimited._posture_speed_rad_s == 0.3  # of arms that are never connected


def test_a_posture_is_taken_slowly_and_its_tcp_becomes_the_target(rig: Rig) -> None:
    posture = np.asarray(rig.home_joints_rad) + np.array([0.25, 0.1, 0.1, 0.1, -0.1, 0.05, 0.25])
    params = ArmParams(slow_speed_m_s=0.1)
    with ControllerTwin(rig) as twin, XArm(twin.host, rig, params) as arm:
        began = time.monotonic()
        arm.take_posture(posture)
        times = np.linspace(began, time.monotonic(), 60)
        ways = [Kinematics().tcp(twin.joints(moment)) for moment in times]
        speeds = np.linalg.norm(np.diff(ways, axis=0), axis=1) / np.diff(times)
        assert speeds.max() < 0.1 * 1.05
        np.testing.assert_allclose(twin.joints(), posture, atol=0.005)
        np.testing.assert_allclose(arm.target, Kinematics().tcp(posture))
        time.sleep(0.5)  # at rest there for longer than reports may repeat on the way
        arm.move(np.array([-0.005, 0, 0]))
        assert arm.fault is None
        arm.home()
        np.testing.assert_allclose(arm.tcp, Kinematics().tcp(rig.home_joints_rad), atol=1e-3)


def test_a_posture_beyond_the_fence_is_refused_and_nothing_moves(rig: Rig) -> None:
    posture = np.asarray(rig.home_joints_rad) + np.array([1.2, 0, 0, 0, 0, 0, 1.2])
    with ControllerTwin(rig) as twin, XArm(twin.host, rig) as arm:
        before = twin.joints()
        with pytest.raises(SafetyStop, match="outside the fence"):
            arm.take_posture(posture)
        np.testing.assert_array_equal(twin.joints(), before)
        assert arm.is_connected


def test_a_start_that_cannot_be_safe_fails_before_any_connection(rig: Rig) -> None:
    with pytest.raises(SafetyStop, match="unknown"):
        XArm("127.0.0.1", replace(rig, tool=Tool("hook", 0.1)))
    with pytest.raises(SafetyStop, match="beyond"):
        XArm("127.0.0.1", replace(rig, workspace=Workspace((0.25, 0.9), (-0.3, 0.3), (0.1, 0.5))))
    with pytest.raises(SafetyStop, match="outside the fence"):
        XArm("127.0.0.1", replace(rig, workspace=Workspace((0.45, 0.6), (-0.3, 0.3), (0.1, 0.5))))


@pytest.mark.parametrize(("version", "good"), [("1.16.0", False), ("1.17.3", False), ("1.18.0", True), ("2.0.1", True)])
def test_another_version_of_the_sdk_is_said_in_a_sentence_before_anything_is_opened(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, version: str, good: bool
) -> None:
    monkeypatch.setattr(sdk.importlib.metadata, "version", lambda name: version)
    if good:
        XArm("127.0.0.1", rig)
        return
    for build in (lambda: XArm("127.0.0.1", rig), sdk.load_sdk.__wrapped__):
        with pytest.raises(DeviceError, match=rf"^xarm-python-sdk 1\.18 or newer is needed, installed is {version}; "):
            build()


def test_a_missing_sdk_is_said_in_a_sentence(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise sdk.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(sdk.importlib.metadata, "version", missing)
    with pytest.raises(DeviceError, match="none is installed"):
        XArm("127.0.0.1", rig)


def test_the_repositorys_parameters_are_the_defaults() -> None:
    assert ArmParams.load() == ArmParams()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("mode: servo", "mode"),
        ("acceleration_m_s2: 0", "acceleration_m_s2"),
        ("collision_sensitivity: 9", "collision_sensitivity"),
        ("report_deadline_s: .nan", "report_deadline_s"),
        ("max_displacement_change_m: -1.0", "max_displacement_change_m"),
        ("speeed: 1", "speeed"),
    ],
)
def test_a_bad_parameter_is_refused_by_name(tmp_path, text: str, key: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "arm.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=key):
        load_params(path, ArmParams)
