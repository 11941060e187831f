"""Measures the shipped estimator on pictures unlike training's: path-traced rooms, official meshes, another sensor.

The split ``unlike`` has postures and cameras as ``menagerie`` of ``params/frames.yaml``; Mitsuba draws them
(:mod:`datasets.path_tracer`). Nothing is ever trained, chosen or calibrated on it. Parts that are finished are kept: a
run that was stopped goes on where it was.

Figures in ``results/unlike/metrics.json``: those of one split, as :mod:`perception.evaluation.measure` describes them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from datasets.arm.tools import tool_digest
from datasets.common.cli import CommandParser, command_line, require_writable_folder
from datasets.common.code_digest import code_digest, fingerprint
from datasets.common.config import Checked, Within, load_params
from datasets.common.errors import ConfigError
from datasets.common.files import write_whole
from datasets.common.workers import Workers, add_worker_options
from datasets.generation.splits import FramesParams, SplitParams, SplitPlan
from datasets.path_tracer.photographer import PathTracer, path_tracer_available
from datasets.rig.rig import RIG_PATH, Rig
from perception.estimator.estimator import MODEL_FOLDER
from perception.evaluation.predictions import predict
from perception.evaluation.split_figures import split_figures

PROG = "python -m perception.unlike"
SPLIT = "unlike"


@dataclass(frozen=True)
class UnlikeParams(Checked):
    """What is drawn and measured (``params/unlike.yaml``).

    Attributes:
        split: its postures and cameras; the official arm, and no look is kept.
        max_sigma_m: a frame with a larger sigma is confessed, not answered; the runtime's limit of this name.
        workers: processes.
        rig: the rig file.
        estimator: folder of the estimator.
        results: folder of the metrics.
        runs: folder of finished parts, by a digest of all that they depend on.
    """

    split: SplitParams
    max_sigma_m: Annotated[float, Within(0, unit="m", above=True)] = 0.03
    workers: Annotated[int, Within(1)] = 2
    rig: str = str(RIG_PATH)
    estimator: str = str(MODEL_FOLDER)
    results: str = "results/unlike"
    runs: str = "runs/unlike"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.split.arm != "menagerie" or self.split.looks or self.split.frames < 1:
            raise ConfigError("split: the path tracer draws the official arm: set arm: menagerie, looks: [], frames: 1")


def measure(params: UnlikeParams, workers: Workers) -> dict[str, Any]:
    """Draw, predict and measure; returns what is written as ``metrics.json``.

    Raises:
        DataError: a worker died; finished parts stay.
        ModelError: the estimator is missing or made for another rig.
    """
    rig = Rig.load(params.rig)
    plan = SplitPlan.of(FramesParams({SPLIT: params.split}), SPLIT, rig)
    with workers.open() as pool:
        estimator = Path(params.estimator)
        predictions = predict(estimator, plan, pool, lambda _: PathTracer(), Path(params.runs) / _digest(plan, params))
    metrics = {name: {SPLIT: figures} for name, figures in split_figures(predictions, params.max_sigma_m).items()}
    write_whole(Path(params.results) / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    return metrics


def _digest(plan: SplitPlan, params: UnlikeParams) -> str:
    """Digest of all that the parts depend on; without the number of frames, so that more frames add to them."""
    drawn = [replace(plan, frames=0).description(), tool_digest(plan.rig.tool)]
    values = [*drawn, code_digest("perception.unlike"), version("mitsuba")]
    return fingerprint(values, *sorted(Path(params.estimator).glob("*")))


def table(metrics: Mapping[str, Any]) -> str:
    """The figures as text."""
    figures, sigma = metrics["default"][SPLIT], metrics["sigma"][SPLIT]
    return (
        f"{SPLIT}: {figures['n']} frames, median {figures['median_mm']:.2f} mm, 95 % {figures['p95_mm']:.2f} mm; "
        f"within one sigma {sigma['within_1_sigma']:.1%}, within two {sigma['within_2_sigma']:.1%}; "
        f"confessed {metrics['confessed'][SPLIT]['share']:.1%}"
    )


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = CommandParser(prog=PROG, description=(__doc__ or "").split("\n")[0], result=True)
    parser.add_argument("--config", default="params/unlike.yaml", help="parameter file (default: params/unlike.yaml)")
    add_worker_options(parser, "the parameter file's")
    parser.add_argument("--frames", type=int, help="measure only this many frames")
    options = parser.parse_args(arguments)
    with command_line(PROG, options) as tell:
        params = load_params(options.config, UnlikeParams)
        if options.frames is not None:
            params = replace(params, split=replace(params.split, frames=options.frames))
        if reason := path_tracer_available():
            tell({"n": 0, "reason": reason}, f"n = 0: {reason}; {params.results} stays as it is")
            return
        require_writable_folder(params.results, "results")
        require_writable_folder(params.runs, "runs")
        metrics = measure(params, Workers.of(options, params.workers))
        tell(metrics, table(metrics))


if __name__ == "__main__":
    main()
