"""Packs the trained looks into an estimator, calibrates its sigma on a split of its own, measures it on the others.

Metrics (``results/perception/metrics.json``; distances in mm, see :mod:`perception.evaluation.metrics`)::

    default.<split>      n, median_mm, mean_mm, p95_mm     the answer
    glance.<split>       the same after the first look alone; base.<split>: of where the base appears
    sigma.<split>        within_1_sigma, within_2_sigma (shares of errors per axis), median_sigma_mm
    axes.<split>         per axis x, y, z: bias_mm, median_mm, p95_mm
    confessed.<split>    share of frames with a sigma above max_sigma_m, on which the runtime does not act; of the
                         others, as default
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
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from datasets.arm.official import menagerie_available
from datasets.common.config import load_params
from datasets.common.errors import ConfigError, DataError
from datasets.common.files import MARK, delete_own, own_folder, read_json, write_whole
from datasets.common.workers import Pool, Workers
from datasets.generation.splits import FramesParams, SplitPlan
from datasets.rig.envelope import CameraEnvelope
from datasets.rig.rig import Rig
from datasets.scene.renderer import require_gl
from perception.estimator.estimator import GRAPHS, PARAFOVEA, PositionEstimator
from perception.evaluation.comparison import beside, draw_comparison, frames_digest
from perception.evaluation.corruptions import measure_corruptions
from perception.evaluation.doubts import fit_doubt
from perception.evaluation.metrics import sigma_scale
from perception.evaluation.package import describe_sigma, load_look, pack
from perception.evaluation.params import LocateParams
from perception.evaluation.pictures import draw_histogram, draw_map
from perception.evaluation.predictions import Predictions, predict
from perception.evaluation.split_figures import SPLIT_FIGURES, split_figures, visible_figures
from perception.training.summary import TrainingSummary

TRAINING_FIGURES = ("train_s", "train", "seed")


def evaluate(params: LocateParams, workers: Workers | None = None, packed: bool = False) -> dict[str, Any]:
    """Pack, calibrate, measure; returns what is written as ``metrics.json``.

    Args:
        params: what is packed, and where it is measured.
        workers: the processes that measure. Default: the parameters' ``workers``.
        packed: calibrate and measure the networks in the estimator's folder as they are, where their training runs are
            gone. The figures of their training stay as the results have them.

    Raises:
        ConfigError: the parameters cannot be met.
        DataError, ModelError: a run, the packed estimator or its results are missing or damaged.
    """
    require_gl()
    with (workers or Workers(params.workers)).open() as pool:
        return _evaluate(params, pool, packed)


def compare(params: LocateParams) -> dict[str, Any]:
    """Put the figures of baselines and further seeds, as they stand now, into the results; nothing is measured.

    Returns what is written as ``metrics.json``; ``baselines.png`` is drawn anew with it.

    Raises:
        DataError: the results or the figures beside them are missing or damaged, or the results are of other frames
            than the parameters'.
    """
    results = Path(params.results)
    file = results / "metrics.json"
    digest = frames_digest(load_params(params.frames, FramesParams), Rig.load(params.rig))
    metrics: dict[str, Any] = read_json(file)
    if not isinstance(metrics, dict) or not {"default", "glance", "frames"} <= metrics.keys():
        raise DataError(f"{file}: not what perception.evaluate writes; measure without --compare")
    if metrics["frames"] != digest:
        raise DataError(f"{file}: measured on other frames than {params.frames} describes; measure without --compare")
    metrics |= beside(results, digest)
    _write(metrics, results)
    return metrics


def _evaluate(params: LocateParams, pool: Pool, packed: bool) -> dict[str, Any]:
    rig = Rig.load(params.rig)
    plans = _plans(params, rig)
    digest = frames_digest(load_params(params.frames, FramesParams), rig)
    others = beside(Path(params.results), digest)
    names = [*GRAPHS, *([PARAFOVEA] if params.parafovea else [])]
    envelope = _envelope(plans[params.calibration_split])
    estimator = Path(params.estimator)
    part = estimator.with_name(estimator.name + ".part")
    delete_own(part)
    if packed:
        PositionEstimator.load(estimator, rig)  # refuses what is damaged, before anything is measured
        training = _training_before(Path(params.results) / "metrics.json")
        shutil.copytree(estimator, own_folder(part), dirs_exist_ok=True)
    else:
        looks = {name: load_look(Path(getattr(params, name)), name).locator for name in names}
        training = _training(params, names)
        pack(looks, rig, envelope, own_folder(part))
    _calibrate(params, plans, names, part, pool)
    _install(part, estimator)

    metrics: dict[str, Any] = {name: {} for name in SPLIT_FIGURES}
    measured: dict[str, Predictions] = {}
    for split in params.splits:
        reason = menagerie_available() if plans[split].randomization.arm == "menagerie" else None
        if plans[split].frames == 0:
            reason = "the split is empty"
        if reason is not None:
            metrics["default"][split] = {"n": 0, "reason": reason}
            continue
        measured[split] = predictions = predict(estimator, plans[split], pool, look_for_tool=params.visible)
        for name, figures in split_figures(predictions, params.max_sigma_m).items():
            metrics[name][split] = figures
        if params.visible:
            metrics.setdefault("visible", {})[split] = visible_figures(predictions, params.max_sigma_m)
    metrics["bad_frames"] = measure_corruptions(estimator, plans[params.mapped_split], params.bad_frames)
    metrics |= training
    metrics["frames"] = digest
    metrics |= others

    results = Path(params.results)
    draw_histogram(measured, results / "errors.png")
    draw_map(measured[params.mapped_split], params.mapped_split, rig, results / "error_map.png")
    _write(metrics, results)
    return metrics


def _write(metrics: dict[str, Any], results: Path) -> None:
    draw_comparison(metrics, results / "baselines.png")
    write_whole(results / "metrics.json", json.dumps(metrics, indent=2) + "\n")


def _training(params: LocateParams, names: list[str]) -> dict[str, Any]:
    summaries = [TrainingSummary.read(Path(getattr(params, name))) for name in names]
    train_s = round(sum(summary.train_s for summary in summaries), 1)
    each = {name: summary.__dict__ for name, summary in zip(names, summaries, strict=True)}
    return dict(zip(TRAINING_FIGURES, (train_s, each, summaries[0].seed), strict=True))


def _training_before(file: Path) -> dict[str, Any]:
    metrics = read_json(file)
    try:
        return {key: metrics[key] for key in TRAINING_FIGURES}
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{file}: says nothing of the networks' training ({error}); measure without --packed"
        ) from error


def _calibrate(params: LocateParams, plans: dict[str, SplitPlan], names: list[str], part: Path, pool: Pool) -> None:
    """Fit which answers the estimator in ``part`` has to doubt, then the sigmas of those that it does not."""
    ones, doubt = {name: np.ones(3) for name in names}, None
    describe_sigma(part, ones)
    if params.doubt_split is not None:
        doubt = fit_doubt(predict(part, plans[params.doubt_split], pool), params.max_sigma_m)
        describe_sigma(part, ones, doubt)
    predictions = predict(part, plans[params.calibration_split], pool)
    kept = np.ones(len(predictions.tcp), dtype=bool)
    if doubt is not None:
        kept = ~doubt.doubts(predictions.evidence)
    scale = {
        "glance": sigma_scale(predictions.glance - predictions.tcp, predictions.glance_sigma).mean().repeat(3),
        "base": sigma_scale(predictions.base_error, predictions.base_sigma),
        "fovea": sigma_scale((predictions.fovea - predictions.tcp)[kept], predictions.fovea_sigma[kept]),
    }
    if PARAFOVEA in names:
        scale[PARAFOVEA] = sigma_scale(predictions.coarse - predictions.tcp, predictions.coarse_sigma).mean().repeat(3)
    describe_sigma(part, scale, doubt)


def _envelope(plan: SplitPlan) -> CameraEnvelope:
    """The cameras that the looks were trained on, as the validation split draws them."""
    if plan.randomization.camera.envelope is None:
        raise ConfigError(f"split {plan.name}: its camera has no envelope, which the estimator has to state; give one")
    return plan.randomization.camera.envelope


def _plans(params: LocateParams, rig: Rig) -> dict[str, SplitPlan]:
    frames = load_params(params.frames, FramesParams)
    fitted = [params.calibration_split, *([params.doubt_split] if params.doubt_split else [])]
    plans = {name: SplitPlan.of(frames, name, rig) for name in (*fitted, *params.splits)}
    for name in (*fitted, params.mapped_split):
        if plans[name].frames == 0:
            raise ConfigError(
                f"split {name} of {params.frames} has no frames, and {params.estimator} is fitted to it "
                "or mapped by it; give it some"
            )
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
