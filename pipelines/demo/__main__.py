"""Reaches three goals on the twin, printed step by step, and saves an animation of what the camera saw.

Drawn into the camera's image: the goal (orange cross), the estimated TCP (blue dot) and its two-sigma ellipse.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from control.task.goal_check import check_goals
from datasets.common.cli import CommandParser, command_line, require_writable
from datasets.rig.rig import Rig
from pipelines.demo.film import FILES, Film
from pipelines.observers.console import result_table, rows
from pipelines.observers.output import unhurried_output
from pipelines.run_real import exit_code
from pipelines.setup.assemble import RunOptions, run
from pipelines.setup.devices import DeviceNames
from pipelines.setup.settings import RuntimeParams
from pipelines.setup.setup import Setup
from pipelines.twin.settings import TwinParams

PROG = "pipelines.demo"
GOALS = [(0.50, 0.12, 0.30), (0.34, -0.14, 0.36), (0.46, -0.05, 0.16)]
OUTPUT = Path("runs/demo")
STEPS = 35
"""Ticks for each goal: enough for the TCP to arrive, and to show that it stays there."""


@unhurried_output()
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = CommandParser(
        prog=f"python -m {PROG}",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        result=True,
    )
    parser.add_argument("--policy", metavar="FOLDER|proportional", help="default: params/runtime.yaml")
    parser.add_argument("--out", type=Path, default=OUTPUT, metavar="DIR", help="default: %(default)s")
    parser.add_argument(
        "--picture", type=Path, metavar="FILE.webp", help="also write the README's picture, which is docs/reach.webp"
    )
    options = parser.parse_args(arguments)
    with command_line(PROG, options) as tell:
        for name in FILES:
            require_writable(options.out / name, "--out")
        if options.picture:
            require_writable(options.picture, "--picture")
        rig = Rig.load()
        settings = RuntimeParams.load()
        setup = Setup.load(rig, settings.with_horizon(STEPS), policy=options.policy)
        goals = check_goals(GOALS, rig)
        film, quiet, twin = Film(setup, len(goals)), RunOptions(quiet=options.quiet), TwinParams.load()
        results = run(setup, DeviceNames(), goals, twin, quiet, observers=(film,))
        written = film.save(options.out) if film.seen else ()
        if film.seen and options.picture:
            written = (*written, film.save_picture(options.picture, twin))
        files = f"\nwritten: {' and '.join(map(str, written))}" if written else ""
        tell({"goals": rows(results), "written": written}, result_table(results, len(goals)) + files)
    raise SystemExit(exit_code(results, prog=PROG))


if __name__ == "__main__":
    main()
