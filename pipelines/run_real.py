"""Reaches goals with an xArm7 that sees nothing but one RGB-D camera, or with the twin of both.

Without --arm and --camera everything runs on the twin: an emulated controller and a software RealSense that the
vendors' own libraries connect to. The arm homes slowly before each goal and moves inside the fence of params/rig.yaml
only. Ctrl-C stops it, and so do Ctrl-Z, Ctrl-\\ and every other signal that would end or suspend the program. A
terminal that is gone stops it too, even under nohup; there the twin continues. Exit codes: 0 all goals were run, 2
refused before anything moved, 3 stopped by a safety check (the reason is printed), 130 stopped by the operator (one of
these signals, a terminal that is gone, or an answer other than Enter at --step).
"""

import argparse
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np

from control.arms.fence import Fence
from control.arms.params import ArmParams
from control.arms.site import SiteParams
from control.arms.xarm.link import logger as arm_log
from control.task.goal_check import REACH_MARGIN_M, check_goals, reach_margin
from control.task.goals import GoalSampler
from datasets.arm.kinematics import Kinematics
from datasets.common.cli import EXIT_INTERRUPTED, CommandParser, command_line, require_writable, seed
from datasets.common.errors import ConfigError, SafetyStop
from datasets.rig.rig import RIG_PATH, Rig
from pipelines.observers.console import result_table, rows, stop_words
from pipelines.observers.loop_times import LoopTimes
from pipelines.observers.output import unhurried_output
from pipelines.runtime.stops import StopReason
from pipelines.runtime.tick import GoalResult, Vector
from pipelines.setup.assemble import RunOptions, run
from pipelines.setup.check import check, require_all
from pipelines.setup.devices import NO_ARM, TWIN, DeviceNames
from pipelines.setup.moved import add_site
from pipelines.setup.settings import RUNTIME_PATH, RuntimeParams
from pipelines.setup.setup import Setup, make_fence, require_ways
from pipelines.twin.faults import FAULT_NAMES, PlannedFault
from pipelines.twin.settings import TWIN_PATH, TwinParams

PROG = "pipelines.run_real"
SITE_PICTURE = Path("runs/site.png")
EXIT_STOPPED = 3


def parser() -> CommandParser:
    """Create the parser of the command line's options."""
    options = CommandParser(
        prog=f"python -m {PROG}",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        result=True,
        epilog="faults of the twin: " + ", ".join(FAULT_NAMES),
    )
    devices = options.add_argument_group("devices")
    devices.add_argument("--arm", metavar="IP|twin", help="the controller's address")
    devices.add_argument(
        "--camera",
        metavar="realsense[:SERIAL]|twin|FILE",
        help="a RealSense D400, a .db3 file or a recorded run; with --shadow no arm is needed",
    )
    devices.add_argument(
        "--calibration",
        metavar="FILE",
        help="where the camera was measured to stand (see pipelines.calibrate); a recorded run knows its own, and the "
        "site file that of your real one",
    )
    goals = options.add_argument_group("goals")
    goals.add_argument(
        "--goal", nargs=3, type=float, action="append", metavar=("X", "Y", "Z"), help="base frame, metres; repeatable"
    )
    goals.add_argument("--random", type=int, metavar="N", help="N reachable goals within --radius of home")
    goals.add_argument("--radius", type=float, default=0.20, metavar="M", help="of the random goals (default 0.20 m)")
    goals.add_argument("--seed", type=seed, default=0, help="of the random goals (default 0)")
    careful = options.add_argument_group("ways to begin")
    careful.add_argument(
        "--check",
        nargs="?",
        const=str(SITE_PICTURE),
        metavar="FILE.png",
        help=f"look at every part of the set-up, draw the site ({SITE_PICTURE}), move nothing, and end",
    )
    careful.add_argument("--shadow", action="store_true", help="run everything, move nothing, show would-be commands")
    careful.add_argument("--step", action="store_true", help="ask (Enter) before every command")
    careful.add_argument("--max-speed", type=float, metavar="M/S", help="lower the rig's speed limit")
    add_consents(careful)
    careful.add_argument("--yes", action="store_true", help="a real arm moves without asking first")
    what = options.add_argument_group("what runs")
    what.add_argument(
        "--policy",
        metavar="FOLDER|proportional",
        help="proportional, or p: the proportional controller (default: params/runtime.yaml)",
    )
    what.add_argument("--estimator", metavar="FOLDER", help="default: params/runtime.yaml")
    what.add_argument("--record", type=Path, metavar="DIR", help="write frames, estimates, commands and events there")
    what.add_argument(
        "--live",
        nargs="?",
        const="",
        metavar="FILE.rrd",
        help="show the run in Rerun's viewer, or write it for the viewer (needs the extra 'live')",
    )
    what.add_argument(
        "--fault", action="append", default=[], metavar="NAME@SECONDS", help="let the twin fail; repeatable"
    )
    files = options.add_argument_group("parameter files")
    files.add_argument("--rig", default=RIG_PATH, metavar="FILE")
    files.add_argument("--runtime", default=RUNTIME_PATH, metavar="FILE")
    add_site(files)
    files.add_argument("--twin", default=TWIN_PATH, metavar="FILE")
    return options


def choose_goals(options: argparse.Namespace, names: DeviceNames, rig: Rig, fence: Fence) -> list[Vector]:
    """The goals asked for, after a check that all are reachable.

    Raises:
        ConfigError: no goal was given for a real arm, or a goal lies outside the workspace.
        ReachError: a goal cannot be reached with the tool pointing down, or lies near the edge of reach.
    """
    goals = check_goals(options.goal or [], rig)
    count = options.random
    if count is None:
        count = 0 if goals or not names.is_twin else 1
    if count < 0:
        raise ConfigError(f"--random {count}: give a positive number of goals")
    if not 0 < options.radius <= 1:
        raise ConfigError(f"--radius {options.radius}: give metres, in (0, 1]")
    rng = np.random.default_rng(options.seed)
    sampler, asked = GoalSampler(rig, fence, options.radius) if count else None, len(goals)
    kinematics = Kinematics(rig.tool.tcp_offset_m)
    while sampler and len(goals) < asked + count:
        goal = np.asarray(sampler.sample(rng), dtype=float)
        if reach_margin(kinematics, goal, rig) >= REACH_MARGIN_M:
            goals.append(goal)
    if not goals:
        raise ConfigError("no goal: a real arm does not start without one; give --goal X Y Z or --random N")
    return goals


@unhurried_output()
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = parser().parse_args(arguments)
    with unconfirmed_stops_told_last(PROG), command_line(PROG, options) as tell:
        names = DeviceNames.of(
            options.camera,
            options.arm,
            options.shadow or options.check is not None,
            take_over_of(options),
            options.reports_are_commands,
        )
        if options.check is not None:
            require_writable(options.check, "--check")
        settings = RuntimeParams.load(options.runtime)
        site = SiteParams.load(options.site)
        rig = site.mounted(Rig.load(options.rig))
        twin = TwinParams.load(options.twin)
        faults = tuple(PlannedFault.parse(text) for text in options.fault)
        if faults and not names.is_twin:
            raise ConfigError("--fault: only the twin fails on demand; leave out --arm and --camera")
        here = site.rig(rig)
        goals = (
            []
            if options.check is not None
            else choose_goals(options, names, here, make_fence(here, ArmParams.load(), options.max_speed))
        )
        setup = Setup.load(
            rig,
            settings,
            estimator=options.estimator,
            policy=options.policy,
            calibration=options.calibration or names.known_calibration(rig, site),
            max_speed_m_s=options.max_speed,
            site=site,
        )
        if options.step and setup.arm.mode == "velocity":
            raise ConfigError(
                "--step: in mode velocity (5) the arm goes on after the step that was agreed to; set mode: online_line "
                "in params/arm.yaml"
            )
        if names.is_live:
            setup = setup.with_measured_latency()
        if options.check is not None:
            from pipelines.observers.site_picture import draw_site  # late, for a quick --help

            draw_site(setup.clearance_as_driven, setup.fence, Path(options.check))
            print(f"the site is drawn in {options.check}")
            verdicts = []
            for verdict in check(setup, names, twin):
                print(verdict, flush=True)
                verdicts.append(verdict)
            if options.json:
                tell([asdict(verdict) for verdict in verdicts], "")
            require_all(verdicts)
            return
        require_ways(setup, goals)
        if not names.is_twin and not options.shadow and not options.yes:
            ask_operator(options.arm, goals)
        times = LoopTimes(1 / rig.rate_hz)
        results = run(
            setup,
            names,
            goals,
            twin,
            RunOptions(
                step=options.step,
                quiet=options.quiet,
                faults=faults,
                record=options.record,
                live=options.live is not None,
                live_file=options.live or None,
            ),
            (times,),
        )
        result = {"goals": rows(results), "asked": len(goals), "loop": str(times)}
        tell(result, f"{result_table(results, len(goals))}\n{times}")
        raise SystemExit(exit_code(results, moved=names.arm != NO_ARM and not names.shadow))


@contextmanager
def unconfirmed_stops_told_last(prog: str) -> Iterator[None]:
    """Print what the arm's driver logged as errors once more where the operator looks, and end with no exit code of 0.

    Such an error is a stop that no controller confirmed. The context of a command's whole work.
    """
    errors: list[str] = []

    def keep(record: logging.LogRecord) -> bool:
        if record.levelno >= logging.ERROR:
            errors.append(record.getMessage())
        return True

    arm_log.addFilter(keep)
    try:
        yield
        if errors:
            raise SystemExit(EXIT_STOPPED)
    except SystemExit as end:
        if end.code or not errors:
            raise
        raise SystemExit(EXIT_STOPPED) from end
    finally:
        arm_log.removeFilter(keep)
        for error in dict.fromkeys(errors):
            print(f"{prog}: {error}", file=sys.stderr)


def add_consents(options: "argparse._ArgumentGroup | argparse.ArgumentParser") -> None:
    """Add the options by which an operator agrees to conditions for which a real arm is otherwise refused."""
    options.add_argument(
        "--take-over",
        action="store_true",
        help="take an arm over that manual mode, another program or a killed run holds, after showing what was found "
        "and asking, even with --yes",
    )
    options.add_argument(
        "--reports-are-commands",
        action="store_true",
        help="accept firmware before 2.4.0, which reports where it sends the arm (see docs/first_day.md)",
    )


def names_of_moved_arm(options: argparse.Namespace) -> DeviceNames:
    """The camera and arm of a command that moves the arm about and looks at it.

    Raises:
        ConfigError: a real camera without an arm.
    """
    if options.arm is None and options.camera not in (None, TWIN):
        raise ConfigError(f"--camera {options.camera} without --arm: it is the arm that is moved about; name --arm IP")
    return DeviceNames.of(
        options.camera,
        options.arm,
        take_over=take_over_of(options),
        reports_are_commands=options.reports_are_commands,
    )


def take_over_of(options: argparse.Namespace) -> bool | Callable[[str], bool]:
    """Whether a held arm may be taken over: only after the question, whatever ``--yes`` answers beforehand."""
    return agrees_to_take_over if options.take_over else False


def agrees_to_take_over(found: str) -> bool:
    """Show the operator who holds the arm; returns whether the operator types yes."""
    return _says_yes(
        f"The arm is held: {found}. Is nobody's hand on it, and no other program driving it? Take it over?"
    )


def _says_yes(question: str) -> bool:
    print(question, file=sys.stderr, flush=True)
    try:
        return input("Type yes to begin: ").strip().lower() == "yes"
    except EOFError:
        return False


def ask_operator(arm: str, goals: Sequence[Vector]) -> None:
    """Continue only after the operator has typed yes; raises SafetyStop otherwise."""
    if not _says_yes(
        f"The arm at {arm} will home and move to {len(goals)} goal(s). Emergency stop at hand, nobody within reach?"
    ):
        raise SafetyStop("the operator did not agree; nothing was connected (use --yes to begin without asking)")


def exit_code(results: Sequence[GoalResult], moved: bool = True, prog: str = PROG) -> int:
    """Print why the last goal was stopped, if it was; returns the exit code.

    Args:
        moved: there was an arm to stop.
        prog: the program's name, printed before the reason.
    """
    stop = results[-1].stop if results else None
    if stop is None or stop.reason is StopReason.RECORDING_ENDED:
        return 0
    print(f"{prog}: stopped: {stop}" + (f"; {stop_words(results[-1])}" if moved else ""), file=sys.stderr)
    return EXIT_INTERRUPTED if stop.reason is StopReason.OPERATOR else EXIT_STOPPED


if __name__ == "__main__":
    main()
