"""Every named fault of the twin, through the real SDK and librealsense: what the runtime does, and within what time.

The pictures are grey and the estimator is a stand-in that knows the joints: only wires and clocks matter here.
"""

import time

import numpy as np
import pytest

from control.arms.params import ArmParams
from datasets.errors import ConfigError, DeviceError
from pipelines.devices import DeviceNames, open_devices
from pipelines.run import make_runtime
from pipelines.stops import StopReason
from pipelines.twin.camera import TwinCameraSettings
from pipelines.twin.controller import _MOVES as MOVES
from pipelines.twin.faults import FAULT_NAMES, FaultSchedule, PlannedFault
from pipelines.twin.settings import TwinSettings

GOAL = np.array([0.47, 0.12, 0.33])
AFTER_S = 0.45
DEADLINE_S = 0.25
FPS = 30
FRAME_S = 1 / FPS
REPORT_DEADLINE_S = ArmParams().report_deadline_s
REPLY_DEADLINE_S = ArmParams().command_deadline_s + 0.1  # counted from the next command, at most a tick away

ARM, CAMERA = {StopReason.ARM}, {StopReason.CAMERA, StopReason.STALE_FRAME, StopReason.REPEATED_FRAME}
STOPS = {
    **dict.fromkeys(("c21", "c22", "c23", "c24", "c31", "c35", "estop", "mode0", "pause"), (ARM, 0.0)),
    **dict.fromkeys(("drop_control", "drop_motion"), (ARM, 0.0)),
    **dict.fromkeys(("silent", "drop_reports", "mute_reports"), (ARM, REPORT_DEADLINE_S)),
    "silent_motion": (ARM, REPLY_DEADLINE_S),
    **dict.fromkeys(("dead_colour", "dead_depth", "camera_unplugged"), (CAMERA, FRAME_S)),
    **dict.fromkeys(("frozen_frames", "repeated_frames", "no_depth"), (CAMERA, FRAME_S)),
    "camera_moved": ({StopReason.DRIFT}, 2.0 - DEADLINE_S),
}
OUT_OF_REACH = ("silent", "drop_control")
GOES_ON = (
    *("stall", "slow", "latency", "jitter", "warning"),
    *("dropped_frames", "camera_stall", "camera_latency", "camera_jitter"),
)


def run_with(knowing_setup, name, firmware=None):
    happened = []
    with open_devices(
        DeviceNames(), knowing_setup, TwinSettings(calibration_m=0.0, camera=TwinCameraSettings(fps=FPS)), firmware
    ) as opened:
        with FaultSchedule(
            opened.twin, [PlannedFault(name, AFTER_S)], lambda *event: happened.append(event)
        ) as schedule:
            runtime = make_runtime(knowing_setup, opened, knowing_setup.policy, (lambda tick, frame: schedule.begin(),))
            result = runtime.reach(GOAL)
            time.sleep(0.2)
        log = list(opened.twin.controller.log)
        targets = opened.twin.controller.tcp()
    return result, happened[0][1], log, targets


def test_every_fault_has_its_test():
    assert {*STOPS, *GOES_ON, "old_firmware"} == set(FAULT_NAMES)


@pytest.mark.slow
@pytest.mark.parametrize("name", STOPS)
def test_the_arm_is_stopped_or_held_in_time(knowing_setup, name):
    reasons, reaches_us_after_s = STOPS[name]
    result, injected_s, log, tcp = run_with(knowing_setup, name)
    assert result.stop is not None, "went on"
    assert result.stop.reason in reasons, str(result.stop)
    held_s = min((tick.time_s for tick in result.ticks if tick.held and tick.time_s > injected_s), default=np.inf)
    # A controller that cannot be reached takes no stop: the arm is held by its last target, inside the fence.
    stopped_s = result.noticed_s + (0.0 if name in OUT_OF_REACH else result.stopped_in_s)
    safe_s = min(stopped_s, held_s)
    assert safe_s - injected_s <= reaches_us_after_s + DEADLINE_S
    assert knowing_setup.fence.contains(tcp, tolerance_m=1e-3)
    assert not [t for t, request in log if t > result.noticed_s + 0.05 and request.register in MOVES]


@pytest.mark.slow
@pytest.mark.parametrize("name", GOES_ON)
def test_what_passes_by_itself_stops_nothing(knowing_setup, name):
    result, _, _, _ = run_with(knowing_setup, name)
    assert result.stop is None, str(result.stop)
    assert result.residual_m < 0.02


def test_old_firmware_is_refused_before_anything_moves(knowing_setup):
    with (
        pytest.raises(DeviceError, match=r"1\.6\.0"),
        open_devices(DeviceNames(), knowing_setup, TwinSettings(), "v1.6.0"),
    ):
        raise AssertionError("connected to it")


@pytest.mark.parametrize("text", ["c99", "c31@soon", "c31@-1", "@3", "c31@nan"])
def test_a_fault_that_is_not_there_is_refused(text):
    with pytest.raises(ConfigError, match="--fault"):
        PlannedFault.parse(text)
