"""Every learnt method with several seeds: ``python -m control.repeat`` writes ``results/control/seeds.json``.

Each seed learns with weights, exploration and episodes of its own and runs the same test episodes as every other. The
intervals are Student's over the seeds: how a method does when it is trained again, not how its episodes differ.

A seed takes about half a minute for ``true_state``, two minutes for ``default`` and eighteen for each of the
end-to-end variants, whose own stage is not learnt a second time: three seeds of everything take more than an hour. What
is finished is kept; an interrupted learning goes on where it was.
"""

import argparse
import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch as th

from control.end_to_end import EndToEndParams, finished
from control.end_to_end import run as run_end_to_end
from control.end_to_end import run_digest as end_to_end_digest
from control.learning.ddpg import BottleneckDDPG
from control.learning.trainer import learn, run_agent
from control.task.episode_seeds import TEST_SEED, VALIDATION_SEED
from control.task.episodes import mean_and_half_width, summarize
from control.train import ControlParams, make_true_env, run, run_digest
from datasets.common.cli import command_line
from datasets.common.code_digest import code_digest, fingerprint
from datasets.common.config import load_params
from datasets.common.errors import ConfigError
from datasets.common.files import write_whole
from datasets.rig.rig import Rig

METHODS = {
    "true_state": "params/control.yaml",
    "default": "params/control.yaml",
    "end_to_end_rgb": "params/end_to_end_rgb.yaml",
    "end_to_end_rgb_camera": "params/end_to_end_rgb_camera.yaml",
}
TABLE = Path("results/control/seeds.json")
SUMMARIZED = ("success_5mm", "success_10mm", "success_20mm", "success_50mm", "median_mm", "p95_mm", "mean_reward")

Job = Callable[[int, Path], dict[str, Any]]
"""Learns with a seed in a folder; returns the documented keys of the test, and ``train_s``."""


def true_state(params: ControlParams, rig: Rig, seed: int, folder: Path) -> dict[str, Any]:
    """The control stage's agent on the true state alone: no pictures, no estimator."""
    env = partial(make_true_env, params.env, rig)
    agent = replace(params.agent, steps=params.true_state_steps)
    validation = range(VALIDATION_SEED, VALIDATION_SEED + params.evaluation.validation_episodes)
    began = time.monotonic()
    learn(env, agent, seed, validation, params.evaluation.interval, folder, f"true_state, seed {seed}")
    seconds = round(time.monotonic() - began, 1)
    best = BottleneckDDPG.load(folder / "best.zip", device="cpu")
    episodes = run_agent(best, env(), range(TEST_SEED, TEST_SEED + params.evaluation.episodes))
    return {**summarize(episodes), "train_s": seconds}


def default(params: ControlParams, rig: Rig, seed: int, folder: Path) -> dict[str, Any]:
    """The whole control stage, tested through the estimator."""
    metrics = run(replace(params, seed=seed, **_places(folder)), rig)
    return {
        **metrics["default"],
        "minus_proportional": metrics["minus_proportional"],
        "minus_proportional_fused": metrics["minus_proportional_fused"],
        "train_s": metrics["train_s"]["ddpg"],
    }


def end_to_end(params: EndToEndParams, rig: Rig, seed: int, folder: Path) -> dict[str, Any]:
    """The whole end-to-end stage; for the stage's own seed what it wrote, if it is of these parameters."""
    metrics = finished(params, rig) if seed == params.seed else None
    if metrics is None:
        metrics = run_end_to_end(replace(params, seed=seed, **_places(folder)), rig)
    return {**metrics["default"], "replay_mb": metrics["replay_mb"], "train_s": metrics["train_s"]}


def jobs(files: dict[str, str], rig: Rig) -> dict[str, tuple[str, Job]]:
    """For each method the digest of all that its figures follow from, and what learns it.

    Raises:
        ConfigError: as :func:`datasets.common.config.load_params`; no such method.
    """
    found: dict[str, tuple[str, Job]] = {}
    for name, file in files.items():
        if name not in METHODS:
            raise ConfigError(f"there is no method {name!r}; there are {', '.join(METHODS)}")
        if name in ("true_state", "default"):
            control = load_params(file, ControlParams)
            if name == "default":
                found[name] = run_digest(control, rig), partial(default, control, rig)
            else:
                digest = fingerprint([asdict(control), rig.to_json(), code_digest("control.train")])
                found[name] = digest, partial(true_state, control, rig)
        else:
            variant = load_params(file, EndToEndParams)
            found[name] = end_to_end_digest(variant, rig), partial(end_to_end, variant, rig)
    return found


def repeat(
    files: dict[str, str], seeds: Sequence[int], rig: Rig, table: Path = TABLE, runs: Path = Path("runs/repeat")
) -> dict[str, Any]:
    """Train and test every method with every seed that is not in the table yet; returns the table.

    A method's rows are forgotten when its parameters, the rig, the estimator or the program have changed. Different
    methods may be learnt by processes side by side.
    """
    th.set_num_threads(1)
    for name, (digest, job) in jobs(files, rig).items():
        for seed in seeds:
            if str(seed) in _of(name, digest, _read(table))["seeds"]:
                continue
            folder = runs / f"{name}_{digest}_{seed}"
            row = job(seed, folder)
            found = _read(table)  # again: what is learnt side by side has been written meanwhile
            found[name] = _of(name, digest, found)
            rows = found[name]["seeds"]
            rows[str(seed)] = row
            values = {key: [each[key] for each in rows.values()] for key in SUMMARIZED}
            found[name]["summary"] = {key: mean_and_half_width(list(ones)) for key, ones in values.items()}
            write_whole(table, json.dumps(found, indent=2) + "\n")
            shutil.rmtree(folder, ignore_errors=True)
    return _read(table)


def _read(table: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(table.read_text()) if table.is_file() else {}
    return found


def _of(name: str, digest: str, found: dict[str, Any]) -> dict[str, Any]:
    """A method's part of the table: empty when what is there follows from other parameters."""
    part: dict[str, Any] = found.get(name, {})
    return part if part.get("fingerprint") == digest else {"fingerprint": digest, "seeds": {}}


def _places(folder: Path) -> dict[str, Any]:
    return {"policy": str(folder / "policy"), "results": str(folder / "results"), "runs": str(folder / "runs")}


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and run what is missing."""
    parser = argparse.ArgumentParser(
        prog="python -m control.repeat", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of learning (default: 0 1 2)")
    parser.add_argument(
        "--only", nargs="+", default=list(METHODS), choices=list(METHODS), metavar="METHOD", help="%(choices)s"
    )
    options = parser.parse_args(arguments)
    with command_line(parser.prog):
        found = repeat({name: METHODS[name] for name in options.only}, options.seeds, Rig.load())
        print(f"{'method (seeds)':30}" + "".join(f"{key:>18}" for key in SUMMARIZED[:-1]))
        for name in options.only:
            cells = found[name]["summary"]
            text = "".join(f"{_cell(cells[key]):>18}" for key in SUMMARIZED[:-1])
            print(f"{name} ({len(found[name]['seeds'])})".ljust(30) + text)


def _cell(interval: dict[str, float]) -> str:
    half = f" ±{interval['half_width']:.3g}" if "half_width" in interval else ""
    return f"{interval['mean']:.3g}{half}"


if __name__ == "__main__":
    main()
