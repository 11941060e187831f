"""A world of one point, seen and moved through the interfaces alone: the first level of fakes."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from control.arms.arm import Arm
from control.policies.policy import Observation
from datasets.common.errors import DeviceError
from datasets.rig.frame import Frame
from datasets.rig.projection import Intrinsics
from datasets.rig.rig import Rig
from perception.cameras.camera import Camera
from perception.estimator.estimate import PositionEstimate
from pipelines.runtime.hooks import Hooks, Observer
from pipelines.runtime.interrupt import Interruption
from pipelines.runtime.loop import LoopSettings, Runtime
from pipelines.runtime.monitor import Monitor
from pipelines.runtime.stepping import StepGate
from pipelines.runtime.tick import Tick
from pipelines.setup.settings import RuntimeParams

HOME = np.array([0.4, 0.0, 0.228])


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
        time.sleep(self.delay_s)  # a network takes its time
        if self.fault is not None:
            raise self.fault
        return PositionEstimate(self.arm.position + self.error, self.sigma)


class HalfwayPolicy:
    """Goes half of the way."""

    def __init__(self) -> None:
        self.resets = 0
        self.override: np.ndarray | None = None
        self.seen: list[Observation] = []
        self.told: list[np.ndarray] = []

    def reset(self) -> None:
        self.resets += 1

    def act(self, observation: Observation) -> np.ndarray:
        self.seen.append(observation)
        self.told.append(observation.last_command)
        if self.override is not None:
            return self.override
        step = 0.5 * (observation.goal - observation.estimate.xyz)
        return step * min(1.0, 0.025 / max(float(np.linalg.norm(step)), 1e-9))

    def hold(self, last_command: np.ndarray) -> None:
        self.told.append(last_command)


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
