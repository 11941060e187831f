"""Packs the trained looks into an estimator, calibrates its sigma on validation, and measures it on every test split.

What is measured, and under which keys, is described in :mod:`perception.evaluation.measure`. With ``--frames DIR`` an
estimator is judged on frames of a real arm instead: :mod:`perception.real`, which needs no training packages.
"""

import runpy
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

if __name__ == "__main__":  # before torch and the other training packages are imported
    if any(each.split("=")[0] == "--frames" for each in sys.argv[1:]):
        # By its name, not by an import: the stage that packs an estimator must not depend on what judges it.
        runpy.run_module("perception.real", run_name="__main__", alter_sys=True)
        raise SystemExit
    from datasets.common.training_packages import PERCEPTION, require_training

    require_training("perception.evaluate", PERCEPTION)

from datasets.common.cli import CommandParser, command_line, require_writable_folder
from datasets.common.config import load_params
from datasets.common.errors import ConfigError
from datasets.common.workers import Workers, add_worker_options
from perception.evaluation.params import LocateParams

PROG = "python -m perception.evaluate"


def table(metrics: Mapping[str, Any]) -> str:
    """The default estimator's figures, one line per split."""
    lines = [f"{'split':<14}{'n':>6}{'median':>9}{'mean':>9}{'p95':>9}   mm"]
    for split, row in metrics["default"].items():
        if row["n"]:
            lines.append(f"{split:<14}{row['n']:>6}{row['median_mm']:>9.2f}{row['mean_mm']:>9.2f}{row['p95_mm']:>9.2f}")
        else:
            lines.append(f"{split:<14}{0:>6}   not measured: {row.get('reason', 'the split is empty')}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = CommandParser(prog=PROG, description=(__doc__ or "").split("\n")[0], result=True)
    parser.add_argument("--config", default="params/locate.yaml", help="parameter file (default: params/locate.yaml)")
    add_worker_options(parser, "the parameter file's")
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--packed",
        action="store_true",
        help="calibrate and measure the networks in the estimator's folder as they are, without packing training runs",
    )
    how.add_argument(
        "--compare",
        action="store_true",
        help="measure nothing: put the figures that baselines and further seeds have left into the results",
    )
    parser.add_argument("--frames-per-split", type=int, metavar="N", help="measure only N frames of each split")
    parser.add_argument(
        "--frames", metavar="DIR", help="judge on frames of a real arm instead: see python -m perception.real --help"
    )
    options = parser.parse_args(arguments)
    with command_line(PROG, options) as tell:
        if options.frames is not None:
            raise ConfigError("--frames is read where the command is started; call perception.real.__main__.main here")
        params = load_params(options.config, LocateParams)
        if options.frames_per_split is not None:
            params = replace(params, frames_per_split=options.frames_per_split)
        for name in ("estimator", "results"):
            require_writable_folder(getattr(params, name), name)
        from perception.evaluation.measure import compare, evaluate  # late, for a quick --help

        if options.compare:
            metrics = compare(params)
        else:
            metrics = evaluate(params, Workers.of(options, params.workers), options.packed)
        tell(metrics, table(metrics))


if __name__ == "__main__":
    main()
