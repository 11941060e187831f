"""The pretrained variant: a policy learnt on the estimator's measured errors, tested through the estimator itself."""

import csv
import json
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch as th
from tqdm import tqdm

from control.arms.fence import Fence
from control.learning.ddpg import BottleneckDDPG
from control.learning.export import export_actor
from control.learning.params import FUSED, PROPORTIONAL, AgentParams, ControlParams, EvaluationParams
from control.learning.plots import draw_curves, draw_distances
from control.learning.trainer import Curve, learn
from control.policies.policy import Policy
from control.policies.shipped import FusedProportionalPolicy, ProportionalPolicy, load_policy
from control.task.env import EnvParams, ReachEnv
from control.task.episode_seeds import SCENES_SEED, TEST_SEED, TUNING_SEED, VALIDATION_SEED
from control.task.episodes import Episode, paired_difference, run_episodes, summarize
from control.task.goals import GoalSampler
from control.task.rendered import RenderedParams, RenderedSource, fit_error_model
from control.task.sources import ErrorModel, Surrogate, TrueState
from datasets.common.code_digest import code_digest, fingerprint
from datasets.common.files import delete_own, own_folder, write_whole
from datasets.common.workers import Workers
from datasets.generation.splits import scenes_digest
from datasets.rig.rig import Rig
from datasets.scene.renderer import require_gl

TRUE_STATE = "ddpg_true_state"


def make_surrogate_env(params: EnvParams, model: ErrorModel, rig: Rig) -> ReachEnv:
    """Makes an environment whose positions come from the measured error model."""
    return ReachEnv(params, Surrogate(model), rig)


def make_true_env(params: EnvParams, rig: Rig) -> ReachEnv:
    """Makes an environment whose positions are the true state."""
    return ReachEnv(params, TrueState(), rig)


def make_rendered_env(params: EnvParams, rooms: RenderedParams, rig: Rig) -> ReachEnv:
    """Makes an environment whose positions come from the estimator, which looks at rendered scenes."""
    return ReachEnv(params, RenderedSource(rooms, rig), rig)


def run(params: ControlParams, rig: Rig, fresh: bool = False, workers: Workers | None = None) -> dict[str, Any]:
    """Runs the whole stage; returns the metrics that were written.

    Measures the estimator's errors, learns on them and on the true state, tunes the proportional controllers on
    validation seeds, and tests all policies on the test seeds: through the estimator itself, except for the policy that
    is given the true state. ``workers`` run the test episodes (default: the parameters').
    """
    th.set_num_threads(1)
    started = time.monotonic()
    require_gl()
    source = RenderedSource(params.rooms, rig)  # a missing estimator is reported before anything is written
    folder = Path(params.runs) / run_digest(params, rig)
    if fresh and delete_own(folder):
        print(f"{folder}: deleted the interrupted run")
    own_folder(folder)
    model = measured_errors(source, params, rig, folder)
    source.close()
    surrogate = partial(make_surrogate_env, params.env, model, rig)
    truth = partial(make_true_env, params.env, rig)
    true_agent = replace(params.agent, steps=params.true_state_steps)
    curves = {}
    for name, make_env, agent in (("ddpg", surrogate, params.agent), (TRUE_STATE, truth, true_agent)):
        curves[name] = _learn(name, make_env, agent, params, folder)
        _export(folder / name, rig)
    gains = tune(params.evaluation, surrogate, rig)
    found = _test(params, rig, folder, gains, truth, workers or Workers(params.evaluation.workers))
    metrics = {
        "default": summarize(found["ddpg"]),
        "baselines": {
            TRUE_STATE: summarize(found[TRUE_STATE]),
            PROPORTIONAL: {**summarize(found[PROPORTIONAL]), "gain": gains[PROPORTIONAL]},
            FUSED: {**summarize(found[FUSED]), "gain": gains[FUSED]},
        },
        "minus_proportional": paired_difference(found["ddpg"], found[PROPORTIONAL]),
        "minus_proportional_fused": paired_difference(found["ddpg"], found[FUSED]),
        "error_model": asdict(model),
        "best_step": {name: best_step(curve) for name, curve in curves.items()},
        "train_s": {name: round(curve.seconds, 1) for name, curve in curves.items()},
        "stage_s": round(time.monotonic() - started, 1),
        "seed": params.seed,
    }
    _write(params, rig, folder, metrics, curves, found)
    delete_own(folder)
    return metrics


def run_digest(params: ControlParams, rig: Rig) -> str:
    """Names a run by everything that its figures depend on: what :func:`given_digest` names, and the program.

    Raises:
        ConfigError: the parameters of the scenes are wrong.
    """
    return fingerprint([given_digest(params, rig), code_digest("control.learning.pretrained")])


def given_digest(params: ControlParams, rig: Rig) -> str:
    """Names what a run is given: parameters, rig, scenes and networks.

    Raises:
        ConfigError: the parameters of the scenes are wrong.
    """
    networks = [path for path in sorted(Path(params.rooms.estimator).glob("*")) if path.is_file()]
    scenes = scenes_digest(params.rooms.frames, params.rooms.split, rig)
    return fingerprint([asdict(params), rig.to_json(), scenes], *networks)


def measured_errors(source: RenderedSource, params: ControlParams, rig: Rig, folder: Path) -> ErrorModel:
    """The estimator's error model, measured once per run."""
    file = folder / "errors.json"
    if file.is_file():
        return ErrorModel(**json.loads(file.read_text(encoding="utf-8")))
    goals, rng = GoalSampler(rig, Fence.from_rig(rig), params.env.goal_radius_m), np.random.default_rng(params.seed)
    places = np.array([goals.sample(rng) for _ in range(params.evaluation.rooms)])
    with tqdm(total=len(places), desc="estimator's errors", unit="room") as bar:
        model = fit_error_model(source, places, SCENES_SEED, progress=lambda: bar.update())
    write_whole(file, json.dumps(asdict(model)))
    return model


def tune(params: EvaluationParams, make_env: Callable[[], ReachEnv], rig: Rig) -> dict[str, float]:
    """Finds for each proportional controller the gain with the highest mean reward on the tuning seeds."""
    seeds = range(TUNING_SEED, TUNING_SEED + params.tuning_episodes)
    policies: dict[str, Callable[[], Policy]] = {}
    for gain in params.gains:
        policies[f"{PROPORTIONAL} {gain}"] = partial(ProportionalPolicy, gain, rig.max_displacement_m)
        policies[f"{FUSED} {gain}"] = partial(FusedProportionalPolicy, gain, rig.max_displacement_m, 1 / rig.rate_hz)
    found = run_episodes(policies, make_env, seeds, label="gains")
    mean = {name: float(np.mean([episode.reward for episode in episodes])) for name, episodes in found.items()}
    best = {}
    for kind in (PROPORTIONAL, FUSED):
        rewards = [mean[f"{kind} {gain}"] for gain in params.gains]
        best[kind] = params.gains[int(np.argmax(rewards))]
    return best


def best_step(curve: Curve) -> int:
    """The number of steps after which the kept actor was reached."""
    return int(curve.best_step)


def _learn(
    name: str, make_env: Callable[[], ReachEnv], agent: AgentParams, params: ControlParams, folder: Path
) -> Curve:
    seeds = range(VALIDATION_SEED, VALIDATION_SEED + params.evaluation.validation_episodes)
    interval, logs = params.evaluation.interval, Path(params.runs) / "tensorboard" / name
    return learn(make_env, agent, params.seed, seeds, interval, folder / name, f"learning {name}", logs=logs)


def _export(folder: Path, rig: Rig) -> None:
    agent = BottleneckDDPG.load(folder / "best.zip", device="cpu")
    export_actor(agent.actor, folder / "policy", rig)


def _test(
    params: ControlParams,
    rig: Rig,
    folder: Path,
    gains: dict[str, float],
    truth: Callable[[], ReachEnv],
    workers: Workers,
) -> dict[str, list[Episode]]:
    seeds = range(TEST_SEED, TEST_SEED + params.evaluation.episodes)
    step = rig.max_displacement_m
    rendered = partial(make_rendered_env, params.env, params.rooms, rig)
    found = run_episodes(
        {
            "ddpg": partial(load_policy, folder / "ddpg" / "policy", rig),
            PROPORTIONAL: partial(ProportionalPolicy, gains[PROPORTIONAL], step),
            FUSED: partial(FusedProportionalPolicy, gains[FUSED], step, 1 / rig.rate_hz),
        },
        rendered,
        seeds,
        workers,
        "test through the estimator",
    )
    policy = {TRUE_STATE: partial(load_policy, folder / TRUE_STATE / "policy", rig)}
    return found | run_episodes(policy, truth, seeds, label="test on the true state")


def _write(
    params: ControlParams,
    rig: Rig,
    folder: Path,
    metrics: dict[str, Any],
    curves: dict[str, Curve],
    found: dict[str, list[Episode]],
) -> None:
    results, policy = Path(params.results), Path(params.policy)
    results.mkdir(parents=True, exist_ok=True)
    for file in (folder / "ddpg" / "policy").iterdir():
        write_whole(policy / file.name, file.read_bytes())
    with (results / "curve.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["agent", "step", "mean_reward", "median_mm", "p95_mm"])
        for name, curve in curves.items():
            writer.writerows([name, *(f"{row[key]:.6g}" for key in row)] for row in curve.rows)
    with (results / "episodes.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["policy", "seed", "final_mm", "arrival_s", "reward"])
        for name, episodes in found.items():
            writer.writerows(
                [name, one.seed, f"{1000 * one.final_m:.3f}", f"{one.arrival_s:.2f}", f"{one.reward:.4f}"]
                for one in episodes
            )
    draw_curves({name: curve.rows for name, curve in curves.items()}, results / "curve.png")
    draw_distances({name: [one.final_m for one in episodes] for name, episodes in found.items()}, results / "final.png")
    write_whole(results / "metrics.json", json.dumps(metrics, indent=2) + "\n")
