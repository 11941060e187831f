"""One agent's learning: evaluation on fixed goals, best checkpoint, learning curve, and resuming after a kill."""

import pickle
import random
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch as th
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import LinearSchedule
from tqdm import tqdm

from control.learning.asymmetric import AsymmetricPolicy
from control.learning.ddpg import BottleneckDDPG, EpisodeNoise
from control.learning.extractors import ActorExtractor, CriticExtractor
from control.learning.params import AgentParams
from control.task.env import ReachEnv
from control.task.episode_seeds import TRAINING_SEED
from control.task.episodes import Episode, roll_out
from datasets.common.config import one_line
from datasets.common.errors import DataError
from datasets.common.files import write_whole


@dataclass
class Curve:
    """The learning curve so far: per evaluation, the steps taken and the result of :func:`score`."""

    rows: list[dict[str, float]] = field(default_factory=list)
    best: float = -np.inf
    best_step: int = 0
    seconds: float = 0.0
    """Time, s, spent on learning and evaluating, summed over all interrupted runs, up to the newest checkpoint."""
    processor_s: float = 0.0
    """The same as processor time, s."""


class NumberedEpisodes(gym.Wrapper):
    """Seeds every episode with ``base + number``, so that a resumed run continues with the next episode."""

    def __init__(self, env: ReachEnv, base: int) -> None:
        super().__init__(env)
        self._base = base
        self.number = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin the next episode; the caller's seed is not used."""
        self.number += 1
        return self.env.reset(seed=self._base + self.number, options=options)

    def compute_reward(self, *args: Any) -> Any:
        """The environment's own rewards, for hindsight replay."""
        return self.env.unwrapped.compute_reward(*args)  # type: ignore[attr-defined]  # gym types no goals


def make_agent(
    env: gym.Env,
    params: AgentParams,
    seed: int,
    tensorboard: Path | None = None,
    actor_keys: dict[str, Any] | None = None,
    **settings: Any,
) -> BottleneckDDPG:
    """Makes an untrained agent, which reads position features unless ``actor_keys`` names other extractors.

    ``settings`` are further arguments of :class:`control.learning.ddpg.BottleneckDDPG`.
    """
    extractors = {
        "features_extractor_class": ActorExtractor,
        "critic_features_extractor_class": CriticExtractor,
    }
    return BottleneckDDPG(
        AsymmetricPolicy,
        env,
        learning_rate=LinearSchedule(params.learning_rate, params.learning_rate / 20, 1.0),
        buffer_size=params.buffer_size,
        learning_starts=params.warm_up,
        batch_size=params.batch_size,
        tau=params.tau,
        gamma=params.gamma,
        actor_starts=params.actor_starts,
        train_freq=params.train_freq,
        bottleneck_weight=params.bottleneck_weight,
        action_noise=EpisodeNoise(3, *params.noise),
        tensorboard_log=None if tensorboard is None else str(tensorboard),
        seed=seed,
        device="cpu",
        policy_kwargs={
            "net_arch": [params.hidden, params.hidden],
            **(actor_keys or extractors),
            "gain": params.residual_gain / env.get_wrapper_attr("rig").max_displacement_m,
            "residual_scale": params.residual_scale,
        },
        **settings,
    )


def score(agent: BottleneckDDPG, env: ReachEnv, seeds: range) -> dict[str, float]:
    """Runs deterministic episodes: mean reward, and median and 95th percentile of the final distance, mm."""
    rewards, finals = [], []
    for seed in seeds:
        observation, _ = env.reset(seed=seed)
        total, done, info = 0.0, False, {"distance_m": 0.0}
        while not done:
            action, _ = agent.predict(observation, deterministic=True)
            observation, reward, _, done, info = env.step(action)
            total += reward
        rewards.append(total)
        finals.append(1000 * info["distance_m"])
    return {
        "mean_reward": float(np.mean(rewards)),
        "median_mm": float(np.median(finals)),
        "p95_mm": float(np.percentile(finals, 95)),
    }


def run_agent(agent: BottleneckDDPG, env: ReachEnv, seeds: range) -> list[Episode]:
    """Runs whole deterministic episodes of an agent that was not exported."""
    return [roll_out(lambda seen: np.asarray(agent.predict(seen, deterministic=True)[0]), env, seed) for seed in seeds]


class EvaluationCallback(BaseCallback):
    """Every ``interval`` steps, evaluates, keeps the best actor, and saves everything needed to resume.

    Only an actor that has been updated can be the best: a residual actor's start is a separate baseline.

    The callback acts at the start of a rollout, when buffer, networks and environment agree; ``interval`` is a whole
    number of episodes.
    """

    def __init__(
        self, env: ReachEnv, seeds: range, interval: int, folder: Path, episodes: NumberedEpisodes, bar: tqdm
    ) -> None:
        super().__init__()
        self.curve = Curve()
        self._env, self._seeds, self._interval = env, seeds, interval
        self._folder, self._episodes, self._bar = folder, episodes, bar
        self._last = -1
        self.restored: dict[str, Any] | None = None
        """The checkpoint from which this run resumes."""
        self._clock, self._processor_clock = time.monotonic(), time.process_time()

    def _on_training_start(self) -> None:
        if self.restored is None:
            return
        # Restored only now, because the set-up of the learning itself draws a random number, for an episode's noise.
        random.setstate(self.restored["random"])
        np.random.set_state(self.restored["numpy"])  # noqa: NPY002  (SB3 draws its batches from it)
        th.set_rng_state(self.restored["torch"])
        self.model.action_noise = self.restored["noise"]

    def _on_step(self) -> bool:
        self._bar.update(self.num_timesteps - self._bar.n)
        return True

    def _on_rollout_start(self) -> None:
        if self.num_timesteps % self._interval == 0:
            self.evaluate()

    def _on_training_end(self) -> None:
        self.evaluate()

    def evaluate(self) -> None:
        """Evaluate and save, once per number of steps."""
        assert isinstance(self.model, BottleneckDDPG)
        if self.num_timesteps == self._last or (self.curve.rows and self.curve.rows[-1]["step"] == self.num_timesteps):
            return
        self._last = self.num_timesteps
        scores = score(self.model, self._env, self._seeds)
        self.curve.rows.append({"step": self.num_timesteps, **scores})
        for key, value in scores.items():
            self.logger.record(f"evaluation/{key}", value)
        self.logger.dump(self.num_timesteps)
        self._bar.set_postfix_str(f"{scores['median_mm']:.1f} mm, reward {scores['mean_reward']:.2f}")
        learnt = self.model._n_updates > self.model.actor_starts
        if scores["mean_reward"] > self.curve.best and learnt:
            self.curve.best, self.curve.best_step = scores["mean_reward"], self.num_timesteps
            self.model.save(self._folder / "best.zip")
        now, processor_now = time.monotonic(), time.process_time()
        self.curve.seconds += now - self._clock
        self.curve.processor_s += processor_now - self._processor_clock
        self._clock, self._processor_clock = now, processor_now
        save_checkpoint(self._folder, self.model, self.curve, self._episodes.number)


def save_checkpoint(folder: Path, agent: BottleneckDDPG, curve: Curve, episodes: int) -> None:
    """Write everything a resumed run needs; the checkpoint is valid once its last file is replaced."""
    agent.save(folder / f"agent_{agent.num_timesteps}.zip")
    agent.save_replay_buffer(folder / f"buffer_{agent.num_timesteps}.pkl")
    state = {
        "step": agent.num_timesteps,
        "episodes": episodes,
        "curve": asdict(curve),
        "random": random.getstate(),
        "numpy": np.random.get_state(),  # noqa: NPY002  (SB3 draws its batches from it)
        "torch": th.get_rng_state(),
        "noise": agent.action_noise,
    }
    write_whole(folder / "state.pkl", pickle.dumps(state))
    for old in (*folder.glob("agent_[0-9]*.zip"), *folder.glob("buffer_[0-9]*.pkl")):
        if old.stem.split("_")[1] != str(agent.num_timesteps):
            old.unlink()


def learn(
    make_env: Callable[[], ReachEnv],
    params: AgentParams,
    seed: int,
    seeds: range,
    interval: int,
    folder: Path,
    label: str,
    make: Callable[[gym.Env, AgentParams, int, Path], BottleneckDDPG] = make_agent,
    logs: Path | None = None,
    make_evaluation: Callable[[], ReachEnv] | None = None,
    attach: Callable[[BottleneckDDPG, ReachEnv], None] = lambda agent, env: None,
) -> Curve:
    """Train an agent in ``folder``, or resume an interrupted training there; the best actor is kept as ``best.zip``.

    Args:
        make_env: makes the environment to learn in.
        params: the agent's settings.
        seed: seed of weights, exploration and episodes.
        seeds: seeds of the evaluation's episodes, the same every time.
        interval: steps between evaluations, which are also checkpoints.
        folder: folder for checkpoints.
        label: label of the progress bar.
        make: makes the untrained agent.
        logs: folder for TensorBoard's logs; default: ``folder``.
        make_evaluation: makes the environment to evaluate in; default: ``make_env``.
        attach: gives the agent to either environment, before its first episode.

    Raises:
        DataError: the checkpoint of the interrupted run is damaged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state_file = folder / "state.pkl"
    # Closed explicitly, not by the garbage collector: a GL context that is freed while another one is current deletes
    # that one's pictures.
    with (
        closing(make_env()) as env,
        closing((make_evaluation or make_env)()) as evaluation,
        tqdm(total=params.steps, desc=label, unit="step", smoothing=0.05) as bar,
    ):
        episodes = NumberedEpisodes(env, base=TRAINING_SEED * (seed + 1))
        callback = EvaluationCallback(evaluation, seeds, interval, folder, episodes, bar)
        resumed = state_file.is_file()
        if resumed:
            try:
                state = pickle.loads(state_file.read_bytes())
                agent = BottleneckDDPG.load(folder / f"agent_{state['step']}.zip", env=episodes, device="cpu")
                agent.load_replay_buffer(folder / f"buffer_{state['step']}.pkl")
            except Exception as error:  # pickle, zip and torch raise many types; each one means a damaged checkpoint
                raise DataError(
                    f"{folder}: the interrupted run cannot go on, its checkpoint is damaged ({one_line(error)}); "
                    "begin again with --fresh"
                ) from error
            episodes.number = state["episodes"] - 1
            callback.curve = Curve(**state["curve"])
            callback.restored = state
            bar.update(state["step"])
        else:
            agent = make(episodes, params, seed, logs or folder)
        attach(agent, env)
        attach(agent, evaluation)
        remaining = params.steps - agent.num_timesteps
        if remaining > 0:
            agent.learn(remaining, callback=callback, reset_num_timesteps=not resumed, tb_log_name="tensorboard")
    return callback.curve
