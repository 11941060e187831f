"""Packs the trained looks into an estimator, calibrates its sigma on validation, and measures it on every test split.

Metrics (``results/perception/metrics.json``; distances in mm, see :mod:`perception.evaluation.metrics`)::

    default.<split>      n, median_mm, mean_mm, p95_mm     glance, then fovea
    glance.<split>       the same after the first look alone
    sigma.<split>        within_1_sigma, within_2_sigma (shares of errors per axis), median_sigma_mm
    axes.<split>         per axis x, y, z: bias_mm, median_mm, p95_mm
    conditions.<split>   as default, for the nearer and the farther half of the frames
    moved.<split>        share of frames whose camera is held to be elsewhere than told
    bad_frames           n, confidently_wrong (share more than 50 mm wrong with every sigma below 20 mm), by_kind
    baselines.<name>     as default, where `make baselines` has left results/perception/baselines/<name>.json
    seeds                where `python -m perception.seeds` has left results/perception/seeds.json
    frames               digest of the frames' parameters: only what was trained and measured on the same is compared
    train_s, seed        of both looks' trainings together, and of the glance's
"""

import argparse
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from datasets.arm.official import menagerie_available
from datasets.common.cli import command_line
from datasets.common.config import load_params
from datasets.common.errors import ConfigError
from datasets.common.files import write_whole
from datasets.common.workers import Pool, Workers, add_worker_options
from datasets.generation.splits import FramesParams, SplitPlan
from datasets.rig.rig import RIG_PATH, Rig
from perception.estimator.estimator import GRAPHS, SIGMAS
from perception.evaluation.comparison import beside, draw_comparison, frames_digest
from perception.evaluation.corruptions import measure_corruptions
from perception.evaluation.metrics import coverage, per_axis, sigma_scale, summarize
from perception.evaluation.package import describe, load_look, pack
from perception.evaluation.pictures import draw_histogram, draw_map
from perception.evaluation.predictions import Predictions, predict
from perception.training.summary import TrainingSummary

PROG = "python -m perception.evaluate"


@dataclass(frozen=True)
class LocateParams:
    """What is packed, and where it is measured.

    Attributes:
        glance, fovea: folders of the two training runs.
        frames: the parameter file that defines the splits.
        calibration_split: sigma's scale is fitted on it; never a test split.
        splits: test splits.
        mapped_split: the split of the error map.
        frames_per_split: measure only this many frames of each (None: all).
        bad_frames: how many frames that cannot be answered are tried.
        workers: processes.
        rig: the rig file.
        estimator: folder of the packed estimator.
        results: folder of metrics and pictures.
    """

    glance: str
    fovea: str
    frames: str
    calibration_split: str
    splits: tuple[str, ...]
    mapped_split: str
    frames_per_split: int | None = None
    bad_frames: int = 500
    workers: int = 2
    rig: str = str(RIG_PATH)
    estimator: str = "models/estimator"
    results: str = "results/perception"

    def __post_init__(self) -> None:
        if self.calibration_split in self.splits:
            raise ConfigError(f"calibration_split {self.calibration_split!r} must not be one of the test splits")
        if self.mapped_split not in self.splits:
            raise ConfigError(f"mapped_split {self.mapped_split!r} is none of the splits {list(self.splits)}")
        if self.bad_frames < 1:
            raise ConfigError(f"bad_frames must be at least 1, got {self.bad_frames}")
        if self.workers < 1 or (self.frames_per_split is not None and self.frames_per_split < 1):
            raise ConfigError("workers and frames_per_split must be at least 1")


def evaluate(params: LocateParams, workers: Workers | None = None) -> dict[str, Any]:
    """Pack, calibrate, measure; returns what is written as ``metrics.json``. Default: the parameters' ``workers``."""
    with (workers or Workers(params.workers)).open() as pool:
        return _evaluate(params, pool)


def _evaluate(params: LocateParams, pool: Pool) -> dict[str, Any]:
    rig = Rig.load(params.rig)
    plans = _plans(params, rig)
    digest = frames_digest(load_params(params.frames, FramesParams), rig)
    others = beside(Path(params.results), digest)
    looks = {name: load_look(Path(getattr(params, name)), name).locator for name in GRAPHS}
    summaries = [TrainingSummary.read(Path(getattr(params, name))) for name in GRAPHS]

    estimator = Path(params.estimator)
    part = estimator.with_name(estimator.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    pack(looks, rig, {name: np.ones(3) for name in SIGMAS}, part)
    predictions = predict(part, plans[params.calibration_split], pool)
    scale = {
        "glance": sigma_scale(predictions.glance - predictions.tcp, predictions.glance_sigma).mean().repeat(3),
        "base": sigma_scale(predictions.base_error, predictions.base_sigma),
        "fovea": sigma_scale(predictions.fovea - predictions.tcp, predictions.fovea_sigma),
    }
    describe(looks, rig, scale, part)
    _install(part, estimator)

    metrics: dict[str, Any] = {name: {} for name in ("default", "glance", "sigma", "axes", "conditions", "moved")}
    measured: dict[str, Predictions] = {}
    for split in params.splits:
        reason = menagerie_available() if plans[split].randomization.arm == "menagerie" else None
        if reason is not None:
            metrics["default"][split] = {"n": 0, "reason": reason}
            continue
        measured[split] = predictions = predict(estimator, plans[split], pool)
        errors = predictions.fovea - predictions.tcp
        metrics["default"][split] = summarize(errors)
        metrics["glance"][split] = summarize(predictions.glance - predictions.tcp)
        metrics["sigma"][split] = coverage(errors, predictions.fovea_sigma)
        metrics["axes"][split] = per_axis(errors)
        metrics["conditions"][split] = _conditions(predictions)
        metrics["moved"][split] = round(float((predictions.moved > 0.5).mean()), 4)
    metrics["bad_frames"] = measure_corruptions(estimator, plans[params.mapped_split], params.bad_frames)
    metrics["train_s"] = round(sum(summary.train_s for summary in summaries), 1)
    metrics["train"] = {name: summary.__dict__ for name, summary in zip(GRAPHS, summaries, strict=True)}
    metrics["seed"] = summaries[0].seed
    metrics["frames"] = digest
    metrics |= others

    results = Path(params.results)
    draw_histogram(measured, results / "errors.png")
    draw_map(measured[params.mapped_split], params.mapped_split, rig, results / "error_map.png")
    draw_comparison(metrics, results / "baselines.png")
    write_whole(results / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    return metrics


def _plans(params: LocateParams, rig: Rig) -> dict[str, SplitPlan]:
    frames = load_params(params.frames, FramesParams)
    plans = {name: SplitPlan.of(frames, name, rig) for name in (params.calibration_split, *params.splits)}
    most = params.frames_per_split
    if most is None:
        return plans
    return {name: replace(plan, frames=min(plan.frames, most)) for name, plan in plans.items()}


def _install(part: Path, folder: Path) -> None:
    """Move the finished files one by one into place."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in part.iterdir():
        os.replace(file, folder / file.name)
    part.rmdir()


def _conditions(predictions: Predictions) -> dict[str, Any]:
    errors, near = predictions.fovea - predictions.tcp, predictions.distance < np.median(predictions.distance)
    return {"near": summarize(errors[near]), "far": summarize(errors[~near])}


def print_table(metrics: Mapping[str, Any]) -> None:
    """The default estimator's figures, a line a split."""
    print(f"{'split':<14}{'n':>6}{'median':>9}{'mean':>9}{'p95':>9}   mm")
    for split, row in metrics["default"].items():
        if row["n"]:
            print(f"{split:<14}{row['n']:>6}{row['median_mm']:>9.2f}{row['mean_mm']:>9.2f}{row['p95_mm']:>9.2f}")
        else:
            print(f"{split:<14}{0:>6}   not measured: {row.get('reason', 'the split is empty')}")


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog=PROG, description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--config", default="params/locate.yaml", help="parameter file (default: params/locate.yaml)")
    add_worker_options(parser, "the parameter file's")
    parser.add_argument("--frames", type=int, help="measure only this many frames of each split")
    options = parser.parse_args(arguments)
    with command_line(PROG):
        params = load_params(options.config, LocateParams)
        if options.frames is not None:
            params = replace(params, frames_per_split=options.frames)
        print_table(evaluate(params, Workers.of(options, params.workers)))


if __name__ == "__main__":
    main()
