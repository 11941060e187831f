"""The whole runtime for an hour on the twin: what it holds at the end must be what it held at the beginning.

Goals follow one another through the real SDK and librealsense, with recordings that are rotated, while memory, threads
and sockets are looked at every few seconds. Writes metrics.json and soak.png. Exit codes: 0 all verdicts are good,
1 one is not (they are printed), 2 refused, 130 ended by Ctrl-C, which writes nothing.
"""

import argparse
import gc
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from control.task.goals import GoalSampler
from datasets.common.cli import CommandParser, command_line, require_writable, seed
from datasets.common.errors import ConfigError
from datasets.common.files import write_whole
from datasets.rig.rig import Rig
from pipelines.observers.output import unhurried_output
from pipelines.observers.recorder import RunRecorder, require_recordable
from pipelines.runtime.goals import run_goals
from pipelines.runtime.interrupt import stop_on_signals
from pipelines.runtime.stops import StopReason
from pipelines.runtime.tick import Vector
from pipelines.setup.assemble import make_runtime
from pipelines.setup.devices import DeviceNames, open_devices
from pipelines.setup.settings import RuntimeParams
from pipelines.setup.setup import Setup
from pipelines.twin.settings import TwinParams
from soak.process_watch import Holdings, ProcessWatch
from soak.report import Soak, left_behind, metrics, plot_soak
from soak.rotation import RotatingRecorder

PROG = "soak"
OUTPUT = Path("results/soak")
RECORDINGS = Path("runs/soak")
METRICS, PICTURE = "metrics.json", "soak.png"
RADIUS_M = 0.20
GOALS_PER_RECORDING = 5
RECORDINGS_KEPT = 3
EXIT_FAILED = 1
_WARM_UP_STEPS = 10
_MOST_SETTLING_S, _LOOK_AGAIN_S = 10.0, 1.0


def soak(
    setup: Setup, twin: TwinParams, seconds: float, *, seed: int = 0, sample_s: float = 5.0, folder: Path = RECORDINGS
) -> Soak:
    """Run random goals on the twin for ``seconds``, recording to ``folder``.

    A first run of one short goal fills the caches and pools that libraries keep for good; only what comes after it
    counts. After a stop the devices are opened anew, as an operator would.

    Raises:
        DeviceError: the twin does not start. DataError: ``folder`` cannot be written.
        KeyboardInterrupt: Ctrl-C.
    """
    rng, sampler = np.random.default_rng(seed), GoalSampler(setup.rig, setup.fence, RADIUS_M)

    def some_goals(count: int) -> list[Vector]:
        return [np.asarray(sampler.sample(rng), dtype=float) for _ in range(count)]

    start = Holdings.now()
    with tqdm(total=round(seconds), unit="s", desc="soak") as progress:
        short = replace(setup, settings=setup.settings.with_horizon(_WARM_UP_STEPS))
        first = Soak(RotatingRecorder(1), start, start)
        _session(short, twin, iter([some_goals(1)]), folder, first)
        first.recorder.remove()
        before = _at_rest()
        found = Soak(RotatingRecorder(RECORDINGS_KEPT), before, before)
        until = time.monotonic() + seconds

        def portions() -> Iterator[list[Vector]]:
            while (left := until - time.monotonic()) > 0:
                progress.n = round(seconds - left)
                progress.set_postfix_str(f"{found.goals} goals, {len(found.stops)} stopped")
                yield some_goals(GOALS_PER_RECORDING)

        with ProcessWatch(sample_s, found.counts) as watch:
            while time.monotonic() < until:
                _session(setup, twin, portions(), folder, found)
        progress.n = round(seconds)
        progress.refresh()
    found.seen = watch.seen
    found.after = _at_rest(before)
    return found


def _session(setup: Setup, twin: TwinParams, portions: Iterator[list[Vector]], folder: Path, found: Soak) -> None:
    """Portions of goals with the devices open, a recording for each, until there are no more or one was stopped."""
    with (
        open_devices(DeviceNames(), setup, twin) as devices,
        stop_on_signals(devices.arm.stop, keep_nohup=True) as interrupted,
    ):
        runtime = make_runtime(setup, devices, setup.policy, (found.recorder,), interrupted)
        seen = devices.camera.intrinsics
        try:
            for goals in portions:
                about = {"goals": [goal.tolist() for goal in goals], "settings": asdict(setup.settings)}
                found.recorder.rotate(partial(RunRecorder, folder, setup.rig, devices.arm, about, intrinsics=seen))
                overruns = runtime.overruns
                results = run_goals(
                    devices.arm,
                    runtime,
                    goals,
                    home_after=False,
                    interrupted=interrupted,
                    finished=found.recorder.finished,
                    keep_ticks=True,
                )
                found.add(results, runtime.overruns - overruns)
                stop = results[-1].stop
                if stop is not None:
                    if stop.reason is StopReason.OPERATOR:
                        raise KeyboardInterrupt
                    # Now, not at the end of the hour: the recording that tells more is soon rotated away.
                    tqdm.write(f"goal {found.goals} stopped, recorded in {found.recorder.kept[-1]}: {stop}")
                    return
        finally:
            found.recorder.close()


def _at_rest(wanted: Holdings | None = None) -> Holdings:
    """What is held once no more is than ``wanted`` (default: than a moment later), or after a while of waiting."""
    until = time.monotonic() + _MOST_SETTLING_S
    holds = Holdings.now()
    while time.monotonic() < until:
        time.sleep(_LOOK_AGAIN_S)
        gc.collect()
        before, holds = holds, Holdings.now()
        if not (left_behind(wanted, holds) if wanted is not None else left_behind(holds, before)):
            break
    return holds


@unhurried_output()
def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = CommandParser(
        prog=f"python -m {PROG}",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--minutes", type=float, default=60.0, metavar="N", help="how long (default 60)")
    parser.add_argument("--every", type=float, default=5.0, metavar="S", help="seconds between looks (default 5)")
    parser.add_argument("--seed", type=seed, default=0, help="of the goals (default 0)")
    parser.add_argument("--policy", metavar="FOLDER|proportional", help="default: params/runtime.yaml")
    parser.add_argument("--record", type=Path, default=RECORDINGS, metavar="DIR", help="default: %(default)s")
    parser.add_argument("--out", type=Path, default=OUTPUT, metavar="DIR", help="default: %(default)s")
    options = parser.parse_args(arguments)
    with command_line(PROG, options):
        for name in ("minutes", "every"):
            if not 0 < getattr(options, name) < np.inf:
                raise ConfigError(f"--{name} {getattr(options, name)}: give a positive number")
        for name in (METRICS, PICTURE):
            require_writable(options.out / name, "--out")
        require_recordable(options.record)
        setup = Setup.load(Rig.load(), RuntimeParams.load(), policy=options.policy)
        found = soak(
            setup,
            TwinParams.load(),
            60 * options.minutes,
            seed=options.seed,
            sample_s=options.every,
            folder=options.record,
        )
        result = metrics(found, 1 / setup.rig.rate_hz)
        write_whole(options.out / METRICS, json.dumps(result, indent=2) + "\n")
        plot_soak(found, options.out / PICTURE)
    for name, verdict in result["verdicts"].items():
        print(f"{'ok  ' if verdict['good'] else 'FAIL'}  {name:<20} {verdict['found']}")
    raise SystemExit(0 if all(verdict["good"] for verdict in result["verdicts"].values()) else EXIT_FAILED)
