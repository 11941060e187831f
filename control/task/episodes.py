"""Runs episodes of any policy on fixed seeds, in one process or several, and summarizes them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit
from tqdm import tqdm

from control.policies.policy import Policy
from control.task.env import Observations, ReachEnv
from datasets.common.workers import Workers

CHUNK = 5
SUCCESS_MM = (5, 10, 20, 50)
ALONE = Workers(1)
"""Runs everything in this process."""

EnvFactory = Callable[[], ReachEnv]
PolicyFactory = Callable[[], Policy]


@dataclass(frozen=True)
class Episode:
    """The outcome of one episode.

    Attributes:
        seed: seed of the goal, arm and scene.
        final_m: distance of the true TCP from the goal at the horizon.
        arrival_s: time from which the TCP stayed within 10 mm until the end; NaN if it never did.
        reward: sum of the rewards over the episode.
    """

    seed: int
    final_m: float
    arrival_s: float
    reward: float


def run_episode(policy: Policy, env: ReachEnv, seed: int) -> Episode:
    """Runs a whole episode; the policy is given only :class:`control.policies.policy.Observation`."""
    policy.reset()
    return roll_out(lambda _: policy.act(env.policy_observation) / env.rig.max_displacement_m, env, seed)


def roll_out(act: Callable[[Observations], NDArray], env: ReachEnv, seed: int) -> Episode:
    """Runs a whole episode of ``act``, which turns the environment's observations into normalised actions ``(3,)``."""
    observations, _ = env.reset(seed=seed)
    distances, reward, done = [], 0.0, False
    while not done:
        action = act(observations)
        observations, gained, _, done, info = env.step(action.astype(np.float32))
        reward += gained
        distances.append(info["distance_m"])
    outside = np.flatnonzero(np.array(distances) >= 0.01)
    steps = int(outside[-1]) + 1 if len(outside) else 0
    arrival = np.nan if steps == len(distances) else (steps + 1) / env.rig.rate_hz
    return Episode(seed, distances[-1], arrival, reward)


def run_episodes(
    policies: Mapping[str, PolicyFactory],
    make_env: EnvFactory,
    seeds: Sequence[int],
    workers: Workers = ALONE,
    label: str = "",
) -> dict[str, list[Episode]]:
    """Runs every policy on the same seeds, with a progress bar; the result does not depend on ``workers``.

    Raises:
        DataError: a worker process died.
    """
    chunks = [list(seeds[i : i + CHUNK]) for i in range(0, len(seeds), CHUNK)]
    tasks = [(name, chunk) for chunk in chunks for name in policies]
    found: dict[str, list[Episode]] = {name: [] for name in policies}
    progress = tqdm(total=len(tasks) * CHUNK, desc=label or "episodes", unit="episode", disable=not label)
    with progress, workers.open() as pool:
        for index, episodes in pool.run(_EpisodeRunner(policies, make_env), tasks):
            found[tasks[index][0]].extend(episodes)
            progress.update(len(episodes))
    return {name: sorted(episodes, key=lambda episode: episode.seed) for name, episodes in found.items()}


class _EpisodeRunner:
    """Runs the episodes of one policy, given its name and the seeds; a process makes its environment only once."""

    def __init__(self, policies: Mapping[str, PolicyFactory], make_env: EnvFactory) -> None:
        self._policies, self._make_env = policies, make_env
        self._env: ReachEnv | None = None

    def __call__(self, task: tuple[str, Sequence[int]]) -> list[Episode]:
        name, seeds = task
        self._env = self._env or self._make_env()
        policy = self._policies[name]()
        return [run_episode(policy, self._env, seed) for seed in seeds]


def summarize(episodes: Sequence[Episode]) -> dict[str, float]:
    """Returns the documented keys: shares of episodes that ended within 5, 10, 20 and 50 mm, and distance quantiles."""
    final_mm = 1000 * np.array([episode.final_m for episode in episodes])
    arrival = np.array([episode.arrival_s for episode in episodes])
    metrics: dict[str, float] = {"n": len(episodes)}
    metrics |= {f"success_{limit}mm": round(float(np.mean(final_mm <= limit)), 4) for limit in SUCCESS_MM}
    metrics |= {
        "median_mm": round(float(np.median(final_mm)), 3),
        "mean_mm": round(float(np.mean(final_mm)), 3),
        "p95_mm": round(float(np.percentile(final_mm, 95)), 3),
        "arrival_s": round(float(np.nanmedian(arrival)), 2) if np.isfinite(arrival).any() else -1.0,
        "arrived": round(float(np.isfinite(arrival).mean()), 4),
        "mean_reward": round(float(np.mean([episode.reward for episode in episodes])), 3),
    }
    return metrics


def mean_and_half_width(values: Sequence[float]) -> dict[str, float]:
    """Mean over seeds of learning and, with several seeds, half the width of its 95 % interval (Student's t)."""
    found = {"mean": round(float(np.mean(values)), 3)}
    if len(values) > 1:
        t = float(stdtrit(len(values) - 1, 0.975))  # the quantile of Student's t
        found["half_width"] = round(t * float(np.std(values, ddof=1)) / len(values) ** 0.5, 3)
    return found


def paired_difference(ours: Sequence[Episode], theirs: Sequence[Episode], seed: int = 0) -> dict[str, float]:
    """Mean of ours minus theirs in final distance, mm, over the same episodes, with its 95 % bootstrap interval."""
    if [episode.seed for episode in ours] != [episode.seed for episode in theirs]:
        raise ValueError("paired episodes must have the same seeds in the same order")
    difference = 1000 * np.array([a.final_m - b.final_m for a, b in zip(ours, theirs, strict=True)])
    draws = np.random.default_rng(seed).integers(0, len(difference), (2000, len(difference)))
    low, high = np.percentile(difference[draws].mean(axis=1), [2.5, 97.5])
    return {
        "mean_mm": round(float(difference.mean()), 3),
        "low_mm": round(float(low), 3),
        "high_mm": round(float(high), 3),
    }
