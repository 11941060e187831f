"""Packs the trained looks into an estimator, calibrates its sigma on a split of its own, measures it on the others.

Metrics (``results/perception/metrics.json``; distances in mm, see :mod:`perception.evaluation.metrics`)::

    default.<split>      n, median_mm, mean_mm, p95_mm     the answer
    glance.<split>       the same after the first look alone; base.<split>: of where the base appears
    sigma.<split>        within_1_sigma, within_2_sigma (shares of errors per axis), median_sigma_mm
    axes.<split>         per axis x, y, z: bias_mm, median_mm, p95_mm
    confessed.<split>    share of frames with a sigma above max_sigma_m, at which the runtime stops; of the others,
                         as default
    conditions.<split>   as default, by thirds of the frames in distance, angle to the side, elevation, focal length
    moved.<split>        share of frames whose camera is taken to be away from the given pose
    visible.<split>      where asked for. Of frames that show at least SHOWN of the tool's surface: pair, glance and
                         coarse (what the fovea begins with), as default; in_window, the share in which the fovea is
                         first shown a window with the TCP; answered, the pair where it does not confess. Of those that
                         show less than HIDDEN or have the TCP outside the image: hidden, how many; confessed, their
                         share that is
    bad_frames           n, confidently_wrong (share more than 50 mm wrong with every sigma below 20 mm), by_kind
    baselines.<name>     as default, where `make baselines` has left results/perception/baselines/<name>.json
    seeds                where `python -m perception.seeds` has left results/perception/seeds.json
    frames               digest of the frames' parameters: only what was trained and measured on the same is compared
    train_s, seed        of all looks' trainings together, and of the glance's
"""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from datasets.arm.official import menagerie_available
from datasets.common.config import load_params
from datasets.common.errors import ConfigError
from datasets.common.files import MARK, delete_own, own_folder, write_whole
from datasets.common.workers import Pool, Workers
from datasets.generation.splits import FramesParams, SplitPlan
from datasets.rig.envelope import CameraEnvelope
from datasets.rig.rig import Rig
from datasets.scene.renderer import require_gl
from perception.estimator.estimator import GRAPHS, PARAFOVEA
from perception.evaluation.comparison import beside, draw_comparison, frames_digest
from perception.evaluation.corruptions import measure_corruptions
from perception.evaluation.metrics import sigma_scale
from perception.evaluation.package import describe, load_look, pack
from perception.evaluation.params import LocateParams
from perception.evaluation.pictures import draw_histogram, draw_map
from perception.evaluation.predictions import Predictions, predict
from perception.evaluation.split_figures import SPLIT_FIGURES, split_figures, visible_figures
from perception.training.summary import TrainingSummary


def evaluate(params: LocateParams, workers: Workers | None = None) -> dict[str, Any]:
    """Pack, calibrate, measure; returns what is written as ``metrics.json``. Default: the parameters' ``workers``."""
    require_gl()
    with (workers or Workers(params.workers)).open() as pool:
        return _evaluate(params, pool)


def _evaluate(params: LocateParams, pool: Pool) -> dict[str, Any]:
    rig = Rig.load(params.rig)
    plans = _plans(params, rig)
    digest = frames_digest(load_params(params.frames, FramesParams), rig)
    others = beside(Path(params.results), digest)
    names = [*GRAPHS, *([PARAFOVEA] if params.parafovea else [])]
    looks = {name: load_look(Path(getattr(params, name)), name).locator for name in names}
    summaries = [TrainingSummary.read(Path(getattr(params, name))) for name in names]

    envelope = _envelope(plans[params.calibration_split])
    estimator = Path(params.estimator)
    part = estimator.with_name(estimator.name + ".part")
    delete_own(part)
    pack(looks, rig, envelope, {name: np.ones(3) for name in names}, own_folder(part))
    predictions = predict(part, plans[params.calibration_split], pool)
    scale = {
        "glance": sigma_scale(predictions.glance - predictions.tcp, predictions.glance_sigma).mean().repeat(3),
        "base": sigma_scale(predictions.base_error, predictions.base_sigma),
        "fovea": sigma_scale(predictions.fovea - predictions.tcp, predictions.fovea_sigma),
    }
    if params.parafovea:
        scale[PARAFOVEA] = sigma_scale(predictions.coarse - predictions.tcp, predictions.coarse_sigma).mean().repeat(3)
    describe(looks, rig, envelope, scale, part)
    _install(part, estimator)

    metrics: dict[str, Any] = {name: {} for name in SPLIT_FIGURES}
    measured: dict[str, Predictions] = {}
    for split in params.splits:
        reason = menagerie_available() if plans[split].randomization.arm == "menagerie" else None
        if reason is not None:
            metrics["default"][split] = {"n": 0, "reason": reason}
            continue
        measured[split] = predictions = predict(estimator, plans[split], pool, look_for_tool=params.visible)
        for name, figures in split_figures(predictions, params.max_sigma_m).items():
            metrics[name][split] = figures
        if params.visible:
            metrics.setdefault("visible", {})[split] = visible_figures(predictions, params.max_sigma_m)
    metrics["bad_frames"] = measure_corruptions(estimator, plans[params.mapped_split], params.bad_frames)
    metrics["train_s"] = round(sum(summary.train_s for summary in summaries), 1)
    metrics["train"] = {name: summary.__dict__ for name, summary in zip(names, summaries, strict=True)}
    metrics["seed"] = summaries[0].seed
    metrics["frames"] = digest
    metrics |= others

    results = Path(params.results)
    draw_histogram(measured, results / "errors.png")
    draw_map(measured[params.mapped_split], params.mapped_split, rig, results / "error_map.png")
    draw_comparison(metrics, results / "baselines.png")
    write_whole(results / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    return metrics


def _envelope(plan: SplitPlan) -> CameraEnvelope:
    """The cameras that the looks were trained on, as the validation split draws them."""
    if plan.randomization.camera.envelope is None:
        raise ConfigError(f"split {plan.name}: its camera has no envelope, which the estimator has to state; give one")
    return plan.randomization.camera.envelope


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
        if file.name != MARK:
            os.replace(file, folder / file.name)
    delete_own(part)
