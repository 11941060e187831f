"""Reaches three goals on the twin, printed step by step, and saves an animation of what the camera saw.

Drawn into the camera's image: the goal (orange cross), the estimated TCP (blue dot) and its two-sigma ellipse.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from control.task.goal_check import check_goals
from datasets.common.cli import CommandParser, command_line, require_writable
from datasets.rig.frame import Frame
from datasets.rig.rig import Rig
from pipelines.observers.console import result_table, rows
from pipelines.observers.output import unhurried_output
from pipelines.observers.overlay import draw_tick
from pipelines.run_real import exit_code
from pipelines.runtime.tick import Tick
from pipelines.setup.assemble import RunOptions, run
from pipelines.setup.devices import DeviceNames
from pipelines.setup.settings import RuntimeParams
from pipelines.setup.setup import Setup
from pipelines.twin.settings import TwinParams

PROG = "pipelines.demo"
GOALS = [(0.50, 0.12, 0.30), (0.34, -0.14, 0.36), (0.46, -0.05, 0.16)]
OUTPUT = Path("runs/demo")
FILES = ("demo.gif", "demo.png")
STEPS = 35
"""Ticks for each goal: enough to arrive and to see that it stays."""
_SHRINK = 0.75


class Film:
    """Observes a run and keeps a picture of every tick."""

    def __init__(self, rig: Rig, goals: int) -> None:
        self._rig, self._goals = rig, goals
        self.pictures: list[NDArray[np.uint8]] = []
        self.last_of_goal: dict[int, NDArray[np.uint8]] = {}

    def __call__(self, tick: Tick, frame: Frame) -> None:
        """Draw one tick."""
        left = "frame seen before" if tick.held else f"{tick.error_m * 1e3:5.1f} mm to go"
        caption = f"goal {tick.goal_index + 1}/{self._goals}  step {tick.step:2d}  {left}"
        picture = draw_tick(frame.rgb, tick, self._rig.t_base_camera, self._rig.camera, caption)
        small = cv2.resize(picture, None, fx=_SHRINK, fy=_SHRINK, interpolation=cv2.INTER_AREA)
        self.pictures.append(np.asarray(small, dtype=np.uint8))
        self.last_of_goal[tick.goal_index] = self.pictures[-1]

    def save(self, folder: Path, period_s: float) -> tuple[Path, Path]:
        """Write ``demo.gif`` (every second tick) and ``demo.png`` (where each goal ended, side by side)."""
        folder.mkdir(parents=True, exist_ok=True)
        gif, strip = (folder / name for name in FILES)
        frames = [Image.fromarray(picture).quantize(96, dither=Image.Dither.NONE) for picture in self.pictures[::2]]
        frames[0].save(
            gif, save_all=True, append_images=frames[1:], duration=round(2e3 * period_s), loop=0, optimize=True
        )
        Image.fromarray(np.hstack(list(self.last_of_goal.values()))).save(strip)
        return gif, strip


@unhurried_output()
def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = CommandParser(
        prog=f"python -m {PROG}",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        result=True,
    )
    parser.add_argument("--policy", metavar="FOLDER|proportional", help="default: params/runtime.yaml")
    parser.add_argument("--out", type=Path, default=OUTPUT, metavar="DIR", help="default: %(default)s")
    options = parser.parse_args(arguments)
    with command_line(PROG, options) as tell:
        for name in FILES:
            require_writable(options.out / name, "--out")
        rig = Rig.load()
        settings = RuntimeParams.load()
        setup = Setup.load(rig, settings.with_horizon(STEPS), policy=options.policy)
        goals = check_goals(GOALS, rig)
        film, quiet = Film(rig, len(goals)), RunOptions(quiet=options.quiet)
        results = run(setup, DeviceNames(), goals, TwinParams.load(), quiet, observers=(film,))
        written = film.save(options.out, 1 / rig.rate_hz) if film.pictures else ()
        files = f"\nwritten: {' and '.join(map(str, written))}" if written else ""
        tell({"goals": rows(results), "written": written}, result_table(results, len(goals)) + files)
    raise SystemExit(exit_code(results))


if __name__ == "__main__":
    main()
