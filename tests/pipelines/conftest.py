"""A world of one point, seen and moved through the interfaces alone: the first level of fakes."""

import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from control.arms.arm import Arm
from control.arms.params import ArmParams
from control.policies.policy import Observation
from datasets.arm.kinematics import Kinematics
from datasets.common.errors import DeviceError
from datasets.rig.envelope import CameraEnvelope
from datasets.rig.frame import Frame
from datasets.rig.projection import Intrinsics
from datasets.rig.rig import Rig
from perception.calibration.calibration import Calibration
from perception.cameras.camera import Camera
from perception.cameras.realsense.settings import CameraParams
from perception.estimator.estimate import PositionEstimate
from pipelines.runtime.hooks import Hooks, Observer
from pipelines.runtime.interrupt import Interruption
from pipelines.runtime.loop import LoopSettings, Runtime
from pipelines.runtime.monitor import Monitor
from pipelines.runtime.stepping import StepGate
from pipelines.runtime.tick import Tick
from pipelines.setup import devices
from pipelines.setup.settings import RuntimeParams
from pipelines.setup.setup import Setup, make_fence
from pipelines.twin.twin import Twin
from pipelines.twin.world import TwinWorld

HOME = np.array([0.4, 0.0, 0.228])


class Clock:
    """A clock that tests turn by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="session")
def new_clock() -> type[Clock]:
    """For tests that need one for each of hypothesis's examples."""
    return Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


class PointArm(Arm):
    """Is at its target at once, unless told to fail."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.position = HOME.copy()
        self.moves: list[np.ndarray] = []
        self.stopped_at: float | None = None
        self.fault: Exception | None = None
        self.offset_seen = np.zeros(3)
        self.confirms = True

    is_connected = True

    @property
    def tcp(self) -> np.ndarray:
        return self.position.copy()

    @property
    def target(self) -> np.ndarray:
        return self.position.copy()

    def tcp_at(self, time_s: float) -> np.ndarray:
        return self.position + self.offset_seen

    def joints_at(self, time_s: float) -> np.ndarray:
        return np.array(self.rig.home_joints_rad)

    def connect(self) -> None: ...

    def home(self) -> None:
        self.position = HOME.copy()

    def move(self, displacement_m: np.ndarray) -> np.ndarray:
        if self.stopped_at is not None:
            raise DeviceError("the arm was stopped")
        if self.fault is not None:
            raise self.fault
        before = self.position
        self.position = np.clip(before + displacement_m, self.rig.workspace.low, self.rig.workspace.high)
        self.moves.append(self.position - before)
        return self.position - before

    def stop(self) -> bool:
        if self.stopped_at is None:
            self.stopped_at = time.monotonic()
        return self.confirms

    def disconnect(self) -> None: ...


class PointCamera(Camera):
    """A fresh tiny frame at every call, unless frozen or unplugged."""

    def __init__(self) -> None:
        self.frozen: Frame | None = None
        self.newest: Frame | None = None
        self.fault: Exception | None = None
        self.age_s = 0.0

    is_connected = True
    intrinsics = Intrinsics(8, 6, 6.0, 6.0, 4.0, 3.0)

    def connect(self) -> None: ...

    def read(self) -> Frame:
        return self.read_latest(np.inf)

    def read_latest(self, max_age_s: float) -> Frame:
        if self.fault is not None:
            raise self.fault
        if self.frozen is not None:
            return self.frozen
        frame = Frame(np.zeros((6, 8, 3), np.uint8), np.ones((6, 8), np.float32), time.monotonic() - self.age_s)
        self.newest = frame
        return frame

    def disconnect(self) -> None: ...


class Unbound:
    """An estimator that needs to know nothing of the camera."""

    def bound(self, t_base_camera, intrinsics, table_z_m=0.0):
        return self


class PointEstimator(Unbound):
    """Knows the arm's position, and can be made wrong, unsure, slow or broken."""

    def __init__(self, arm: PointArm) -> None:
        self.arm = arm
        self.error = np.zeros(3)
        self.sigma = np.full(3, 0.002)
        self.delay_s = 0.0
        self.fault: Exception | None = None

    def estimate(self, frame: Frame) -> PositionEstimate:
        time.sleep(self.delay_s)
        if self.fault is not None:
            raise self.fault
        return PositionEstimate(self.arm.position + self.error, self.sigma)


class HalfwayPolicy:
    """Goes half of the way."""

    def __init__(self) -> None:
        self.resets = 0
        self.override: np.ndarray | None = None
        self.seen: list[Observation] = []

    def reset(self) -> None:
        self.resets += 1

    def act(self, observation: Observation) -> np.ndarray:
        self.seen.append(observation)
        if self.override is not None:
            return self.override
        step = 0.5 * (observation.goal - observation.estimate.xyz)
        return step * min(1.0, 0.025 / max(float(np.linalg.norm(step)), 1e-9))


@dataclass
class PointWorld:
    """All parts of a run, and what to do at which step."""

    rig: Rig
    settings: RuntimeParams
    rate_hz: float = 50.0
    horizon: int = 40
    at_step: dict[int, Callable[["PointWorld"], None]] = field(default_factory=dict)
    interrupted: Interruption = field(default_factory=Interruption)
    injected_at: float = 0.0
    ask: Callable | None = None

    def __post_init__(self) -> None:
        self.arm = PointArm(self.rig)
        self.camera = PointCamera()
        self.estimator = PointEstimator(self.arm)
        self.policy = HalfwayPolicy()
        self.ticks: list[Tick] = []
        self.observers: tuple[Observer, ...] = (self.observe,)

    def observe(self, tick: Tick, frame: Frame) -> None:
        self.ticks.append(tick)
        if tick.step in self.at_step:
            self.injected_at = time.monotonic()
            self.at_step[tick.step](self)

    def runtime(self) -> Runtime:
        limits = self.settings.limits
        box = self.rig.workspace
        return Runtime(
            self.camera,
            self.estimator,
            self.policy,
            self.arm,
            Monitor(limits, box.low, box.high, self.rig.max_speed_m_s * self.rate_hz / self.rig.rate_hz),
            LoopSettings(
                rate_hz=self.rate_hz,
                horizon=self.horizon,
                settle_s=0.0,
                max_frame_age_s=limits.max_frame_age_s,
                watchdog_s=self.settings.watchdog_s,
            ),
            Hooks(self.observers, self._gate(), self.interrupted),
        )

    def _gate(self) -> StepGate | None:
        if self.ask is None:
            return None
        age_s = np.inf if self.arm.is_passive else self.settings.limits.max_frame_age_s
        return StepGate(self.ask, lambda command, last_sent: command, age_s)


@pytest.fixture
def settings() -> RuntimeParams:
    return RuntimeParams.load()


def patient(settings: RuntimeParams, **limits: float) -> RuntimeParams:
    """The same, to which a machine that was busy with something else for a second is no fault."""
    limits = {"max_frame_age_s": 2.0, "overruns_in_row": 1000} | limits
    return replace(settings, watchdog_s=1.0, limits=replace(settings.limits, **limits))


@pytest.fixture
def world(rig: Rig, settings: RuntimeParams) -> PointWorld:
    return PointWorld(rig, patient(settings))


@pytest.fixture
def undisturbed(held_up: Callable[[], float], monkeypatch: pytest.MonkeyPatch) -> Callable:
    """Repeats a scenario in which the machine held this process up, and gives what came of an undisturbed one.

    The last of five is given as it is. Only what happens within ``method`` of ``owner`` counts.
    """

    def judge(scenario: Callable, owner: type = Runtime, method: str = "reach", tolerated_s: float = 0.05) -> Any:
        inner, lost_s = getattr(owner, method), [0.0]

        def measured(*given: Any, **named: Any) -> Any:
            before = held_up()
            try:
                return inner(*given, **named)
            finally:
                lost_s[0] += held_up() - before

        with monkeypatch.context() as patch:
            patch.setattr(owner, method, measured)
            for _ in range(5):
                lost_s[0] = 0.0
                found = scenario()
                if lost_s[0] <= tolerated_s:
                    break
        return found

    return judge


class Knowing(Unbound):
    """Takes the TCP from the emulated joints, as a camera would see it that may have been pushed aside."""

    def __init__(self, rig):
        self.rig, self.kinematics, self.twin = rig, Kinematics(), None
        self.envelope, self.rng = CameraEnvelope(), np.random.default_rng(0)

    def faults(self, t_base_camera, intrinsics):
        return []

    def estimate(self, frame):
        pushed = self.twin.world.t_base_camera[:3, 3] - self.rig.t_base_camera[:3, 3]
        tcp = self.kinematics.tcp(self.twin.controller.joints(frame.timestamp))
        return PositionEstimate(tcp - pushed + self.rng.normal(0, 0.001, 3), np.full(3, 0.002))


class Gentle:
    """A slow proportional controller."""

    def reset(self): ...

    def act(self, observation):
        return 0.2 * (observation.goal - observation.estimate.xyz)


@contextmanager
def grey_pictures(world):
    rng = np.random.default_rng(0)

    def render(time_s):
        depth = np.full((480, 640), 1.1, np.float32)
        depth[rng.integers(480, size=50), rng.integers(640, size=50)] += 0.01  # a living sensor's
        return np.full((480, 640, 3), 128, np.uint8), depth

    yield render


@pytest.fixture
def shipped_setup(rig, settings, monkeypatch):
    """The twin with stand-ins for the trained models and every limit as it is shipped."""
    knowing = Knowing(rig)

    class WatchedTwin(Twin):
        def start(self):
            super().start()
            knowing.twin = self

    monkeypatch.setattr(TwinWorld, "renderer", lambda world: grey_pictures(world))
    monkeypatch.setattr(devices, "Twin", WatchedTwin)
    camera = replace(CameraParams.load(), warm_up_frames=3)
    arm = replace(ArmParams.load(), slow_speed_m_s=0.25)
    settings = replace(settings, horizon_steps=20, settle_s=0.3)
    return Setup(rig, settings, arm, camera, knowing, Gentle(), make_fence(rig, arm), Calibration.of_rig(rig))


@pytest.fixture
def knowing_setup(shipped_setup):
    """The same with patience, for what is not about those limits."""
    arm = replace(shipped_setup.arm, report_deadline_s=1.0, command_deadline_s=1.0)
    return replace(shipped_setup, settings=patient(shipped_setup.settings, repeats_held=20), arm=arm)
