"""What is proven when connecting is proven all the time: changed settings, poses and orientations stop the arm."""

import contextlib
import itertools
import re
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from control.arms.fence import Fence
from control.arms.joint_band import JointBand
from control.arms.params import ArmParams
from control.arms.xarm import driver, setup
from control.arms.xarm.driver import XArm
from control.arms.xarm.report_proof import MAX_TURN_RAD
from control.arms.xarm.wire.sdk import close_apis, open_api, wait_until
from control.clearance.arm_clearance import ArmClearance
from control.policies.policy import Observation
from control.policies.shipped import load_policy
from datasets.arm.kinematics import Kinematics
from datasets.common.errors import DeviceError, SafetyStop
from datasets.rig.rig import Rig
from pace import paced
from perception.estimator.estimate import PositionEstimate
from pipelines.twin.controller.controller import ControllerTwin
from pipelines.twin.controller.faults import STRAY_SPEED_RAD_S, TILT_RAD
from pipelines.twin.controller.firmware import LEAD_S, STOPPED
from pipelines.twin.controller.motion import TURN_SPEED_RAD_S
from pipelines.twin.controller.protocol import Register

STOP_DEADLINE_S = 0.25
RICH_S = 0.2
PARAMS = ArmParams()
BAND = r"C23|leaves the joint band of its motion: (.*, )?joint[13] -?\d+\.\d deg \(not in -?\d+\.\d\.\.-?\d+\.\d\)"
FAULTS = {
    "nan_reports": ("pose that is not a number", 0.0),
    "frozen_pose": ("the reported pose has not changed by a bit", PARAMS.command_deadline_s + 0.1),
    "tilted": ("deg from pointing straight down; look what turned it|joint5 ", MAX_TURN_RAD / TURN_SPEED_RAD_S),
    "elbow_wanders": (BAND, None),
    "branch_flips": (BAND, None),
    "wrist_turns": ("deg about the vertical; look what turned it|joint7 ", MAX_TURN_RAD / STRAY_SPEED_RAD_S),
    # Chance has it which comes first: the report of the mode, or a command that is refused in it.
    "manual": (r"left mode \d for mode 2|did not take the command", 0.0),
    "boundary_off": ("settings are no longer those of this run .*safety boundary on -> off", RICH_S),
    "boundary_wider": (r"safety boundary's box .*x 230\.\.620.*-> x 230\.\.920", RICH_S),
    "reduced_off": ("reduced mode on -> off", RICH_S),
    "faster": ("TCP speed limit 250 mm/s -> 1000 mm/s; joint speed limit", RICH_S),
    "sensitivity": ("collision sensitivity 3 -> 1", RICH_S),
    "tool_offset": ("172 mm from where the joints put it: the tool's offset", 0.0),
    "payload": ("payload 0.82 kg -> 0 kg", RICH_S),
    "joint_range": (r"joint range of the reduced mode J1 -41\.6\.\.41\.6.* -> J1 -360\.0\.\.360\.0", RICH_S),
    "self_collision": ("self-collision check on -> off", RICH_S),
    "tool_model": (r"tool model of the self-collision check \(1\) -> \(0\)", RICH_S),
    "rebound": ("collision rebound off -> on", RICH_S),
    "approximate": ("approximate paths off -> on", RICH_S),
    "gravity": (r"direction of gravity \(0, 0, -1\) -> \(0, 0, 1\)", RICH_S),
    "world_offset": (r"base \(world\) offset", RICH_S),
    "simulation": ("simulation mode off -> on", RICH_S),
}
"""Fault: what the driver says, and how long it takes until the reports can tell it; None: until the band is left."""


def circle(arm: XArm) -> None:
    for step in paced(itertools.count(1)):
        arm.move(0.02 * np.array([0.0, np.cos(step / 3), np.sin(step / 3)]))


def home_from_afar(arm: XArm) -> None:
    arm.go_to(np.array([0.45, 0.20, 0.35]))
    arm.home()


def take_another_posture(arm: XArm) -> None:
    joints = np.asarray(Rig.load().home_joints_rad)
    for turn in (0.25, -0.25, 0.25):
        # As homing turns, at full speed: take_posture goes slowly.
        arm._take_posture(joints + np.array([turn, 0, 0, 0, 0, 0, 0]))


WAYS: dict[str, Callable[[XArm], None]] = {
    "loop": circle, "go_to": lambda arm: arm.go_to(np.array([0.45, 0.25, 0.35])), "posture": take_another_posture
}  # fmt: skip
IN_MID_MOVE_RAD = 0.02
"""How far a joint has turned when the arm is under way, whatever it is doing, and far from its end."""


def leaves_band_s(band: JointBand, twin: ControllerTwin, since_s: float) -> float:
    """When the twin's joints first lay outside, s after ``since_s``."""
    return next(after for after in np.arange(0.0, 2.0, 0.002) if band.outside(twin.joints(since_s + after)))


@pytest.mark.realtime
@pytest.mark.parametrize(
    ("fault", "arm", "way"),
    [
        *((fault, "online_line", "loop") for fault in FAULTS),
        *((fault, "velocity", "loop") for fault in FAULTS),
        *((fault, "online_line", "go_to") for fault in FAULTS),
        *((fault, "online_line", "posture") for fault in FAULTS if fault != "tilted"),
    ],
    indirect=["arm"],
)
def test_the_arm_is_stopped_in_time_whatever_it_is_doing(
    fault: str, arm: XArm, way: str, twin: ControllerTwin, held_up: Callable[[], float]
) -> None:
    words, reaches_us_after_s = FAULTS[fault]
    raised: list[Exception] = []

    def work() -> None:
        try:
            WAYS[way](arm)
        except (DeviceError, SafetyStop) as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    stood = twin.joints()
    thread.start()
    assert wait_until(lambda: bool(np.abs(twin.joints() - stood).max() > IN_MID_MOVE_RAD), 5.0)
    twin.inject(fault)
    began, held_up_before = time.monotonic(), held_up()
    wait_until(lambda: twin.firmware.speed_m_s() == 0 and twin.firmware.state == STOPPED, 2.0, 0.002)
    stopped_s = time.monotonic() - began - (held_up() - held_up_before)
    thread.join(3.0)
    assert raised, arm.fault
    if way != "posture" or fault != "manual":  # in the posture's mode the words are another check's
        assert re.search(words, str(arm.fault)), arm.fault
    if reaches_us_after_s is None:
        reaches_us_after_s = leaves_band_s(arm._proof.band, twin, began)  # no other place has the band of this run
    assert stopped_s <= reaches_us_after_s + STOP_DEADLINE_S
    assert twin.firmware.state == STOPPED
    assert twin.firmware.speed_m_s() == 0
    assert TILT_RAD > MAX_TURN_RAD


@pytest.mark.realtime
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda api: (api.set_fence_mode(False), api.set_reduced_mode(False)), "safety boundary on -> off"),
        (
            lambda api: api.set_tcp_offset([0] * 6, wait=False),
            "left mode 7 for mode 0|from where the joints put it|state 5",
        ),
        (lambda api: api.core.set_tcp_load(0.1, [0, 0, 0]), "left mode 7 for mode 0|payload|state 5"),
        (lambda api: (api.set_mode(2), api.set_state(0)), "left mode 7 for mode 2|state 5"),
    ],
)
def test_what_another_client_sets_through_the_sdk_stops_the_arm(
    arm: XArm, twin: ControllerTwin, change: Callable[[object], object], words: str
) -> None:
    studio = open_api(twin.host, "rich")
    try:
        change(studio)
    finally:
        close_apis(studio)
    assert wait_until(lambda: arm.fault is not None, 1.0)
    assert re.search(words, str(arm.fault))
    assert wait_until(lambda: twin.firmware.state == STOPPED, 1.0)


@pytest.mark.realtime
def test_an_arm_that_rests_for_long_and_then_moves_is_not_stale(arm: XArm) -> None:
    time.sleep(1.0)  # its rest
    for step in paced((0.02, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -0.02, 0.0, 0.0)):
        arm.move(np.array([0.0, step, 0.0]))
    assert arm.fault is None


def reached_corner(rig: Rig, corner: np.ndarray) -> np.ndarray:
    """A corner of the fence, or the first point on the line from it to home that a goal may lie at."""
    clearance = ArmClearance(rig)
    for point in np.linspace(corner, Kinematics().tcp(rig.home_joints_rad), 40):
        with contextlib.suppress(SafetyStop):
            clearance.way(rig.home_joints_rad, point)
            return point
    raise AssertionError("nothing is reached")


@pytest.mark.realtime
@pytest.mark.slow
@pytest.mark.parametrize(("mode", "yaw_deg"), [("online_line", 19), ("online_line", -19), ("velocity", 0)])
def test_no_honest_run_leaves_its_joint_band(rig: Rig, mode: str, yaw_deg: float) -> None:
    """From a yaw that is accepted at start, home and to the fence's corners, led by the shipped policy."""
    params = ArmParams(mode=mode, slow_speed_m_s=0.25, report_deadline_s=1.0, command_deadline_s=1.0)  # type: ignore[arg-type]
    fence, policy = Fence.from_rig(rig, params), load_policy(rig=rig)
    start = np.asarray(rig.home_joints_rad) + np.eye(7)[6] * np.radians(yaw_deg)
    with ControllerTwin(rig, joints_rad=start) as twin, XArm(twin.host, rig, params) as arm:
        for y, z in itertools.product((0, 1), repeat=2):
            arm.home()
            policy.reset()
            x = (y + z) % 2  # corners that share no edge
            goal, sent = reached_corner(rig, np.where([x, y, z], fence.high_m, fence.low_m)), np.zeros(3)
            for _ in paced(range(30)):
                estimate = PositionEstimate(arm.tcp, np.full(3, 0.002))
                sent = arm.move(policy.act(Observation(estimate, goal, sent)))
            assert np.linalg.norm(arm.tcp - goal) < 0.02
        assert arm.fault is None


def connect_and_move(arm: XArm) -> None:
    arm.connect()
    wait_until(lambda: arm.fault is not None, 0.3)
    arm.move(np.zeros(3))


@pytest.mark.realtime
@pytest.mark.parametrize("when", range(12))
def test_an_error_that_comes_while_connecting_is_never_cleared(
    twin: ControllerTwin, rig: Rig, monkeypatch: pytest.MonkeyPatch, when: int
) -> None:
    """State 0 clears errors: one that comes just before any message of the configuration must still stand after it."""
    # Every message of the configuration goes through this one function.
    setters, inner = [0], setup._set

    def then_an_error(what: str, call: Callable[[], object], *also_fine: int) -> None:
        if "the state" not in what:  # what comes between the question and state 0 nobody can see
            if setters[0] == when:
                twin.firmware.fail(31)
            setters[0] += 1
        inner(what, call, *also_fine)

    monkeypatch.setattr(setup, "_set", then_an_error)
    arm = XArm(twin.host, rig, ArmParams(collision_sensitivity=4))
    with pytest.raises(DeviceError, match="C31"):
        connect_and_move(arm)
    arm.disconnect()
    assert twin.firmware.error == 31


@pytest.mark.realtime
def test_an_error_that_comes_while_the_posture_is_taken_is_not_cleared(
    arm: XArm, twin: ControllerTwin, rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter = driver.enter_mode

    def after_an_error(api: object, mode: int) -> None:
        twin.firmware.fail(31)
        enter(api, mode)

    monkeypatch.setattr("control.arms.xarm.driver.enter_mode", after_an_error)
    with pytest.raises(DeviceError, match="C31"):
        arm.take_posture(np.asarray(rig.home_joints_rad) + 0.02)
    assert twin.firmware.error == 31
    assert twin.firmware.state == STOPPED


@pytest.mark.realtime
def test_every_ready_is_preceded_by_the_question_for_errors(twin: ControllerTwin, rig: Rig) -> None:
    with XArm(twin.host, rig, ArmParams(collision_sensitivity=4)) as arm:
        arm.take_posture(np.asarray(rig.home_joints_rad) + 0.02)
        log = [request for _, request in twin.log]
    ready = [i for i, each in enumerate(log) if each.register == Register.SET_STATE and each.payload == b"\0"]
    assert len(ready) >= 6
    assert all(log[i - 1].register == Register.GET_ERROR for i in ready)


@pytest.mark.realtime
@pytest.mark.parametrize("firmware", ["v1.11.0", "v2.3.9"])
@pytest.mark.parametrize("mode", ["online_line", "velocity"])
def test_firmware_that_reports_commands_is_refused_unless_that_is_accepted(rig: Rig, firmware: str, mode: str) -> None:
    params = ArmParams(mode=mode)  # type: ignore[arg-type]
    with ControllerTwin(rig, firmware=firmware) as twin:
        with pytest.raises(DeviceError, match=r"before v2\.4\.0 it reports where it sends the arm.*--reports-are-comm"):
            XArm(twin.host, rig, params).connect()
        assert not {11, 12, 19, 35, 36, 37, 52} & {request.register for _, request in twin.log}
        with XArm(twin.host, rig, params, reports_are_commands=True) as arm:
            arm.move(np.array([0.02, 0, 0]))
            assert wait_until(lambda: twin.tcp()[0] < arm.tcp[0] - 1e-3, 0.5, 0.001), "reports lead the arm"
            assert wait_until(lambda: abs(twin.tcp()[0] - arm.tcp[0]) < 1e-4, LEAD_S + 1.0)
