"""The reach task in a gap: another arm, and a goal that may move."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from control.task.env import EnvParams, Observations, ReachEnv
from control.task.sources import PositionSource
from datasets.rig.projection import Array
from datasets.rig.rig import Rig
from pipelines.gauntlet.arms import arm_in
from pipelines.gauntlet.gaps import Gap

TURNS_APART_M = 0.1
"""Least distance between the two places where a moving goal turns: it mostly goes straight."""


class GapEnv(ReachEnv):
    """The reach task with a gap in how arm and goal move.

    A moving goal begins where the episode's goal is without this gap; the policy is always given its present position.
    """

    def __init__(self, params: EnvParams, gap: Gap, source: PositionSource, rig: Rig) -> None:
        super().__init__(gap.env_params(params), source, rig)
        self._dynamics = arm_in(gap, self._dynamics, self.params.dynamics, 1 / rig.rate_hz, self._goals.home)
        self._goal_speed_m_s = gap.motion.goal_speed_m_s

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, dict[str, Any]]:
        """Start with a new goal, arm and scene; the same seed gives the same episode."""
        found = super().reset(seed=seed, options=options)
        if self._goal_speed_m_s:
            self._turns = self._goal, self._other_turn()
        return found

    def step(self, action: NDArray[np.float32]) -> tuple[Observations, float, bool, bool, dict[str, Any]]:
        """Move the target and the goal, let one period pass, and look again."""
        if self._goal_speed_m_s:
            self._goal = self._goal_after((self._steps + 1) / self.rig.rate_hz)
        return super().step(action)

    def _other_turn(self) -> Array:
        # Spawned, so that the episode's own random stream is the same as without this gap.
        (rng,) = self.np_random.spawn(1)
        while True:
            turn = self._goals.sample(rng)
            if np.linalg.norm(turn - self._goal) >= TURNS_APART_M:
                return turn

    def _goal_after(self, time_s: float) -> Array:
        start, end = self._turns
        length = float(np.linalg.norm(end - start))
        way = self._goal_speed_m_s * time_s % (2 * length)
        return start + (end - start) * (min(way, 2 * length - way) / length)
