"""The whole runtime over seeded goals on the twin, through the real SDK and librealsense: the dress rehearsal.

Writes metrics.json (distances in mm, times in ms) and trajectories.png. Every goal runs its full horizon, so settling
counts, and its residual is measured by the encoders once the arm is at rest. With cameras to be drawn, all goals are
run with each of them, and metrics.json holds the same figures for each camera under "cameras".
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from tqdm import tqdm

from control.arms.site import SiteParams
from control.policies.policy import Policy
from control.task.goals import GoalSampler
from datasets.common.cli import CommandParser, command_line, require_writable
from datasets.common.config import Checked, Within, load_params
from datasets.common.errors import ConfigError, SafetyStop
from datasets.common.files import write_whole
from datasets.rig.rig import Rig
from pipelines.observers.output import unhurried_output
from pipelines.rehearse.cameras import draw_cameras
from pipelines.rehearse.scores import contributions, outside_fence, scores, timings
from pipelines.runtime.goals import run_goals
from pipelines.runtime.interrupt import stop_on_signals
from pipelines.runtime.stops import StopReason
from pipelines.runtime.tick import GoalResult, Vector
from pipelines.setup.assemble import make_runtime
from pipelines.setup.devices import DeviceNames, Devices, open_devices
from pipelines.setup.settings import RuntimeParams
from pipelines.setup.setup import PROPORTIONAL, Setup, make_policy, require_ways
from pipelines.twin.settings import TWIN_PATH, TwinParams

PROG = "pipelines.rehearse"
REHEARSAL_PATH = Path("params/rehearsal.yaml")
METRICS, PICTURE = "metrics.json", "trajectories.png"


@dataclass(frozen=True)
class RehearsalParams(Checked):
    """The choice of goals to rehearse; each value is explained in ``params/rehearsal.yaml``."""

    goals: Annotated[int, Within(1)]
    seed: Annotated[int, Within(0)]
    radius_m: Annotated[float, Within(0, 1, "m", above=True)]
    homing_speed_m_s: Annotated[float, Within(0, 1, "m/s", above=True)]
    baseline_goals: Annotated[int, Within(0)]
    output: str
    cameras: Annotated[int, Within(0)] = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.baseline_goals > self.goals:
            raise ConfigError(
                f"baseline_goals ({self.baseline_goals}) are the first of the goals, of which there are {self.goals}"
            )


@dataclass(frozen=True)
class Rehearsal:
    """The runs of a rehearsal: results by policy, how many ticks overran, and when the twin's controller stalled."""

    runs: dict[str, list[GoalResult]]
    overruns: dict[str, int]
    stalls_s: dict[str, list[tuple[float, float]]]


def rehearse(setup: Setup, goals: Sequence[Vector], baseline_goals: int, twin: TwinParams) -> Rehearsal:
    """Run the goals with the set-up's policy, then the first of them with the proportional controller.

    Each goal has its own scene and its own calibration error, the same for every policy. After a stop the devices are
    opened anew, as an operator would do, and the next goal is begun.

    Raises:
        DeviceError: the twin does not start.
        KeyboardInterrupt: after Ctrl-C has stopped the arm.
    """
    plans: list[tuple[str, Policy, Sequence[Vector]]] = [("default", setup.policy, goals)]
    if baseline_goals:
        proportional = make_policy(PROPORTIONAL, setup.rig, setup.settings)
        plans.append(("proportional", proportional, goals[:baseline_goals]))
    runs, overruns = {}, {}
    stalls_s: dict[str, list[tuple[float, float]]] = {}
    with tqdm(total=sum(len(each) for _, _, each in plans), unit="goal", desc="rehearsal") as progress:

        def tell(result: GoalResult) -> None:
            progress.update()
            progress.set_postfix_str(f"{result.residual_m * 1e3:.1f} mm" if result.stop is None else str(result.stop))

        for name, policy, each in plans:
            results: list[GoalResult] = []
            overruns[name], stalls_s[name] = 0, []
            while len(results) < len(each):
                with (
                    open_devices(DeviceNames(), setup, twin) as devices,
                    stop_on_signals(devices.arm.stop, keep_nohup=True) as over,
                ):
                    runtime = make_runtime(setup, devices, policy, (), over)
                    results += run_goals(
                        devices.arm,
                        runtime,
                        each[len(results) :],
                        home_after=False,
                        interrupted=over,
                        before=_scene_drawer(devices, twin.seed + len(results)),
                        finished=tell,
                        keep_ticks=True,
                    )
                    overruns[name] += runtime.overruns
                    if devices.twin is not None:
                        stalls_s[name] += devices.twin.controller.faults.stalls_s
                stop = results[-1].stop
                if stop is not None and stop.reason is StopReason.OPERATOR:
                    raise KeyboardInterrupt
            runs[name] = results
    return Rehearsal(runs, overruns, stalls_s)


def rehearse_cameras(
    setup: Setup, goals: Sequence[Vector], settings: RehearsalParams, twin: TwinParams
) -> tuple[Rehearsal, dict[str, Any]]:
    """Run all goals with each camera drawn from the estimator's envelope; returns all runs, and ``cameras`` one by one.

    The given pose of each camera differs from its true one by the error in ``twin``, as much as a calibration leaves.

    Raises:
        ConfigError: no camera of the envelope sees all goals.
        DeviceError: the twin does not start.
    """
    middle, runs = np.mean(goals, axis=0), []
    told: list[dict[str, Any]] = []
    for camera in draw_cameras(setup, settings.cameras, goals, settings.seed):
        placed, films = camera.placed(setup, twin)
        runs.append(rehearse(placed, goals, settings.baseline_goals, films))
        stops = [str(result.stop) for result in runs[-1].runs["default"] if result.stop is not None]
        told.append({**camera.described(middle), "default": scores(runs[-1].runs["default"]), "stops": stops})
    names = list(runs[0].runs)
    return Rehearsal(
        {name: [result for each in runs for result in each.runs[name]] for name in names},
        {name: sum(each.overruns[name] for each in runs) for name in names},
        {name: [stall for each in runs for stall in each.stalls_s[name]] for name in names},
    ), {"cameras": told}


def without_refused(setup: Setup, goals: Sequence[Vector]) -> tuple[list[Vector], list[str]]:
    """The goals that the arm may reach from home at this site, and the reasons why the others are refused."""
    clear, refused = [], []
    for goal in goals:
        try:
            require_ways(setup, [goal])
        except SafetyStop as reason:
            refused.append(f"{np.round(goal, 3).tolist()} m: {reason}")
        else:
            clear.append(goal)
    return clear, refused


def _scene_drawer(devices: Devices, seed: int) -> Callable[[int], None]:
    """Create a function that gives goal ``index`` the scene of ``seed + index``."""

    def draw(index: int) -> None:
        if devices.twin is not None:
            devices.twin.world.draw(seed + index)

    return draw


def metrics(rehearsal: Rehearsal, setup: Setup, refused: list[str], seed: int, seconds: float) -> dict:
    """The documented keys of metrics.json; see the README."""
    ticks = {name: sum(result.steps for result in each) for name, each in rehearsal.runs.items()}
    stops = [str(result.stop) for result in rehearsal.runs["default"] if result.stop is not None]
    return {
        "default": scores(rehearsal.runs["default"]),
        "baselines": {name: scores(each) for name, each in rehearsal.runs.items() if name != "default"},
        "residual_parts_mm": {name: contributions(each) for name, each in rehearsal.runs.items()},
        "outside_fence": sum(outside_fence(each, setup.fence) for each in rehearsal.runs.values()),
        "overruns": rehearsal.overruns["default"],
        "overrun_fraction": round(rehearsal.overruns["default"] / max(ticks["default"], 1), 4),
        "ticks": ticks["default"],
        "held": sum(tick.held for result in rehearsal.runs["default"] for tick in result.ticks),
        "timings": timings(rehearsal.runs["default"], rehearsal.stalls_s["default"]),
        "stops": stops,
        "refused": refused,
        "seed": seed,
        "seconds": round(seconds, 1),
    }


@unhurried_output()
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = CommandParser(
        prog=f"python -m {PROG}",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        result=True,
    )
    parser.add_argument("--config", default=REHEARSAL_PATH, metavar="FILE", help="default: %(default)s")
    parser.add_argument("--policy", metavar="FOLDER|proportional", help="default: params/runtime.yaml")
    parser.add_argument("--estimator", metavar="FOLDER", help="default: params/runtime.yaml")
    parser.add_argument("--goals", type=int, metavar="N", help="fewer or more goals than the file says")
    parser.add_argument("--twin", default=TWIN_PATH, metavar="FILE", help="another twin (default: %(default)s)")
    parser.add_argument(
        "--site",
        metavar="FILE",
        help="what is true of your laboratory, its camera's delay and noise included (default: an empty one)",
    )
    parser.add_argument("--out", metavar="DIR", help="default: the file's output")
    options = parser.parse_args(arguments)
    with command_line(PROG, options) as tell:
        settings = load_params(options.config, RehearsalParams)
        if options.goals is not None:
            settings = replace(
                settings, goals=options.goals, baseline_goals=min(settings.baseline_goals, options.goals)
            )
        output = Path(options.out or settings.output)
        for name in (METRICS, PICTURE):
            require_writable(output / name, "--out")
        rig = Rig.load()
        site = SiteParams() if options.site is None else SiteParams.load(options.site)
        setup = Setup.load(rig, RuntimeParams.load(), estimator=options.estimator, policy=options.policy, site=site)
        rig = setup.rig
        setup = replace(setup, arm=replace(setup.arm, slow_speed_m_s=settings.homing_speed_m_s))
        sampler, rng = GoalSampler(rig, setup.fence, settings.radius_m), np.random.default_rng(settings.seed)
        goals = [np.asarray(sampler.sample(rng), dtype=float) for _ in range(settings.goals)]
        goals, refused = without_refused(setup, goals)
        if not goals:
            raise SafetyStop(f"every goal is refused in this site, the last one: {refused[-1]}")
        began, twin = time.monotonic(), TwinParams.load(options.twin).at_site(site)
        if settings.cameras:
            rehearsal, cameras = rehearse_cameras(setup, goals, settings, twin)
        else:
            rehearsal, cameras = rehearse(setup, goals, settings.baseline_goals, twin), {}
        found = metrics(rehearsal, setup, refused, settings.seed, time.monotonic() - began) | cameras
        write_whole(output / METRICS, json.dumps(found, indent=2) + "\n")
        from pipelines.rehearse.plots import plot_rehearsal  # late, for a quick --help

        plot_rehearsal(rehearsal.runs, 1 / rig.rate_hz, output / PICTURE)
        shown = {name: found[name] for name in ("default", "baselines", "cameras") if name in found}
    tell(found, json.dumps(shown, indent=2))


if __name__ == "__main__":
    main()
