r"""The original's variants: one network from the image to the displacement, its RL gradient through the convolutions.

Three convolutions narrow to a position :math:`\hat s`, and learn from
:math:`L_f = L_{RL} + c\,\mathrm{MSE}(s, \hat s)` (:class:`control.learning.ddpg.BottleneckDDPG`); the critic is
given the state. As in the pretrained variant, the position is fused with the commanded motion before it reaches the
actor.
"""

import csv
import json
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch as th
from stable_baselines3.common.buffers import DictReplayBuffer
from stable_baselines3.common.save_util import load_from_pkl
from tqdm import tqdm

from control.learning.buffers import FrameHerReplayBuffer, memory_bytes
from control.learning.ddpg import BottleneckDDPG
from control.learning.export import export_image_actor
from control.learning.extractors import ActorExtractor, StateExtractor
from control.learning.params import AgentParams, EndToEndParams
from control.learning.plots import draw_curves, draw_distances
from control.learning.study import GIVEN
from control.learning.trainer import learn, make_agent
from control.policies.features import ESTIMATE
from control.task.env import Observations, ReachEnv
from control.task.episode_seeds import TEST_SEED, VALIDATION_SEED
from control.task.episodes import Episode, roll_out, summarize
from control.task.image_env import ImageReachEnv
from datasets.common.code_digest import code_digest, fingerprint
from datasets.common.files import delete_own, own_folder, write_whole
from datasets.generation.splits import scenes_digest
from datasets.rig.rig import Rig
from datasets.scene.renderer import require_gl

METRICS = "metrics.json"


def run(params: EndToEndParams, rig: Rig, fresh: bool = False) -> dict[str, Any]:
    """Learn from images, and test in scenes of ``test_split``; returns the metrics that were written."""
    th.set_num_threads(1)
    started = time.monotonic()
    require_gl()
    given = given_digest(params, rig)  # before hours of learning, in which the files of the scenes may be edited
    folder = Path(params.runs) / run_digest(params, rig)
    if fresh and delete_own(folder):
        print(f"{folder}: deleted the interrupted run")
    own_folder(folder)
    make_env = partial(_make_env, params, rig)
    logs = Path(params.runs) / "tensorboard"
    validation = range(VALIDATION_SEED, VALIDATION_SEED + params.validation_episodes)
    curve = learn(
        make_env,
        params.agent,
        params.seed,
        validation,
        params.interval,
        folder,
        f"learning {Path(params.policy).name}",
        partial(_agent, params),
        logs,
        partial(_make_env, params, rig, params.train_split, learning=False),
        _attach,
    )
    env = _make_env(params, rig, params.test_split, learning=False)
    agent = BottleneckDDPG.load(folder / "best.zip", env=env, device="cpu")
    _attach(agent, env)
    episodes, errors_m = _test(agent, env, range(TEST_SEED, TEST_SEED + params.episodes))
    metrics = {
        "default": summarize(episodes),
        "position": {
            "n": len(errors_m),
            "median_mm": round(1000 * float(np.median(errors_m)), 2),
            "p95_mm": round(1000 * float(np.percentile(errors_m, 95)), 2),
        },
        "best_step": curve.best_step,
        "replay_mb": _replay_memory_mb(params, env, folder),
        "train_s": round(curve.seconds, 1),
        "train_processor_s": round(curve.processor_s, 1),
        "stage_s": round(time.monotonic() - started, 1),
        "seed": params.seed,
        "parameters": run_digest(params, rig),
        GIVEN: given,
    }
    env.close()
    results = Path(params.results)
    results.mkdir(parents=True, exist_ok=True)
    export_image_actor(agent, Path(params.policy), rig, params.picture, params.sigma_m)
    with (results / "curve.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, curve.rows[0].keys())
        writer.writeheader()
        writer.writerows(curve.rows)
    draw_curves({"end to end": curve.rows}, results / "curve.png")
    draw_distances({"end to end": [one.final_m for one in episodes]}, results / "final.png")
    write_whole(results / METRICS, json.dumps(metrics, indent=2) + "\n")
    delete_own(folder)
    return metrics


def run_digest(params: EndToEndParams, rig: Rig) -> str:
    """Names a run by everything that its figures depend on: what :func:`given_digest` names, and the program.

    Raises:
        ConfigError: the parameters of the scenes are wrong.
    """
    return fingerprint([given_digest(params, rig), code_digest("control.learning.end_to_end")])


def given_digest(params: EndToEndParams, rig: Rig) -> str:
    """Names what a run is given: parameters, rig and scenes.

    Raises:
        ConfigError: the parameters of the scenes are wrong.
    """
    scenes = [scenes_digest(params.frames, split, rig) for split in (params.train_split, params.test_split)]
    return fingerprint([asdict(params), rig.to_json(), scenes])


def _make_env(params: EndToEndParams, rig: Rig, split: str = "", learning: bool = True) -> ImageReachEnv:
    horizon = params.learning_horizon if learning else None
    seen = params.picture, params.sigma_m
    return ImageReachEnv(params.env, params.frames, split or params.train_split, *seen, learning, horizon, rig)


def _attach(agent: BottleneckDDPG, env: ReachEnv) -> None:
    assert isinstance(env, ImageReachEnv)
    env.locate = agent.locate


def _agent(params: EndToEndParams, env: gym.Env, agent: AgentParams, seed: int, folder: Path | None) -> BottleneckDDPG:
    return make_agent(
        env,
        agent,
        seed,
        folder,
        actor_keys={
            "features_extractor_class": ActorExtractor,
            "critic_features_extractor_class": StateExtractor,
            "locator_kwargs": {
                "head": params.head,
                "points": params.points,
                "shift_px": params.shift_px,
                "bf16": params.bf16,
            },
            "normalize_images": False,
            "optimizer_kwargs": {"fused": True},
        },
        replay_buffer_class=FrameHerReplayBuffer,
        replay_buffer_kwargs={"n_sampled_goal": params.hindsight},
    )


def _test(agent: BottleneckDDPG, env: ImageReachEnv, seeds: range) -> tuple[list[Episode], list[float]]:
    """Returns the episodes, and at every step the bottleneck's distance, m, from where the TCP was in the picture."""
    errors: list[float] = []

    def act(seen: Observations) -> Any:
        errors.append(float(np.linalg.norm(seen["observation"][ESTIMATE] - seen["seen_tcp"])))
        return agent.predict(seen, deterministic=True)[0]

    return [roll_out(act, env, seed) for seed in tqdm(seeds, desc="test from images", unit="episode")], errors


def _replay_memory_mb(params: EndToEndParams, env: ImageReachEnv, folder: Path) -> dict[str, float]:
    """Memory, MB, of the buffer at the end of learning and of SB3's own of equal size, with everything counted."""
    newest = max(folder.glob("buffer_*.pkl"), key=lambda path: int(path.stem.split("_")[1]))
    theirs = DictReplayBuffer(params.agent.buffer_size, env.observation_space, env.action_space, device="cpu")
    return {
        "kept": round(memory_bytes(load_from_pkl(newest)) / 1e6, 2),
        "dict_replay_buffer": round(memory_bytes(theirs) / 1e6, 2),
    }
