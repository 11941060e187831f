"""Trains a policy: ``python -m control.train --config params/control.yaml``."""

import re
from pathlib import Path

if __name__ == "__main__":  # checked before torch and the other training packages are imported
    from datasets.common.training_packages import require_training

    require_training("control.train")

from control.learning.params import ControlParams, EndToEndParams
from datasets.common.cli import CommandParser, command_line, require_writable_folder
from datasets.common.config import load_params
from datasets.common.files import location
from datasets.common.workers import Workers, add_worker_options
from datasets.rig.rig import Rig


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and run the stage."""
    parser = CommandParser(
        prog="python -m control.train",
        result=True,
        description=(
            "Train the policy that moves the arm, and test it through the estimator beside its baselines. An "
            "interrupted run goes on where it was when called again with the same parameters."
        ),
    )
    parser.add_argument("--config", default="params/control.yaml", help="parameter file (default: %(default)s)")
    parser.add_argument("--fresh", action="store_true", help="forget an interrupted run instead of going on with it")
    add_worker_options(parser, "the parameter file's")
    options = parser.parse_args(arguments)
    with command_line(parser.prog, options) as tell:
        rig = Rig.load()
        params = read_params(options.config)
        for name in ("policy", "results", "runs"):
            require_writable_folder(getattr(params, name), name)
        from control.learning import end_to_end, pretrained  # late, for a quick --help

        if isinstance(params, EndToEndParams):
            metrics = end_to_end.run(params, rig, options.fresh)
        else:
            metrics = pretrained.run(params, rig, options.fresh, Workers.of(options, params.evaluation.workers))
        rows = {"ddpg": metrics["default"], **metrics.get("baselines", {})}
        table = [f"{'policy':22}{'median mm':>10}{'p95 mm':>8}{'<5 mm':>7}{'<10 mm':>7}{'<50 mm':>7}{'arrival s':>10}"]
        table += [
            f"{name:22}{row['median_mm']:10.1f}{row['p95_mm']:8.1f}{row['success_5mm']:7.0%}"
            f"{row['success_10mm']:7.0%}{row['success_50mm']:7.0%}{row['arrival_s']:10.2f}"
            for name, row in rows.items()
        ]
        tell(metrics, "\n".join(table))


def read_params(path: str) -> ControlParams | EndToEndParams:
    """Reads the parameters of either kind of stage, by the file's ``kind``.

    Raises:
        ConfigError: the file is not valid, as in :func:`datasets.common.config.load_params`.
    """
    file = Path(location(path))
    # load_params reads the whole file and reports its errors: here only its kind matters.
    if file.is_file() and re.search(r"^kind: *end_to_end\b", file.read_bytes().decode(errors="replace"), re.MULTILINE):
        return load_params(file, EndToEndParams)
    return load_params(file, ControlParams)


if __name__ == "__main__":
    main()
