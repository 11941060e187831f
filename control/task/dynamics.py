r"""Models of the arm for learning: how the TCP follows its target, and with what delay it is seen.

Time is cut into steps of ``SUBSTEP_S``; each model keeps the TCP's path of the last second, so that a picture can be
taken of where the arm *was*. Random values are drawn once per episode, uniformly from the parameters' ranges.
"""

from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np

from datasets.common.config import Checked, Within
from datasets.common.errors import ConfigError
from datasets.rig.projection import Array
from datasets.rig.rig import Interval

SUBSTEP_S = 0.01
MEMORY_S = 1.0


@dataclass(frozen=True)
class DynamicsParams(Checked):
    """Ranges ``(low, high)`` from which an episode's arm and camera are drawn.

    Attributes:
        model: ``kinematic``: the TCP is at its target one period later; ``response``: speed and acceleration limits and
            lag in Cartesian space, as in the controller's online planning; ``physics``: the same planning, carried out
            by position-controlled joints in MuJoCo (:mod:`control.task.physics`).
        camera_delay_s: age of a picture when the policy acts on it. Colour of a RealSense arrives 100-140 ms after
            exposure, depth 60-70 ms (Intel's measurements); a twin may be faster.
        frame_jitter_s: drawn again at every step and added: a 30 Hz camera and a 10 Hz loop are not in phase.
        action_delay_s: time from command to first motion. A servo call takes 0.3 ms, at worst 2-7 ms, on an xArm7;
            the start of motion itself takes a few controller cycles more (*assumed: arm-response*).
        speed_m_s: the planner's speed limit; at least the rig's own, so that targets are reached within a period.
        acceleration_m_s2: the planner's limit; the vendor's default Cartesian acceleration is 2 m/s^2 (what
            mode 7 uses: *assumed: arm-response*), its largest 50.
        lag_s: first-order lag of the joints behind their reference (*assumed: arm-response*).
        tracking_error_m: length of a constant offset between commanded and true TCP (payload sag, calibration of the
            links); repeatability is 0.1 mm, absolute accuracy of this class of arms about 1 mm.
        dropped_frames: fraction of steps without a newer picture: the TCP is then seen where it was seen last.
        servo_gain: ``physics`` only: factor on the joint servos' stiffness and damping (*assumed: arm-response*).
        payload_kg: ``physics`` only: mass in the gripper that the controller does not know; an xArm7 carries 3.5 kg
            (user manual), of which the gripper takes 0.82.
    """

    PART = "dynamics."

    model: Literal["kinematic", "response", "physics"] = "response"
    camera_delay_s: Annotated[Interval, Within(0, unit="s", rising=True)] = (0.0, 0.0)
    frame_jitter_s: Annotated[Interval, Within(0, unit="s", rising=True)] = (0.0, 0.0)
    action_delay_s: Annotated[Interval, Within(0, unit="s", rising=True)] = (0.0, 0.0)
    speed_m_s: Annotated[Interval, Within(0, unit="m/s", above=True, rising=True)] = (0.3, 0.3)
    acceleration_m_s2: Annotated[Interval, Within(0, unit="m/s²", above=True, rising=True)] = (2.0, 2.0)
    lag_s: Annotated[Interval, Within(0, unit="s", rising=True)] = (0.03, 0.03)
    tracking_error_m: Annotated[Interval, Within(0, unit="m", rising=True)] = (0.0, 0.0)
    dropped_frames: Annotated[Interval, Within(0, 1, below=True, rising=True)] = (0.0, 0.0)
    servo_gain: Annotated[Interval, Within(0, rising=True)] = (1.0, 1.0)
    payload_kg: Annotated[Interval, Within(0, unit="kg", rising=True)] = (0.0, 0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.camera_delay_s[1] + self.frame_jitter_s[1] > MEMORY_S:
            raise ConfigError(f"dynamics.camera_delay_s plus frame_jitter_s must stay below {MEMORY_S} s")


class ArmDynamics(ABC):
    """One arm following targets; positions are TCPs ``(3,)`` m in the base frame."""

    def __init__(self, params: DynamicsParams, period_s: float) -> None:
        self._params = params
        self._substeps = max(1, round(period_s / SUBSTEP_S))
        self._path: deque[Array] = deque(maxlen=round(MEMORY_S / SUBSTEP_S) + 1)
        self.camera_delay_s = 0.0
        self.dropped_frames = 0.0

    @property
    def tcp(self) -> Array:
        """Where the TCP is now."""
        return self._path[-1]

    @property
    def velocity(self) -> Array:
        """Mean velocity of the TCP over the last substep, m/s."""
        return (self._path[-1] - self._path[-2]) / SUBSTEP_S

    def tcp_before(self, age_s: float) -> Array:
        """Where the TCP was ``age_s`` ago, interpolated linearly between substeps."""
        position = len(self._path) - 1 - age_s / SUBSTEP_S
        if position <= 0:
            return self._path[0].copy()  # the same array object marks the same picture
        index = int(position)
        if index + 1 >= len(self._path):
            return self._path[-1]
        fraction = position - index
        return (1 - fraction) * self._path[index] + fraction * self._path[index + 1]

    def reset(self, tcp: Array, rng: np.random.Generator) -> None:
        """Stand still with ``tcp`` as the target, and draw this episode's arm and camera."""
        self.camera_delay_s = float(rng.uniform(*self._params.camera_delay_s))
        self.dropped_frames = float(rng.uniform(*self._params.dropped_frames))
        self._path.clear()
        self._path.extend([tcp.copy(), tcp.copy()])

    def picture_age_s(self, rng: np.random.Generator) -> float:
        """Age of the picture the policy sees now."""
        return self.camera_delay_s + float(rng.uniform(*self._params.frame_jitter_s))

    @abstractmethod
    def advance(self, target: Array) -> None:
        """Let one control period pass under a new target."""


class KinematicArm(ArmDynamics):
    """Moves in a straight line and is at the target when the period ends."""

    def advance(self, target: Array) -> None:
        """Let one control period pass under a new target."""
        start = self.tcp
        for i in range(1, self._substeps + 1):
            self._path.append(start + (target - start) * (i / self._substeps))


class Planner:
    r"""The controller's online planning of a Cartesian reference, within limits of speed and acceleration.

    The reference :math:`p` chases the newest target :math:`g` with the speed from which it can still stop there:

    .. math::

        v^* = \frac{g - p}{\lVert g - p \rVert} \min(v_{max}, \sqrt{2 a \lVert g - p \rVert}), \qquad
        \lVert \dot v \rVert \le a
    """

    def __init__(self, start: Array, speed_m_s: float, acceleration_m_s2: float) -> None:
        self.position = start.copy()
        self._velocity = np.zeros(3)
        self._speed, self._acceleration = speed_m_s, acceleration_m_s2

    def advance(self, target: Array) -> Array:
        """The reference one substep later, ``(3,)`` m."""
        to_go = target - self.position
        distance = float(np.sqrt(to_go @ to_go))
        if distance < 1e-9:
            wanted = np.zeros(3)
        else:
            # The speed from which whole substeps of braking still end at the target: the continuous law overshoots.
            braked = self._acceleration * SUBSTEP_S / 2
            stopping = np.sqrt(braked**2 + 2 * self._acceleration * distance) - braked
            wanted = to_go * (min(self._speed, stopping, distance / SUBSTEP_S) / distance)
        change = wanted - self._velocity
        size = float(np.sqrt(change @ change))
        limit = self._acceleration * SUBSTEP_S
        self._velocity = self._velocity + (change if size <= limit else change * (limit / size))
        self.position = self.position + self._velocity * SUBSTEP_S
        return self.position


class PlannedArm(ArmDynamics):
    """A planner's reference, followed by whatever carries it out; each command takes effect after a delay.

    Raises (on construction):
        ConfigError: a command could take effect only after the next one has come.
    """

    def __init__(self, params: DynamicsParams, period_s: float) -> None:
        super().__init__(params, period_s)
        if round(params.action_delay_s[1] / SUBSTEP_S) >= self._substeps:
            raise ConfigError(
                f"dynamics.action_delay_s must stay below the control period of {period_s:g} s, "
                f"got {list(params.action_delay_s)}"
            )

    def reset(self, tcp: Array, rng: np.random.Generator) -> None:
        """Stand still with ``tcp`` as the target, and draw this episode's arm and camera."""
        super().reset(tcp, rng)
        self._delay_substeps = round(rng.uniform(*self._params.action_delay_s) / SUBSTEP_S)
        speed, acceleration = rng.uniform(*self._params.speed_m_s), rng.uniform(*self._params.acceleration_m_s2)
        self._planner = Planner(tcp, float(speed), float(acceleration))
        self._target = tcp.copy()
        direction = rng.normal(size=3)
        self._offset = rng.uniform(*self._params.tracking_error_m) * direction / np.linalg.norm(direction)

    def advance(self, target: Array) -> None:
        """Let one control period pass under a new target."""
        for i in range(self._substeps):
            if i == self._delay_substeps:
                self._target = target
            self._path.append(self._follow(self._planner.advance(self._target)))

    @abstractmethod
    def _follow(self, reference: Array) -> Array:
        """The TCP ``(3,)`` m one substep later, under a new reference."""


class ResponseArm(PlannedArm):
    r"""Follows the reference :math:`p` with a lag :math:`\tau` and a constant tracking error :math:`e`.

    .. math:: \tau \dot x = p + e - x
    """

    def reset(self, tcp: Array, rng: np.random.Generator) -> None:
        """Stand still with ``tcp`` as the target, and draw this episode's arm and camera."""
        super().reset(tcp, rng)
        self._share = float(1.0 - np.exp(-SUBSTEP_S / max(rng.uniform(*self._params.lag_s), 1e-6)))
        self._path.clear()
        self._path.extend([tcp + self._offset] * 2)

    def _follow(self, reference: Array) -> Array:
        return self.tcp + self._share * (reference + self._offset - self.tcp)
