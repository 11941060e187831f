"""Trains the pair with further seeds: ``python -m perception.seeds --seeds 1 2 3`` writes their figures and spread.

Every seed draws other weights, orders and augmentations; the frames stay the same. A pair that is trained already with
one of the seeds is taken as it is. What is finished is kept: a run that was stopped goes on where it was.

Figures in ``results/perception/seeds.json``: ``default.<split>`` and ``glance.<split>`` have ``median_mm`` and
``p95_mm``, each with the seeds' ``values`` in order, their ``mean`` and their ``spread`` (largest less smallest).
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from datasets.common.cli import command_line
from datasets.common.config import load_params
from datasets.common.errors import ConfigError
from datasets.common.files import write_whole
from datasets.generation.splits import FramesParams
from datasets.rig.rig import Rig
from perception.estimator.estimator import GRAPHS
from perception.evaluate import LocateParams, evaluate
from perception.evaluation.comparison import frames_digest
from perception.training.summary import TrainingSummary
from perception.training.training_runs import TrainingRun, train_all

PROG = "python -m perception.seeds"
RUNS = "runs/perception/seeds"
FIGURES = ("median_mm", "p95_mm")


def repeat(
    seeds: Sequence[int], params: LocateParams, configs: Mapping[str, Path], folder: Path, workers: int
) -> dict[str, Any]:
    """Train and measure every seed; returns what is written as ``seeds.json``.

    Args:
        seeds: of the trainings.
        params: what is measured; its own pair counts for the seed that it was trained with.
        configs: parameter file of each look's training.
        folder: of the trainings: in it a folder for these frames, and there one a seed.
        workers: trainings side by side.
    """
    if len(set(seeds)) != len(seeds) or min(seeds) < 0:
        raise ConfigError(f"--seeds must differ and not be negative, got {' '.join(map(str, seeds))}")
    if workers < 1:
        raise ConfigError(f"--workers must be at least 1, got {workers}")
    digest = frames_digest(load_params(params.frames, FramesParams), Rig.load(params.rig))
    folder = folder / digest
    pairs = {seed: _pair(seed, params, configs, folder) for seed in seeds}
    train_all([run for pair in pairs.values() for run in pair.values()], workers)
    measured = [_measure(seed, pairs[seed], params, folder / str(seed), digest) for seed in seeds]
    found: dict[str, Any] = {"seeds": list(seeds), "frames": digest}
    for look in ("default", "glance"):
        found[look] = {
            split: {"n": figures["n"]}
            | {key: _over_seeds([each[look][split][key] for each in measured]) for key in FIGURES}
            for split, figures in measured[0][look].items()
            if figures["n"]
        }
    found["train"] = [each["train"] for each in measured]
    write_whole(Path(params.results) / "seeds.json", json.dumps(found, indent=2) + "\n")
    return found


def _pair(seed: int, params: LocateParams, configs: Mapping[str, Path], folder: Path) -> dict[str, TrainingRun]:
    shipped = {name: TrainingRun(configs[name], seed, Path(getattr(params, name))) for name in GRAPHS}
    if all(run.finished() for run in shipped.values()):
        return shipped
    return {name: TrainingRun(configs[name], seed, folder / str(seed) / name) for name in GRAPHS}


def _measure(
    seed: int, pair: Mapping[str, TrainingRun], params: LocateParams, folder: Path, digest: str
) -> dict[str, Any]:
    path = folder / "results" / "metrics.json"
    summaries = {name: TrainingSummary.read(run.folder).__dict__ for name, run in pair.items()}
    if path.is_file():
        kept: dict[str, Any] = json.loads(path.read_text())
        if (kept.get("train"), kept.get("frames"), kept.get("most")) == (summaries, digest, params.frames_per_split):
            return kept
    print(f"seed {seed}: measuring")
    glance, fovea = (str(pair[name].folder) for name in GRAPHS)
    own = replace(
        params, glance=glance, fovea=fovea, estimator=str(folder / "estimator"), results=str(folder / "results")
    )
    metrics = evaluate(own) | {"most": params.frames_per_split}
    write_whole(path, json.dumps(metrics, indent=2) + "\n")
    return metrics


def _over_seeds(values: Sequence[float]) -> dict[str, Any]:
    return {
        "values": list(values),
        "mean": round(float(np.mean(values)), 3),
        "spread": round(float(np.ptp(values)), 3),
    }


def print_table(found: Mapping[str, Any]) -> None:
    """Mean and spread over the seeds, a line a split."""
    print(f"{len(found['seeds'])} seeds, mean (spread), mm\n{'split':<14}{'median':>16}{'p95':>16}")
    for split, row in found["default"].items():
        cells = [f"{row[key]['mean']:.2f} ({row[key]['spread']:.2f})" for key in FIGURES]
        print(f"{split:<14}{cells[0]:>16}{cells[1]:>16}")


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog=PROG, description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="of the trainings (default: 1 2 3)")
    parser.add_argument("--config", default="params/locate.yaml", help="what is measured (default: params/locate.yaml)")
    for look in GRAPHS:
        file = f"params/perception_{look}.yaml"
        parser.add_argument(f"--{look}", default=file, help=f"how the {look} is trained (default: {file})")
    parser.add_argument("--runs", default=RUNS, help=f"folder of the trainings, which resume there (default: {RUNS})")
    parser.add_argument(
        "--workers",
        type=int,
        default=2,
        help="trainings side by side, one thread each; 1: one after the other, with the files' threads (default: 2)",
    )
    parser.add_argument("--frames", type=int, help="measure only this many frames of each split")
    options = parser.parse_args(arguments)
    with command_line(PROG):
        params = load_params(options.config, LocateParams)
        if options.frames is not None:
            params = replace(params, frames_per_split=options.frames)
        configs = {look: Path(getattr(options, look)) for look in GRAPHS}
        print_table(repeat(options.seeds, params, configs, Path(options.runs), options.workers))


if __name__ == "__main__":
    main()
