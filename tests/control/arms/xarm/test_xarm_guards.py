"""The controller's guards: self-collision check, joint range, no rebound, no approximate paths, mounted upright."""

from dataclasses import replace

import numpy as np
import pytest

from control.arms.fence import Fence
from control.arms.joint_band import BAND_MARGIN_RAD, JointBand, needed_band
from control.arms.params import ArmParams
from control.arms.xarm.driver import XArm
from control.arms.xarm.settings import OWN_SHAPE
from control.arms.xarm.wire.sdk import load_sdk, wait_until
from datasets.arm.kinematics import Kinematics
from datasets.arm.tools import ToolParams
from datasets.common.errors import DeviceError, SafetyStop
from datasets.rig.rig import Rig
from pace import paced
from pipelines.twin.controller import registers
from pipelines.twin.controller.controller import ControllerTwin
from pipelines.twin.controller.firmware import JOINT_LIMITS_RAD, STOPPED
from pipelines.twin.controller.firmware import Settings as TwinParams
from pipelines.twin.controller.protocol import Register
from pipelines.twin.controller.registers import SETTINGS

pytestmark = pytest.mark.realtime

FRESH = TwinParams()
CYLINDER = {"collision_tool": 21, "collision_tool_mm": (60.0, 180.0, 0.0, 0.0, 0.0, 0.0)}
NARROW = (-0.1, 0.1, *JOINT_LIMITS_RAD[2:])
OURS = {"self_collision_on": True, "collision_tool": 1, "rebound_on": False, "approximate_on": False}
GUARDS = {58, 60, 66, 77, 78}


def band(rig: Rig) -> JointBand:
    return needed_band(rig, Fence.from_rig(rig)).widened(BAND_MARGIN_RAD)


def told(arm: XArm) -> str:
    return " ".join(event for _, event in arm.events)


@pytest.mark.parametrize(
    ("found", "while_it_lasts", "registers_set"),
    [
        (FRESH, OURS, {58, 77, 78}),
        (replace(FRESH, rebound_on=True, approximate_on=True, reduced_on=True), OURS, {58, 60, 66, 77, 78}),
        (replace(FRESH, self_collision_on=True, collision_tool=1), OURS, {58}),
        (replace(FRESH, collision_tool=2), OURS, {58, 77, 78}),
        (replace(FRESH, **CYLINDER), OURS | CYLINDER, {58, 77}),
    ],
    ids=["fresh", "loose", "the same", "another gripper", "a measured shape"],
)
def test_the_guards_stand_while_it_lasts_and_what_was_found_after(
    twin: ControllerTwin, rig: Rig, found: TwinParams, while_it_lasts: dict[str, object], registers_set: set[int]
) -> None:
    twin.firmware.settings = found
    with XArm(twin.host, rig) as arm:
        stands = twin.firmware.settings
        assert {name: getattr(stands, name) for name in while_it_lasts} == while_it_lasts
        np.testing.assert_allclose(stands.joint_range_rad[::2], band(rig).low_rad, atol=1e-6)
        np.testing.assert_allclose(stands.joint_range_rad[1::2], band(rig).high_rad, atol=1e-6)
        assert GUARDS & {request.register for _, request in twin.log} == registers_set
        arm.move(np.array([0.0, 0.01, 0.0]))
        assert not wait_until(lambda: arm.fault is not None, 0.5)  # two rich reports and more
    after = twin.firmware.settings
    np.testing.assert_allclose(after.joint_range_rad, found.joint_range_rad, atol=1e-6)
    names = [*OURS, "collision_tool_mm", "reduced_on", "gravity"]
    assert [getattr(after, name) for name in names] == [getattr(found, name) for name in names]
    assert "settings are restored" in told(arm)
    assert ("tool model of the self-collision check (1) -> (21, 60" in told(arm)) == (found.collision_tool == 21)


def test_a_narrower_joint_range_of_the_site_stays_and_holds_the_arm(twin: ControllerTwin, rig: Rig) -> None:
    twin.firmware.settings = found = replace(FRESH, joint_range_rad=NARROW)
    with XArm(twin.host, rig) as arm:
        stands = twin.firmware.settings.joint_range_rad
        assert stands[:2] == pytest.approx(NARROW[:2])
        np.testing.assert_allclose(stands[2::2], band(rig).low_rad[1:], atol=1e-6)
        assert "stricter limits of the site stand: joint range of the reduced mode J1 -41.6..41.6" in told(arm)
        with pytest.raises(DeviceError, match="C23: a joint is at its limit, its own or the reduced mode's"):
            arm.go_to(np.array([0.40, 0.28, 0.25]))
        assert wait_until(lambda: twin.firmware.state == STOPPED, 1.0)
        assert 0.09 < twin.joints()[0] < 0.12
    assert twin.firmware.settings.joint_range_rad == pytest.approx(found.joint_range_rad)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"joint_range_rad": (1.0, 2.0, *JOINT_LIMITS_RAD[2:])},
            r"J1 57\.3\.\.114\.6 deg, has nothing in common .*-41\.6\.\.41\.6 deg",
        ),
        (
            {"joint_range_rad": (0.1, 2.0, *JOINT_LIMITS_RAD[2:]), "reduced_on": True},
            r"home lies outside the joint range of this run: joint1 0\.0.*not in ",
        ),
        ({"gravity": (0.0, 0.0, 1.0)}, r"along \(0, 0, 1\) of the arm's base, not \(0, 0, -1\)"),
        ({"gravity": (0.0, 0.1, -0.99)}, "as if it were not mounted upright"),
        ({"gravity": (0.0, 0.0, 0.0)}, "as if it were not mounted upright"),
        ({"gravity": (0.0, float("nan"), -1.0)}, "as if it were not mounted upright"),
    ],
)  # fmt: skip
def test_what_no_run_can_have_is_refused_before_anything_is_set(
    twin: ControllerTwin, rig: Rig, settings: dict[str, object], words: str
) -> None:
    twin.firmware.settings = found = replace(FRESH, **settings)  # type: ignore[arg-type]
    with pytest.raises(SafetyStop, match=words):
        XArm(twin.host, rig).connect()
    assert not {Register.MOTION_EN, Register.SET_STATE, *SETTINGS} & {request.register for _, request in twin.log}
    assert repr(twin.firmware.settings) == repr(found)


def test_a_base_that_leans_a_little_and_a_range_that_is_none_are_fine(twin: ControllerTwin, rig: Rig) -> None:
    twin.firmware.settings = replace(FRESH, gravity=(0.0, 0.01, -1.0), joint_range_rad=(0.0,) * 14)
    with XArm(twin.host, rig) as arm:
        np.testing.assert_allclose(twin.firmware.settings.joint_range_rad[::2], band(rig).low_rad, atol=1e-6)
        assert arm.is_connected
    assert twin.firmware.settings.joint_range_rad == (0.0,) * 14


def test_a_posture_outside_the_joint_range_is_refused_before_it_moves(rig: Rig) -> None:
    kinematics, elbow = Kinematics(), np.array([-0.9, 0.1, 1.3, 0.0, 0.4, 0.0, 0.0])
    turned = kinematics.solve(kinematics.tcp(rig.home_joints_rad), np.asarray(rig.home_joints_rad) + elbow)
    with ControllerTwin(rig, joints_rad=turned) as twin:
        arm = XArm(twin.host, rig)
        with pytest.raises(SafetyStop, match=r"the arm's posture lies outside the joint range.*joint3 .*not in "):
            arm.connect()
        np.testing.assert_array_equal(twin.joints(), turned)
        assert twin.firmware.settings.joint_range_rad == pytest.approx(JOINT_LIMITS_RAD)
        wide = JointBand(*np.reshape(JOINT_LIMITS_RAD, (7, 2)).T)
        with XArm(twin.host, rig, ArmParams(report_deadline_s=1.0, command_deadline_s=1.0), joint_band=wide) as free:
            free.home()


def test_settings_that_are_acknowledged_and_not_taken_are_named(twin: ControllerTwin, rig: Rig) -> None:
    twin.firmware.settings = found = replace(FRESH, rebound_on=True)
    twin.inject("ack_without_setting")
    with pytest.raises(DeviceError, match=r"did not take over: .*joint range.*self-collision check, .*rebound"):
        XArm(twin.host, rig).connect()
    assert twin.firmware.settings == found
    assert twin.firmware.state == STOPPED


def test_settings_that_are_not_taken_at_the_end_are_told(twin: ControllerTwin, rig: Rig) -> None:
    with XArm(twin.host, rig) as arm:
        twin.inject("ack_without_setting")
    left = told(arm).partition("that could not be restored: ")[2]
    assert "self-collision check off -> on; tool model of the self-collision check (0) -> (1)" in left
    assert "joint range of the reduced mode" in left


@pytest.mark.parametrize("register", sorted(GUARDS))
def test_a_guard_that_the_firmware_refuses_is_named_and_all_is_put_back(
    twin: ControllerTwin, rig: Rig, register: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(registers._HANDLERS, register)  # the twin has no setting for a firmware without it
    twin.firmware.settings = found = replace(FRESH, rebound_on=True, approximate_on=True)
    arm = XArm(twin.host, rig)
    with pytest.raises(DeviceError, match=r"refused to set the .*the controller refused the command.*may be too old"):
        arm.connect()
    assert "settings are restored" in told(arm)
    after = twin.firmware.settings
    assert (after.self_collision_on, after.collision_tool, after.rebound_on, after.approximate_on, after.fence_on) == (
        found.self_collision_on, found.collision_tool, found.rebound_on, found.approximate_on, found.fence_on
    )  # fmt: skip


def test_reports_too_short_to_prove_the_guards_are_refused_before_anything_is_set(rig: Rig) -> None:
    with ControllerTwin(rig, firmware="v1.8.5") as twin:
        with pytest.raises(DeviceError, match=r"reports have 494 bytes, fewer than 574: they do not hold boundary"):
            XArm(twin.host, rig, ArmParams(mode="velocity"), reports_are_commands=True).connect()
        assert not SETTINGS & {request.register for _, request in twin.log}


def test_the_reduced_mode_is_switched_on_again_after_its_limits_were_put_back(twin: ControllerTwin, rig: Rig) -> None:
    twin.firmware.settings = replace(FRESH, reduced_on=True, reduced_tcp_mm_s=500.0)
    with XArm(twin.host, rig):
        twin.log.clear()
    order = [request.register for _, request in twin.log]
    last = order.index(Register.SET_REDUCED_MODE)
    assert max(map(order.index, (Register.SET_REDUCED_TRSV, Register.SET_REDUCED_JRANGE))) < last
    assert twin.firmware.settings.reduced_on


def test_an_arm_that_hits_something_stays_there_though_the_site_has_rebound_on(twin: ControllerTwin, rig: Rig) -> None:
    twin.firmware.settings = replace(FRESH, rebound_on=True)
    with XArm(twin.host, rig) as arm:
        for _ in paced(range(3)):
            arm.move(np.array([0.0, 0.02, 0.0]))
        twin.inject("c31")
        hit = twin.tcp()
        assert wait_until(lambda: arm.fault is not None, 1.0)
        assert not wait_until(lambda: bool(twin.tcp()[1] < hit[1] - 1e-6), 0.3)
    assert twin.firmware.settings.rebound_on


def test_registers_and_tool_models_are_the_vendors_own() -> None:
    load_sdk()
    from xarm.core.config.x_config import XCONF

    assert {each.name: int(each) for each in Register}.items() <= vars(XCONF.UxbusReg).items()
    assert ToolParams.load("xarm_gripper").collision_model == XCONF.CollisionToolType.XARM_GRIPPER
    assert OWN_SHAPE == XCONF.CollisionToolType.USE_PRIMITIVES
