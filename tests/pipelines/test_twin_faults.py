"""Every named fault of the twin, through the real SDK and librealsense: what the runtime does, and within what time.

The pictures are grey and the estimator is a stand-in that knows the joints: only wires and clocks matter here.
"""

import time
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from control.arms.params import ArmParams
from datasets.errors import ConfigError, DeviceError
from datasets.kinematics import Kinematics
from perception.cameras.settings import CameraSettings
from perception.estimate import PositionEstimate
from pipelines import devices
from pipelines.devices import DeviceNames, open_devices
from pipelines.run import make_runtime
from pipelines.setup import Setup, make_fence
from pipelines.stops import StopReason
from pipelines.twin.controller import _MOVES as MOVES
from pipelines.twin.faults import FAULT_NAMES, FaultSchedule, PlannedFault
from pipelines.twin.settings import TwinSettings
from pipelines.twin.twin import Twin
from pipelines.twin.world import TwinWorld

GOAL = np.array([0.47, 0.12, 0.33])
AFTER_S = 0.45
DEADLINE_S = 0.25
FRAME_S = 1 / 15
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
GOES_ON = ("stall", "slow", "dropped_frames", "camera_stall")


class Knowing:
    """Takes the TCP from the emulated joints, as a camera would see it that may have been pushed aside."""

    def __init__(self, rig):
        self.rig, self.kinematics, self.twin = rig, Kinematics(), None
        self.rng = np.random.default_rng(0)

    def estimate(self, frame, t_base_camera=None, intrinsics=None):
        pushed = self.twin.world.t_base_camera[:3, 3] - self.rig.t_base_camera[:3, 3]
        tcp = self.kinematics.tcp(self.twin.controller.joints(frame.timestamp))
        return PositionEstimate(tcp - pushed + self.rng.normal(0, 0.001, 3), np.full(3, 0.002))


class Gentle:
    """A slow proportional controller."""

    def reset(self): ...

    def act(self, observation):
        return 0.15 * (observation.goal - observation.estimate.xyz)


@contextmanager
def grey_pictures(world):
    rng = np.random.default_rng(0)

    def render(time_s):
        depth = np.full((480, 640), 1.1, np.float32)
        depth[rng.integers(480, size=50), rng.integers(640, size=50)] += 0.01  # a living sensor's
        return np.full((480, 640, 3), 128, np.uint8), depth

    yield render


@pytest.fixture
def setup(rig, settings, monkeypatch):
    knowing = Knowing(rig)

    class WatchedTwin(Twin):
        def start(self):
            super().start()
            knowing.twin = self

    monkeypatch.setattr(TwinWorld, "renderer", lambda world: grey_pictures(world))
    monkeypatch.setattr(devices, "Twin", WatchedTwin)
    camera = replace(CameraSettings.load(), warm_up_frames=3)
    arm = ArmParams.load()
    settings = replace(settings, horizon_steps=25, settle_s=0.3)
    return Setup(rig, settings, arm, camera, knowing, Gentle(), make_fence(rig, arm))


def run_with(setup, name, firmware=None):
    happened = []
    with open_devices(DeviceNames(), setup, TwinSettings(calibration_m=0.0), firmware) as opened:
        with FaultSchedule(
            opened.twin, [PlannedFault(name, AFTER_S)], lambda *event: happened.append(event)
        ) as schedule:
            runtime = make_runtime(setup, opened, setup.policy, (lambda tick, frame: schedule.begin(),))
            result = runtime.reach(GOAL)
            time.sleep(0.4)
        log = list(opened.twin.controller.log)
        targets = opened.twin.controller.tcp()
    return result, happened[0][1], log, targets


def test_every_fault_has_its_test():
    assert {*STOPS, *GOES_ON, "old_firmware"} == set(FAULT_NAMES)


@pytest.mark.slow
@pytest.mark.parametrize("name", STOPS)
def test_the_arm_is_stopped_or_held_in_time(setup, name):
    reasons, reaches_us_after_s = STOPS[name]
    result, injected_s, log, tcp = run_with(setup, name)
    assert result.stop is not None, "went on"
    assert result.stop.reason in reasons, str(result.stop)
    held_s = min((tick.time_s for tick in result.ticks if tick.held and tick.time_s > injected_s), default=np.inf)
    # A silent controller takes no stop: the arm is held by the last target it was given, inside the fence.
    stopped_s = result.noticed_s + (0.0 if name == "silent" else result.stopped_in_s)
    safe_s = min(stopped_s, held_s)
    assert safe_s - injected_s <= reaches_us_after_s + DEADLINE_S
    assert setup.fence.contains(tcp, tolerance_m=1e-3)
    assert not [t for t, request in log if t > result.noticed_s + 0.05 and request.register in MOVES]


@pytest.mark.slow
@pytest.mark.parametrize("name", GOES_ON)
def test_what_passes_by_itself_stops_nothing(setup, name):
    result, _, _, _ = run_with(setup, name)
    assert result.stop is None, str(result.stop)
    assert result.residual_m < 0.02


def test_old_firmware_is_refused_before_anything_moves(setup):
    with pytest.raises(DeviceError, match=r"1\.6\.0"), open_devices(DeviceNames(), setup, TwinSettings(), "v1.6.0"):
        raise AssertionError("connected to it")


@pytest.mark.parametrize("text", ["c99", "c31@soon", "c31@-1", "@3", "c31@nan"])
def test_a_fault_that_is_not_there_is_refused(text):
    with pytest.raises(ConfigError, match="--fault"):
        PlannedFault.parse(text)
