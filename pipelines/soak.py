"""The runtime for a long time on the twin: does it keep its rate, its memory, its threads and its files?

Runs session after session (connect, some goals, disconnect), each recorded; only the newest recordings are kept.
Memory, threads and files are looked at between the sessions, when nothing is connected.
"""

import argparse
import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from control.goals import GoalSampler
from datasets.config import command_line
from datasets.errors import ConfigError
from datasets.rig import Rig
from pipelines.devices import DeviceNames
from pipelines.run import RunOptions, run
from pipelines.scores import outside_fence, scores, timings
from pipelines.settings import RuntimeSettings
from pipelines.setup import Setup
from pipelines.stops import StopReason
from pipelines.tick import GoalResult
from pipelines.twin.settings import TWIN_PATH, TwinSettings
from pipelines.vitals import Vitals, python_threads

PROG = "pipelines.soak"
GOALS_PER_SESSION = 5
KEPT_RECORDINGS = 2
OUTPUT = Path("results/soak")
RECORDINGS = Path("runs/soak")
_RADIUS_M = 0.20


def soak(setup: Setup, twin: TwinSettings, minutes: float, recordings: Path, seed: int) -> dict:
    """Run until the time is up; what was seen, as plain values."""
    sampler, rng = GoalSampler(setup.rig, setup.fence, _RADIUS_M), np.random.default_rng(seed)
    results: list[GoalResult] = []
    vitals: list[Vitals] = []
    began = time.monotonic()
    with tqdm(
        total=round(minutes, 1), unit="min", desc="soak", bar_format="{l_bar}{bar}| {n:.1f}/{total} min{postfix}"
    ) as bar:
        while (elapsed := (time.monotonic() - began) / 60) < minutes:
            goals = [np.asarray(sampler.sample(rng), dtype=float) for _ in range(GOALS_PER_SESSION)]
            options = RunOptions(record=recordings, quiet=True)
            results += run(setup, DeviceNames(), goals, twin, options)
            if results[-1].stop is not None and results[-1].stop.reason is StopReason.OPERATOR:
                break
            _rotate(recordings)
            vitals.append(Vitals.now())
            bar.update(round((time.monotonic() - began) / 60 - elapsed, 2))
            bar.set_postfix_str(f"{len(results)} goals, {vitals[-1].memory_mb:.0f} MB, {vitals[-1].threads} threads")
    ticks = [tick for result in results for tick in result.ticks]
    late = sum(tick.timing.busy > 1 / setup.rig.rate_hz for tick in ticks)
    return {
        "minutes": round((time.monotonic() - began) / 60, 1),
        "sessions": len(vitals),
        "goals": scores(results),
        "outside_fence": outside_fence(results, setup.fence),
        "ticks": len(ticks),
        "overruns": late,
        "timings": timings(results),
        "first": vitals[0].to_json() if vitals else None,
        "last": vitals[-1].to_json() if vitals else None,
        "memory_growth_mb_per_hour": _growth(vitals, (time.monotonic() - began) / 3600),
        "stops": [str(result.stop) for result in results if result.stop is not None],
        "threads_left": python_threads(),
        "seed": seed,
    }


def _rotate(recordings: Path) -> None:
    """Keep the newest recordings only; their names are times, so they sort."""
    for old in sorted(path for path in recordings.iterdir() if path.is_dir())[:-KEPT_RECORDINGS]:
        shutil.rmtree(old)


def _growth(vitals: Sequence[Vitals], hours: float) -> float | None:
    """Slope of memory over the second half, MB/h: the first half warms caches up."""
    half = [each.memory_mb for each in vitals[len(vitals) // 2 :]]
    if len(half) < 3:
        return None
    spacing = hours / len(vitals)
    return round(float(np.polyfit(np.arange(len(half)) * spacing, half, 1)[0]), 1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {PROG}", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60.0, metavar="M", help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of the goals (default 0)")
    parser.add_argument("--twin", default=TWIN_PATH, metavar="FILE", help="default: %(default)s")
    parser.add_argument(
        "--out", type=Path, default=OUTPUT, metavar="DIR", help="of metrics.json (default: %(default)s)"
    )
    parser.add_argument("--recordings", type=Path, default=RECORDINGS, metavar="DIR", help="default: %(default)s")
    options = parser.parse_args(arguments)
    with command_line(PROG):
        if not 0 < options.minutes < 1e5:
            raise ConfigError(f"--minutes {options.minutes}: give a positive number")
        setup = Setup.load(Rig.load(), RuntimeSettings.load())
        found = soak(setup, TwinSettings.load(options.twin), options.minutes, options.recordings, options.seed)
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "metrics.json").write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps({key: found[key] for key in ("minutes", "goals", "first", "last", "overruns", "ticks")}, indent=2))


if __name__ == "__main__":
    main()
