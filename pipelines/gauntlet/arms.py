"""The gaps in the arm: motion that :mod:`control.task.dynamics` cannot describe."""

from abc import abstractmethod

import numpy as np

from control.task.dynamics import SUBSTEP_S, ArmDynamics, DynamicsParams
from datasets.rig.projection import Array
from pipelines.gauntlet.gaps import ActionNoise, Gap, MotionChange

START_STEPS = 4
"""Control periods of motion before an episode that starts at speed: enough for every acceleration of the stage."""


class OtherwiseCommanded(ArmDynamics):
    """An arm that receives other commands than its user gives."""

    def __init__(self, arm: ArmDynamics) -> None:
        self._arm = arm

    @property
    def tcp(self) -> Array:
        """The position of the TCP now."""
        return self._arm.tcp

    @property
    def velocity(self) -> Array:
        """The velocity of the TCP over the last substep, m/s."""
        return self._arm.velocity

    def tcp_before(self, age_s: float) -> Array:
        """The position of the TCP ``age_s`` ago."""
        return self._arm.tcp_before(age_s)

    def picture_age_s(self, rng: np.random.Generator) -> float:
        """Age of the picture the policy sees now."""
        return self._arm.picture_age_s(rng)

    def reset(self, tcp: Array, rng: np.random.Generator) -> None:
        """Stand still with ``tcp`` as the target, and draw this episode's arm and camera."""
        self._arm.reset(tcp, rng)
        self.camera_delay_s, self.dropped_frames = self._arm.camera_delay_s, self._arm.dropped_frames

    def advance(self, target: Array) -> None:
        """Let one control period pass under a new target."""
        self._arm.advance(target)


class NoisyArm(OtherwiseCommanded):
    """An arm that carries out each displacement with an error; the errors add up and are not reported."""

    def __init__(self, arm: ArmDynamics, noise: ActionNoise) -> None:
        super().__init__(arm)
        self._noise = noise

    def reset(self, tcp: Array, rng: np.random.Generator) -> None:
        """Stand still with ``tcp`` as the target, and draw this episode's arm and camera."""
        super().reset(tcp, rng)
        # Spawned, so that the episode's own random stream is the same as without this noise.
        (self._rng,) = rng.spawn(1)
        self._error = np.zeros(3)
        self._last = tcp

    def advance(self, target: Array) -> None:
        """Let one control period pass under a new target."""
        spread = self._noise.constant_m + self._noise.fraction * float(np.linalg.norm(target - self._last))
        self._error = self._error + spread * self._rng.standard_normal(3)
        self._last = target
        self._arm.advance(target + self._error)


class ArrivingArm(OtherwiseCommanded):
    """An arm that still moves when an episode begins: its target has just arrived at the starting point.

    :param speed_m_s: speed of the target until then, along a straight line from any direction
    :param period_s: the control period
    """

    def __init__(self, arm: ArmDynamics, speed_m_s: float, period_s: float) -> None:
        super().__init__(arm)
        self._step_m = speed_m_s * period_s

    def reset(self, tcp: Array, rng: np.random.Generator) -> None:
        """Draw this episode's arm and camera, and arrive at the target ``tcp`` at speed."""
        (own,) = rng.spawn(1)
        direction = own.normal(size=3)
        step = self._step_m * direction / np.linalg.norm(direction)
        super().reset(tcp - START_STEPS * step, rng)
        for left in reversed(range(START_STEPS)):
            self._arm.advance(tcp - left * step)


class AlteredArm(ArmDynamics):
    """An arm with its TCP at another place than the TCP of the arm that drives it.

    :param arm: the drive, with the same parameters and period
    """

    def __init__(self, arm: ArmDynamics, params: DynamicsParams, period_s: float) -> None:
        super().__init__(params, period_s)
        self._arm = arm

    def reset(self, tcp: Array, rng: np.random.Generator) -> None:
        """Stand still with ``tcp`` as the target, and draw this episode's arm and camera."""
        self._arm.reset(tcp, rng)
        self.camera_delay_s, self.dropped_frames = self._arm.camera_delay_s, self._arm.dropped_frames
        (own,) = rng.spawn(1)
        start = self._start(self._arm.tcp, own)
        self._path.clear()
        self._path.extend([start, start.copy()])

    def advance(self, target: Array) -> None:
        """Let one control period pass under a new target."""
        self._arm.advance(target)
        for left in reversed(range(self._substeps)):
            self._path.append(self._altered(self._arm.tcp_before(left * SUBSTEP_S)))

    def _start(self, driven: Array, rng: np.random.Generator) -> Array:
        """The TCP ``(3,)`` m at rest, when the drive is at ``driven``."""
        return self._altered(driven)

    @abstractmethod
    def _altered(self, driven: Array) -> Array:
        """The TCP ``(3,)`` m when the drive is at ``driven``, one substep after the last call."""


class BacklashArm(AlteredArm):
    r"""An arm with play: the TCP :math:`x` stays where it is until the drive :math:`p` takes it along.

    .. math:: x \leftarrow x + \max\left(0, 1 - \frac{b / 2}{\lVert p - x \rVert}\right) (p - x)

    with the play :math:`b`: the ordinary play operator in three dimensions (Krasnosel'skii, Pokrovskii, "Systems with
    Hysteresis", 1989), which does not depend on the frame's axes. The TCP's place within the play is drawn at the
    start.
    """

    def __init__(self, arm: ArmDynamics, params: DynamicsParams, period_s: float, backlash_m: float) -> None:
        super().__init__(arm, params, period_s)
        self._reach_m = backlash_m / 2

    def _start(self, driven: Array, rng: np.random.Generator) -> Array:
        direction = rng.normal(size=3)
        return driven + self._reach_m * np.cbrt(rng.uniform()) * direction / np.linalg.norm(direction)

    def _altered(self, driven: Array) -> Array:
        apart = driven - self.tcp
        distance = float(np.linalg.norm(apart))
        if distance <= self._reach_m:
            return self.tcp.copy()
        return self.tcp + (1 - self._reach_m / distance) * apart


class CurvedArm(AlteredArm):
    r"""An arm that scales each axis of a commanded displacement, and bends a straight way to the side.

    .. math:: x = h + G (p - h) - \tfrac{1}{2} c\, (p_y - h_y)^2\, e_x

    with home :math:`h`, the diagonal matrix :math:`G` of the gains and the curvature :math:`c`.
    """

    def __init__(
        self, arm: ArmDynamics, params: DynamicsParams, period_s: float, motion: MotionChange, home: Array
    ) -> None:
        super().__init__(arm, params, period_s)
        self._gain, self._bend, self._home = np.array(motion.gain_xyz), motion.bend_per_m, home

    def _altered(self, driven: Array) -> Array:
        way = driven - self._home
        nearer = 0.5 * self._bend * way[1] ** 2
        return self._home + self._gain * way - np.array([nearer, 0.0, 0.0])


def arm_in(gap: Gap, arm: ArmDynamics, params: DynamicsParams, period_s: float, home: Array) -> ArmDynamics:
    """The arm as it moves in a gap.

    Args:
        gap: the gap.
        arm: the arm according to ``params``.
        params: the dynamics of the gap's episodes.
        period_s: the control period.
        home: the TCP at home, ``(3,)`` m.
    """
    motion, plain = gap.motion, MotionChange()
    if gap.action_noise != ActionNoise():
        arm = NoisyArm(arm, gap.action_noise)
    if motion.backlash_m:
        arm = BacklashArm(arm, params, period_s, motion.backlash_m)
    if (motion.gain_xyz, motion.bend_per_m) != (plain.gain_xyz, plain.bend_per_m):
        arm = CurvedArm(arm, params, period_s, motion, home)
    if motion.start_speed_m_s:
        arm = ArrivingArm(arm, motion.start_speed_m_s, period_s)
    return arm
