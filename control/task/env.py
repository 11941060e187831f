"""The reach task as a gymnasium goal environment: move the TCP to a goal by displacements of its target."""

from dataclasses import dataclass, field
from typing import Annotated, Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray

from control.arms.fence import Fence
from control.policies.features import REST, SIZE, FeatureEncoder
from control.policies.policy import Observation
from control.task.dynamics import DynamicsParams
from control.task.goals import GoalSampler
from control.task.physics import make_dynamics
from control.task.rewards import RewardParams, goal_term, reward_terms
from control.task.sources import PositionSource, TrueState
from datasets.common.config import Checked, Within
from datasets.rig.projection import Array
from datasets.rig.rig import Rig
from perception.estimator.estimate import PositionEstimate

STATE_SIZE = 10
"""Size of ``state``: target minus TCP (3, m), velocity (3, m/s), error of the fused position (3, m), and the camera's
delay (1, s)."""

Observations = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class EnvParams(Checked):
    """Parameters of an episode.

    Attributes:
        horizon: number of steps; episodes always run all of them, so that settling counts (the original's 50).
        goal_radius_m: goals lie at most this far from home (the original's 0.20).
    """

    PART = "env."

    horizon: Annotated[int, Within(1)] = 50
    goal_radius_m: Annotated[float, Within(0, 1, "m", above=True)] = 0.20
    reward: RewardParams = field(default_factory=RewardParams)
    dynamics: DynamicsParams = field(default_factory=DynamicsParams)


class ReachEnv(gym.Env[Observations, NDArray[np.float32]]):
    """Episodes start at home and are cut off (truncated, never terminated) at the horizon.

    Action ``(3,)`` in [-1, 1]: a displacement in units of the rig's ``max_displacement_m``; it moves the **last
    target**, and the fence shortens it exactly as on the arm.

    Observations: ``observation`` ``(16,)`` and ``desired_goal`` ``(3,)`` m are the actor's, all that a camera can show;
    ``achieved_goal`` ``(3,)`` m, the true TCP, and ``state`` ``(10,)`` are privileged and meant for a critic.

    ``info``: ``reward_terms``, ``distance_m`` (true TCP to goal), ``displacement_m`` (what was actually sent).

    ``reset(options={"goal": ...})`` sets the goal.
    """

    metadata = {"render_modes": []}  # noqa: RUF012  (gymnasium declares this type)

    def __init__(
        self, params: EnvParams | None = None, source: PositionSource | None = None, rig: Rig | None = None
    ) -> None:
        self.params = EnvParams() if params is None else params
        self.rig = Rig.load() if rig is None else rig
        self._source: PositionSource = TrueState() if source is None else source
        self.fence = Fence.from_rig(self.rig)
        self._goals = GoalSampler(self.rig, self.fence, self.params.goal_radius_m)
        self._dynamics = make_dynamics(self.params.dynamics, self.rig)
        self._encoder = FeatureEncoder(1 / self.rig.rate_hz)
        self.action_space = spaces.Box(-1.0, 1.0, (3,), np.float32)
        self.observation_space: spaces.Dict = spaces.Dict(  # type: ignore[assignment]  # of arrays, as SB3 requires
            {
                "observation": spaces.Box(-10.0, 10.0, (SIZE,), np.float32),
                "desired_goal": spaces.Box(-2.0, 2.0, (3,), np.float32),
                "achieved_goal": spaces.Box(-2.0, 2.0, (3,), np.float32),
                "state": spaces.Box(-10.0, 10.0, (STATE_SIZE,), np.float32),
            }
        )

    @property
    def tcp(self) -> Array:
        """True TCP ``(3,)`` m."""
        return self._dynamics.tcp

    @property
    def target(self) -> Array:
        """The commanded position of the TCP, ``(3,)`` m."""
        return self._target

    @property
    def seen_tcp(self) -> Array:
        """Where the TCP was in the newest picture, ``(3,)`` m."""
        return self._seen_tcp

    @property
    def policy_observation(self) -> Observation:
        """The newest observation in the form that :class:`control.policies.policy.Policy` takes."""
        return self._observation

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, dict[str, Any]]:
        """Start at home with a new goal, arm and scene; the same seed gives the same episode."""
        super().reset(seed=seed)
        goal = self._goals.sample(self.np_random)
        self._goal = goal if not options or "goal" not in options else np.asarray(options["goal"], dtype=float)
        self._source.reset(int(self.np_random.integers(2**31)))
        self._target = self._start()
        self._dynamics.reset(self._target, self.np_random)
        self._encoder.reset()
        self._seen_tcp = self._dynamics.tcp
        self._sent = np.zeros(3)
        self._steps = 0
        return self._observe(np.zeros(3)), self._info(np.zeros(3), np.zeros(3))

    def step(self, action: NDArray[np.float32]) -> tuple[Observations, float, bool, bool, dict[str, Any]]:
        """Move the target, let one period pass, and observe again."""
        wanted = self.rig.max_displacement_m * np.asarray(action, dtype=float)
        target = self.fence.next_target(self._target.astype(np.float64), wanted, self._sent)
        sent = self._sent = target - self._target
        self._target = target
        self._dynamics.advance(target)
        self._steps += 1
        observations, info = self._observe(sent), self._info(sent, action)
        return observations, sum(info["reward_terms"].values()), False, self._steps >= self.params.horizon, info

    def compute_reward(
        self, achieved_goal: NDArray, desired_goal: NDArray, info: dict[str, Any] | list[dict[str, Any]]
    ) -> NDArray | float:
        """Rewards ``(...)`` of true TCPs ``(..., 3)`` m for goals ``(..., 3)`` m, for hindsight replay.

        They include the effort term only where ``info`` still contains it.
        """
        infos = [info] if isinstance(info, dict) else info
        effort = np.array([one.get("reward_terms", {}).get("effort", 0.0) for one in infos])
        reward = goal_term(achieved_goal.astype(np.float64), desired_goal.astype(np.float64), self.params.reward)
        return float(reward + effort[0]) if isinstance(info, dict) else reward + effort

    def _start(self) -> Array:
        """Where an episode begins, ``(3,)`` m."""
        return self._goals.home.copy()

    def _observe(self, sent: Array) -> Observations:
        if self._steps == 0 or self.np_random.uniform() >= self._dynamics.dropped_frames:
            self._seen_tcp = self._dynamics.tcp_before(self._dynamics.picture_age_s(self.np_random))
        seen, error = self._look(sent)
        tcp = self._dynamics.tcp
        state: list[ArrayLike] = [self._target - tcp, self._dynamics.velocity, error, [self._dynamics.camera_delay_s]]
        observations = seen | {"desired_goal": self._goal, "achieved_goal": tcp, "state": np.concatenate(state)}
        return {key: self._bounded(key, value) for key, value in observations.items()}

    def _look(self, sent: Array) -> tuple[dict[str, NDArray], Array]:
        """The actor's part of the observations, without the goal, and the error of its position ``(3,)`` m."""
        return self._encoded(self._source.estimate(self._seen_tcp), sent)

    def _encoded(self, estimate: PositionEstimate, sent: Array) -> tuple[dict[str, NDArray], Array]:
        self._observation = Observation(estimate, self._goal.astype(np.float64), sent.astype(np.float64))
        features = self._encoder.encode(self._observation)
        return {"observation": features}, features[REST] - self._dynamics.tcp

    def _bounded(self, key: str, value: NDArray) -> NDArray[np.float32]:
        space = self.observation_space[key]
        assert isinstance(space, spaces.Box)
        return value.clip(space.low, space.high).astype(space.dtype)

    def _info(self, sent: Array, action: NDArray) -> dict[str, Any]:
        tcp, goal = self._dynamics.tcp, self._goal
        # Rewards use the observed (float32) positions, so that hindsight replay computes the same rewards.
        terms = reward_terms(
            tcp.astype(np.float32).astype(float), goal.astype(np.float32).astype(float), action, self.params.reward
        )
        return {"reward_terms": terms, "distance_m": float(np.linalg.norm(tcp - goal)), "displacement_m": sent}
