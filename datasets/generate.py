"""Draws the labelled frames of all splits: ``python -m datasets.generate --config params/frames.yaml``."""

import argparse
import os
from collections.abc import Sequence

from datasets.common.cli import CommandParser, command_line, require_writable_folder
from datasets.common.config import load_params
from datasets.common.workers import Workers, add_worker_options
from datasets.generation.run import Run
from datasets.generation.splits import FramesParams, SplitPlan
from datasets.rig.rig import Rig
from datasets.scene.renderer import require_gl

_EPILOG = """\
A run that was stopped (Ctrl-C, kill, full disk, lost worker) goes on where it stopped when the same command is given
again; nothing is drawn twice. The same parameters give the same bytes, whatever the number of workers; another kind of
processor rounds otherwise. Frame i of a split depends on the split's seed and i alone.

examples:
  python -m datasets.generate                                    all splits, one process per core
  python -m datasets.generate --splits train val --workers 1     two splits, in this process
  python -m datasets.generate --out s3://bucket/frames --backend ray --address auto
"""


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = CommandParser(
        prog="python -m datasets.generate",
        result=True,
        description="Draw labelled RGB-D frames of randomized scenes into a Zarr store, one group per split.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--config", default="params/frames.yaml", help="splits and randomization (default: %(default)s)")
    add("--rig", help="the physical set-up, its tool among it (default: the parameter file's, else params/rig.yaml)")
    add("--out", default="data/frames", help="folder or any fsspec URL (default: %(default)s)")
    add("--splits", nargs="+", metavar="NAME", help="only these splits (default: all of the parameter file)")
    add_worker_options(parser)
    add(
        "--existing",
        choices=["resume", "redraw"],
        default="resume",
        help="what to do with frames that are there: keep them and refuse other parameters, or draw anew all but what "
        "an interrupted run left (default: %(default)s)",
    )
    add("--fresh", action="store_true", help="delete these splits first and draw them again")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    options = parse_arguments(arguments)
    with command_line("datasets.generate", options) as tell:
        workers = Workers.of(options)
        params = load_params(options.config, FramesParams)
        rig = Rig.load(options.rig or params.rig)
        plans = [SplitPlan.of(params, name, rig) for name in options.splits or params.splits]
        require_writable_folder(options.out, "--out")
        # Workers on a cluster have working folders of their own, and perhaps the only graphics.
        out = os.path.abspath(options.out) if options.backend == "ray" and "://" not in options.out else options.out
        if options.backend == "local":
            require_gl()
        run = Run(out, plans, options.existing, options.fresh)
        with workers.open() as pool:
            drawn, total = run.draw(pool)
        tell(
            {"out": options.out, "drawn": drawn, "there_before": total - drawn},
            f"{options.out}: {drawn} frames drawn, {total - drawn} were there",
        )


if __name__ == "__main__":
    main()
