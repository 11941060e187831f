"""Every named fault of the twin, through the real SDK and librealsense: what the runtime does, and within what time.

The pictures are grey and the estimator is a stand-in that knows the joints: only wires and clocks matter here.
"""

import time
from dataclasses import dataclass, replace

import numpy as np
import pytest

from control.arms.params import ArmParams
from control.arms.xarm.report_proof import MAX_TURN_RAD
from control.arms.xarm.wire.sdk import wait_until
from datasets.common.errors import ConfigError, DeviceError
from pipelines.runtime.stops import StopReason
from pipelines.runtime.tick import GoalResult
from pipelines.setup.assemble import make_runtime
from pipelines.setup.devices import DeviceNames, open_devices
from pipelines.twin.camera.camera import TwinCameraParams
from pipelines.twin.controller.controller import _MOVES as MOVES  # one list of what moves the arm, not two
from pipelines.twin.controller.faults import SET_BY_OTHERS, STRAY_SPEED_RAD_S
from pipelines.twin.controller.firmware import STOPPED
from pipelines.twin.controller.motion import TURN_SPEED_RAD_S
from pipelines.twin.controller.protocol import Register, Request
from pipelines.twin.faults import FAULT_NAMES, FaultSchedule, PlannedFault
from pipelines.twin.settings import TwinParams

pytestmark = pytest.mark.realtime

GOAL = np.array([0.47, 0.12, 0.33])
AFTER_S = 0.35
DEADLINE_S = 0.25
FPS = 30
FRAME_S = 1 / FPS
REPORT_DEADLINE_S = ArmParams().report_deadline_s
WARNING_S = RICH_S = 0.2  # between two reports that tell warnings and settings
LEFT_BAND_S = 0.9 / STRAY_SPEED_RAD_S  # of joint 1 from the way to the goal
RUN_AWAY_S = 0.9  # an arm that follows none ends at the target it had, from which 6 steps at 10 Hz run away
REPLY_DEADLINE_S = ArmParams().command_deadline_s + 0.1  # counted from the next command, at most a tick away

ARM, CAMERA = {StopReason.ARM}, {StopReason.CAMERA, StopReason.STALE_FRAME, StopReason.REPEATED_FRAME}
STOPS = {
    **dict.fromkeys(("c21", "c22", "c23", "c24", "c31", "c35", "estop", "mode0", "pause"), (ARM, 0.0)),
    **dict.fromkeys(("drop_control", "drop_motion"), (ARM, 0.0)),
    **dict.fromkeys(("silent", "drop_reports", "mute_reports"), (ARM, REPORT_DEADLINE_S)),
    "silent_motion": (ARM, REPLY_DEADLINE_S),
    "no_solution": (ARM, WARNING_S),
    "ignored": (ARM, RUN_AWAY_S),
    **dict.fromkeys(("manual", "nan_reports"), (ARM, 0.0)),
    **dict.fromkeys(("boundary_wider", *SET_BY_OTHERS), (ARM, RICH_S)),
    "frozen_pose": ({StopReason.ARM, StopReason.DISAGREEMENT}, REPLY_DEADLINE_S),
    "tilted": (ARM, MAX_TURN_RAD / TURN_SPEED_RAD_S),
    "wrist_turns": (ARM, MAX_TURN_RAD / STRAY_SPEED_RAD_S),
    **dict.fromkeys(("elbow_wanders", "branch_flips"), (ARM, LEFT_BAND_S)),
    **dict.fromkeys(("dead_colour", "dead_depth", "camera_unplugged"), (CAMERA, FRAME_S)),
    **dict.fromkeys(("frozen_frames", "repeated_frames", "no_depth"), (CAMERA, FRAME_S)),
    "camera_moved": ({StopReason.DRIFT}, 2.0 - DEADLINE_S),
}
OUT_OF_REACH = ("silent", "drop_control")
IN_VELOCITY_MODE = ("dead_colour", "frozen_frames", "repeated_frames")
GOES_ON = (
    *("stall", "slow", "latency", "jitter", "warning"),
    *("dropped_frames", "camera_stall", "camera_latency", "camera_jitter"),
)


@dataclass
class Outcome:
    """What came of a goal, and of the twin 0.2 s later, while it was still connected.

    ``held_up_s`` of the time from fault to end were the machine's; ``injected_s`` is not a number without a fault.
    """

    result: GoalResult
    injected_s: float
    held_up_s: float
    log: list[tuple[float, Request]]
    state: int
    speed_m_s: float
    tcp: np.ndarray

    @property
    def stop_came_s(self) -> float:
        """When the twin was told to stop, for the first time since the fault."""
        stop = bytes([STOPPED])
        came = (t for t, request in self.log if request.register == Register.SET_STATE and request.payload == stop)
        return min((t for t in came if t > self.injected_s), default=np.inf)


def in_mode(setup, mode):
    return replace(setup, arm=replace(setup.arm, mode=mode))


def run_with(setup, name, held_up, fps=FPS):
    happened = [(np.nan, 0.0)]
    twin_settings = TwinParams(calibration_m=0.0, camera=TwinCameraParams(fps=fps))
    with open_devices(DeviceNames(), setup, twin_settings) as opened:
        connected_s = time.monotonic()  # before, the controller reported without the tool
        assert wait_until(lambda: opened.camera.read().timestamp > connected_s, 5.0)
        planned = [PlannedFault(name, AFTER_S)]
        with FaultSchedule(opened.twin, planned, lambda name, time_s: happened.append((time_s, held_up()))) as schedule:
            runtime = make_runtime(setup, opened, setup.policy, (lambda tick, frame: schedule.begin(),))
            result = runtime.reach(GOAL)
            held_up_s = held_up()
            time.sleep(0.2)  # what the controller does when the run is over must have happened, or not
        controller = opened.twin.controller
        tcp, speed_m_s, state = controller.tcp(), controller.firmware.speed_m_s(), controller.firmware.state
        injected_s, held_up_before = happened[-1]
        log = list(controller.log)
        return Outcome(result, injected_s, held_up_s - held_up_before, log, state, speed_m_s, tcp)


def test_every_fault_has_its_test():
    assert {*STOPS, *GOES_ON, "old_firmware", "ack_without_stop", "ack_without_setting"} == set(FAULT_NAMES)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "mode"),
    [*((name, "online_line") for name in STOPS), *((name, "velocity") for name in IN_VELOCITY_MODE)],
)
def test_the_arm_is_stopped_or_held_in_time(shipped_setup, undisturbed, held_up, name, mode):
    reasons, reaches_us_after_s = STOPS[name]

    def scenario():
        found = run_with(in_mode(shipped_setup, mode), name, held_up)
        result = found.result
        assert result.stop is not None, "went on"
        assert result.stop.reason in reasons, str(result.stop)
        # A controller that cannot be reached takes no stop: the arm is held by its last target, inside the fence.
        safe_s = [result.noticed_s if name in OUT_OF_REACH else found.stop_came_s]
        if reasons is CAMERA:
            safe_s += [tick.time_s for tick in result.ticks if tick.held and tick.time_s > found.injected_s]
        assert min(safe_s) - found.injected_s - found.held_up_s <= reaches_us_after_s + DEADLINE_S
        assert found.speed_m_s == 0
        assert found.state == STOPPED or name in OUT_OF_REACH
        assert shipped_setup.fence.contains(found.tcp, tolerance_m=1e-3)
        assert not [t for t, request in found.log if t > result.noticed_s + 0.05 and request.register in MOVES]

    undisturbed(scenario)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "command"), [("online_line", Register.MOVE_LINE), ("velocity", Register.VC_SET_CARTV)]
)
def test_a_camera_slower_than_the_loop_has_the_arm_hold(shipped_setup, undisturbed, held_up, mode, command):
    def scenario():
        found = run_with(in_mode(shipped_setup, mode), "dropped_frames", held_up, fps=15)
        assert found.result.stop is None, str(found.result.stop)
        assert found.result.residual_m < 0.02
        held_s = [tick.time_s for tick in found.result.ticks if tick.held]
        assert len(held_s) >= 3
        commanded_s = [t for t, request in found.log if request.register == command]
        assert all(any(begun_s < t < begun_s + 0.1 for t in commanded_s) for begun_s in held_s)
        assert not any(np.any(tick.sent) for tick in found.result.ticks if tick.held)

    undisturbed(scenario)


@pytest.mark.slow
@pytest.mark.parametrize("name", GOES_ON)
def test_what_passes_by_itself_stops_nothing(shipped_setup, undisturbed, held_up, name):
    def scenario():
        found = run_with(shipped_setup, name, held_up)
        assert found.result.stop is None, str(found.result.stop)
        assert np.isfinite(found.injected_s)
        assert found.result.residual_m < 0.02

    undisturbed(scenario)


@pytest.mark.slow
def test_a_stop_that_is_only_acknowledged_goes_out_in_time_and_is_not_confirmed(shipped_setup, held_up):
    happened = []
    twin_settings = TwinParams(calibration_m=0.0, camera=TwinCameraParams(fps=FPS))
    planned = [PlannedFault("ack_without_stop", AFTER_S), PlannedFault("camera_unplugged", AFTER_S + 0.1)]
    with open_devices(DeviceNames(), shipped_setup, twin_settings) as opened:

        def keep(name, time_s):
            happened.append((time_s, held_up()))

        with FaultSchedule(opened.twin, planned, keep) as schedule:
            runtime = make_runtime(shipped_setup, opened, shipped_setup.policy, (lambda tick, frame: schedule.begin(),))
            result = runtime.reach(GOAL)
            held_up_s = held_up()
        log, (injected_s, before) = list(opened.twin.controller.log), happened[-1]
    assert result.stop.reason in CAMERA, str(result.stop)
    assert result.stopped_in_s is None
    stop = bytes([STOPPED])
    came = [t for t, request in log if request.register == Register.SET_STATE and request.payload == stop]
    came_s = min(t for t in came if t > injected_s)
    assert came_s - injected_s - (held_up_s - before) <= 0.2 + FRAME_S + DEADLINE_S
    assert [event for _, event in opened.arm.events if "which acknowledged it, but its reports" in event]


def test_old_firmware_is_refused_before_anything_moves(shipped_setup):
    with (
        pytest.raises(DeviceError, match=r"1\.6\.0"),
        open_devices(DeviceNames(), shipped_setup, TwinParams(), "v1.6.0"),
    ):
        raise AssertionError("connected to it")


@pytest.mark.parametrize("text", ["c99", "c31@soon", "c31@-1", "@3", "c31@nan"])
def test_a_fault_that_is_not_there_is_refused(text):
    with pytest.raises(ConfigError, match="--fault"):
        PlannedFault.parse(text)
