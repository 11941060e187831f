"""Trains every learnt method with several seeds: ``python -m control.repeat`` writes ``results/control/seeds.json``.

Each seed learns with weights, exploration and episodes of its own, and all seeds run the same test episodes. The
intervals are Student's over the seeds: they show how much a method varies when it is trained again, not how its
episodes differ.

A seed takes about half a minute for ``true_state``, two minutes for ``default`` and eighteen for each of the
end-to-end variants, whose own stage is not learnt a second time: three seeds of everything take more than an hour.
``dvc repro studies/dvc.yaml:control_seeds`` does the same and keeps what is finished. In both cases an interrupted
training of the long kinds resumes where it stopped.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # checked before torch and the other training packages are imported
    from datasets.common.training_packages import require_training

    require_training("control.repeat")

from control.learning.params import ControlParams, EndToEndParams
from control.learning.study import GIVEN, Rows, add_options, merged, read_table, run_rows
from control.task.episode_seeds import TEST_SEED, VALIDATION_SEED
from control.task.episodes import mean_and_half_width, summarize
from datasets.common.cli import CommandParser, command_line, require_writable, require_writable_folder
from datasets.common.config import load_params
from datasets.common.errors import DataError
from datasets.common.files import delete_own, own_folder, read_json, write_whole
from datasets.rig.rig import Rig

TABLE = Path("results/control/seeds.json")
RUNS = Path("runs/repeat")
SUMMARIZED = ("success_5mm", "success_10mm", "success_20mm", "success_50mm", "median_mm", "p95_mm", "mean_reward")

Job = Callable[[str, int, Path, Rig], dict[str, Any]]
"""Trains with a parameter file and a seed in a folder; returns the documented keys of the test, and ``train_s``."""


def true_state(file: str, seed: int, _: Path, rig: Rig) -> dict[str, Any]:
    """The control stage's agent on the true state alone: no pictures, no estimator."""
    from control.learning.ddpg import BottleneckDDPG  # late, for a quick --help
    from control.learning.pretrained import make_true_env
    from control.learning.trainer import learn, run_agent

    params = load_params(file, ControlParams)
    env = partial(make_true_env, params.env, rig)
    agent = replace(params.agent, steps=params.true_state_steps)
    validation = range(VALIDATION_SEED, VALIDATION_SEED + params.evaluation.validation_episodes)
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        learn(env, agent, seed, validation, params.evaluation.interval, Path(folder), f"true_state, seed {seed}")
        seconds = round(time.monotonic() - began, 1)
        best = BottleneckDDPG.load(Path(folder) / "best.zip", device="cpu")
    episodes = run_agent(best, env(), range(TEST_SEED, TEST_SEED + params.evaluation.episodes))
    return {**summarize(episodes), "train_s": seconds}


def default(file: str, seed: int, folder: Path, rig: Rig) -> dict[str, Any]:
    """The whole control stage, tested through the estimator."""
    from control.learning.pretrained import run  # late, for a quick --help

    metrics = run(replace(load_params(file, ControlParams), seed=seed, **_places(folder)), rig)
    return {
        **metrics["default"],
        "minus_proportional": metrics["minus_proportional"],
        "minus_proportional_fused": metrics["minus_proportional_fused"],
        "train_s": metrics["train_s"]["ddpg"],
    }


def end_to_end(file: str, seed: int, folder: Path, rig: Rig) -> dict[str, Any]:
    """The whole end-to-end stage; for the stage's own seed, reads what the stage wrote.

    Raises:
        DataError: the stage wrote nothing, or says that it was not given today's parameters, rig and scenes.
    """
    from control.learning.end_to_end import METRICS, given_digest, run  # late, for a quick --help

    params = load_params(file, EndToEndParams)
    if seed == params.seed:
        written, remedy = Path(params.results) / METRICS, f"run `python -m control.train --config {file}` first"
        if not written.is_file():
            raise DataError(f"{written}: no such file; {remedy}")
        metrics = read_json(written)
        digest = given_digest(params, rig)
        if metrics.get(GIVEN, digest) != digest:  # metrics of version 0.2 and before do not name theirs
            raise DataError(f"{written}: of other parameters, rig or scenes than today's; {remedy}")
    else:
        metrics = run(replace(params, seed=seed, **_places(folder)), rig)
    return {**metrics["default"], "replay_mb": metrics["replay_mb"], "train_s": metrics["train_s"]}


METHODS: dict[str, tuple[Job, str]] = {
    "true_state": (true_state, "params/control.yaml"),
    "default": (default, "params/control.yaml"),
    "end_to_end_rgb": (end_to_end, "params/end_to_end_rgb.yaml"),
    "end_to_end_rgb_camera": (end_to_end, "params/end_to_end_rgb_camera.yaml"),
    "end_to_end_rgbd": (end_to_end, "params/end_to_end_rgbd.yaml"),
}


def given(name: str) -> str:
    """Digest of what a method's rows depend on now, the program apart."""
    from control.learning import end_to_end as images  # late, for a quick --help
    from control.learning import pretrained

    job, file = METHODS[name]
    if job is end_to_end:
        return images.given_digest(load_params(file, EndToEndParams), Rig.load())
    return pretrained.given_digest(load_params(file, ControlParams), Rig.load())


def summarize_rows(rows: Rows) -> dict[str, Any]:
    """Each method's rows by seed, and the interval over them for each key of ``SUMMARIZED``."""
    return {
        name: {
            "seeds": seeds,
            "summary": {key: mean_and_half_width([row[key] for row in seeds.values()]) for key in SUMMARIZED},
        }
        for name, seeds in rows.items()
    }


def _places(folder: Path) -> dict[str, Any]:
    return {"policy": str(folder / "policy"), "results": str(folder / "results"), "runs": str(folder / "runs")}


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line, learn and write the table."""
    parser = CommandParser(
        prog="python -m control.repeat",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        result=True,
    )
    add_options(parser, list(METHODS))
    options = parser.parse_args(arguments)

    def row(name: str, seed: int) -> dict[str, Any]:
        job, file = METHODS[name]
        folder = own_folder(RUNS / f"{name}_{seed}")
        found = job(file, seed, folder, Rig.load())
        delete_own(folder)
        return found

    with command_line(parser.prog, options) as tell:
        require_writable(TABLE, "the table")
        require_writable_folder(RUNS, "the rows")
        rows = run_rows(options, RUNS, row, given)
        if rows is None:
            return
        former = {name: part["seeds"] for name, part in read_table(TABLE).items()}
        whole = summarize_rows(merged(former, rows, given))
        write_whole(TABLE, json.dumps(whole, indent=2) + "\n")
        found = {name: whole[name] for name in rows}
        table = [f"{'method (seeds)':30}" + "".join(f"{key:>18}" for key in SUMMARIZED[:-1])]
        for name, part in found.items():
            text = "".join(f"{_cell(part['summary'][key]):>18}" for key in SUMMARIZED[:-1])
            table.append(f"{name} ({len(part['seeds'])})".ljust(30) + text)
        tell(found, "\n".join(table))


def _cell(interval: dict[str, float]) -> str:
    half = f" ±{interval['half_width']:.3g}" if "half_width" in interval else ""
    return f"{interval['mean']:.3g}{half}"


if __name__ == "__main__":
    main()
