"""The published DDPG with hindsight for the Fetch tasks, run with Stable-Baselines3 on any goal environment.

The settings are those of Plappert and others, "Multi-Goal Reinforcement Learning" (arXiv 1802.09464, appendix A), in
one process in place of 19 workers: three layers of 256, Adam at 1e-3, batches of 256, 80 % of the goals replaced
("future", k = 4), gamma 0.98, target networks that follow by 0.05, 40 updates for each 2 episodes of 50 steps, actions
with normal noise of 0.2. Left out are the 30 % of entirely random actions, the normalization of observations, and the
cost of actions.
"""

import time
from typing import Any

import gymnasium
import numpy as np
from stable_baselines3 import DDPG, HerReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.noise import NormalActionNoise

INTERVAL, EPISODES = 500, 20


def learn_her(env: gymnasium.Env, test: gymnasium.Env, limit_m: float, most_steps: int, seed: int) -> dict[str, Any]:
    """Learn until every one of :data:`EPISODES` deterministic episodes ends within ``limit_m`` of its goal.

    Returns:
        ``steps`` and ``cpu_s`` until then (without the evaluations), and the ``share`` of episodes: below 1 where
        ``most_steps`` were not enough.
    """
    size = env.action_space.shape
    assert size is not None
    agent = DDPG(
        "MultiInputPolicy",
        env,
        learning_rate=1e-3,
        buffer_size=most_steps,
        learning_starts=200,
        batch_size=256,
        tau=0.05,
        gamma=0.98,
        train_freq=5,
        gradient_steps=2,
        action_noise=NormalActionNoise(np.zeros(size), 0.2 * np.ones(size)),
        replay_buffer_class=HerReplayBuffer,
        replay_buffer_kwargs={"n_sampled_goal": 4, "goal_selection_strategy": "future"},
        policy_kwargs={"net_arch": [256, 256, 256]},
        seed=seed,
        device="cpu",
    )
    return learn_until(agent, test, limit_m, most_steps)


def learn_until(agent: Any, test: gymnasium.Env, limit_m: float, most_steps: int) -> dict[str, Any]:
    """Does the same as :func:`learn_her` for any agent of Stable-Baselines3."""
    until = _Until(test, limit_m)
    agent.learn(most_steps, callback=until)
    return {"steps": agent.num_timesteps, "cpu_s": until.spent_s, "share": until.share}


class _Until(BaseCallback):
    """Ends the learning when all test episodes succeed; its own time does not count."""

    def __init__(self, test: gymnasium.Env, limit_m: float) -> None:
        super().__init__()
        self._test, self._limit_m = test, limit_m
        self.spent_s, self.share = 0.0, 0.0

    def _on_training_start(self) -> None:
        self._began = time.process_time()

    def _on_step(self) -> bool:
        if self.num_timesteps % INTERVAL == 0:
            self.spent_s += time.process_time() - self._began
            ends = [_final_m(self.model, self._test, seed) for seed in range(EPISODES)]
            self.share = float(np.mean(np.array(ends) <= self._limit_m))
            self._began = time.process_time()
        return self.share < 1.0


def _final_m(agent: Any, env: gymnasium.Env, seed: int) -> float:
    observation, _ = env.reset(seed=10_000 + seed)
    done = False
    while not done:
        action, _ = agent.predict(observation, deterministic=True)
        observation, _, terminated, truncated, _ = env.step(action)
        done = terminated or truncated
    return float(np.linalg.norm(observation["achieved_goal"] - observation["desired_goal"]))
