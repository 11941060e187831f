"""What an endurance run saw and what it amounts to: figures, verdicts, and one picture."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import theilslopes

from pipelines.runtime.tick import GoalResult
from soak.process_watch import Holdings
from soak.rotation import RotatingRecorder

MOST_GROWTH_MB = 30.0
"""Over the whole run, by the slope of memory; a frame kept by mistake at every tick would be 55 000 MB in an hour."""
MOST_OVERRUNS = 0.02
_SETTLED_SHARE = 0.2
"""The first part of the samples is left out of the slope: buffers of bounded length fill up."""


@dataclass
class Soak:
    """What an endurance run saw; ticks are kept as numbers only, so that what is measured is not our own collecting.

    Attributes:
        recorder: of its runs.
        before, after: what the process held with all devices closed, after a first short run and at the end.
        seen: what it held meanwhile.
        ticks: rows of time (``time.monotonic``), age of the frame, frame to command, due to done: s.
        residuals_m: of the goals that were not stopped.
        stops: in words, of those that were.
    """

    recorder: RotatingRecorder
    before: Holdings
    after: Holdings
    seen: list[Holdings] = field(default_factory=list)
    ticks: list[tuple[float, float, float, float]] = field(default_factory=list)
    residuals_m: list[float] = field(default_factory=list)
    stops: list[str] = field(default_factory=list)
    goals: int = 0
    held: int = 0
    overruns: int = 0

    def add(self, results: Sequence[GoalResult], overruns: int) -> None:
        """Take the figures of some goals, and let go of the goals themselves."""
        self.overruns += overruns
        for result in results:
            self.goals += 1
            if result.stop is None:
                self.residuals_m.append(result.residual_m)
            else:
                self.stops.append(str(result.stop))
            for tick in result.ticks:
                self.held += tick.held
                if not tick.held:
                    timing = tick.timing
                    self.ticks.append((tick.time_s, timing.age, timing.reaction, timing.busy))

    def counts(self) -> dict[str, float]:
        """For the watch: how far it has come."""
        return {"goals": self.goals, "overruns": self.overruns, "stops": len(self.stops)}


def left_behind(before: Holdings, after: Holdings) -> list[str]:
    """What the process holds more of, in words; threads by their names."""
    extra = Counter(after.thread_names) - Counter(before.thread_names)
    left = [f"thread {name!r}" for name in sorted(extra.elements())]
    if not extra and after.threads > before.threads:
        left.append(f"{after.threads - before.threads} native threads")
    left += [f"{after.sockets - before.sockets} sockets"] if after.sockets > before.sockets else []
    return left + ([f"{after.files - before.files} files"] if after.files > before.files else [])


def memory_slope_mb_s(seen: list[Holdings]) -> float:
    """Theil-Sen slope of the resident memory, without the run's first fifth; 0 with fewer than three samples.

    It means something after some minutes; over seconds it is the pace at which recordings wait to be written.
    """
    settled = seen[int(_SETTLED_SHARE * len(seen)) :]
    if len(settled) < 3:
        return 0.0
    return float(theilslopes([each.memory_mb for each in settled], [each.time_s for each in settled]).slope)


def metrics(found: Soak, period_s: float) -> dict:
    """``results/soak/metrics.json``: memory in MB (1e6 bytes), times in ms, distances in mm; every verdict in words."""
    seen, before, after, recorder = found.seen, found.before, found.after, found.recorder
    lasted_s = seen[-1].time_s - seen[0].time_s
    slope = memory_slope_mb_s(seen)
    ticks = np.array(found.ticks).reshape(-1, 4)
    overruns = found.overruns / max(len(ticks) + found.held, 1)
    residuals = 1e3 * np.array(found.residuals_m)
    left = left_behind(before, after)
    size_mb = sum(file.stat().st_size for path in recorder.kept for file in path.rglob("*") if file.is_file()) / 1e6
    growth = slope * lasted_s
    return {
        "minutes": round(lasted_s / 60, 2),
        "samples": len(seen),
        "goals": found.goals,
        "ticks": len(ticks) + found.held,
        "held": found.held,
        "stops": found.stops,
        "residual_median_mm": None if not len(residuals) else round(float(np.median(residuals)), 3),
        "overruns": found.overruns,
        "overrun_fraction": round(overruns, 4),
        "timings": {
            name: {f"p{q}_ms": round(1e3 * float(np.percentile(ticks[:, column], q)), 2) for q in (50, 99, 100)}
            for column, name in enumerate(("frame_age", "frame_to_command", "tick"), start=1)
            if len(ticks)
        },
        "period_ms": round(1e3 * period_s, 1),
        "memory": {
            "before_mb": round(before.memory_mb, 1),
            "after_mb": round(after.memory_mb, 1),
            "peak_mb": round(max(each.memory_mb for each in seen), 1),
            "slope_mb_per_hour": round(3600 * slope, 2),
            "growth_mb": round(growth, 2),
        },
        "threads": _before_peak_after("threads", before, seen, after),
        "sockets": _before_peak_after("sockets", before, seen, after),
        "files": _before_peak_after("files", before, seen, after),
        "recordings": {
            "made": recorder.made,
            "kept": len(recorder.kept),
            "kept_mb": round(size_mb, 1),
            "steps_not_recorded": recorder.dropped,
        },
        "verdicts": {
            "memory flat": _verdict(
                growth <= MOST_GROWTH_MB, f"{growth:+.1f} MB over the run, at most {MOST_GROWTH_MB:g} MB"
            ),
            "nothing left behind": _verdict(not left, ", ".join(left) or "threads, sockets and files as before"),
            "recording rotated": _verdict(
                recorder.made == len(recorder.kept) + recorder.removed and recorder.dropped == 0,
                f"{recorder.made} made, {len(recorder.kept)} kept, {recorder.dropped} steps not recorded",
            ),
            "nothing stopped": _verdict(not found.stops, f"{len(found.stops)} of {found.goals} goals"),
            "loop on time": _verdict(
                overruns <= MOST_OVERRUNS,
                f"{100 * overruns:.2f} % of ticks late, at most {100 * MOST_OVERRUNS:g} %",
            ),
        },
    }


def plot_soak(found: Soak, path: Path) -> None:
    """Memory, threads and sockets, and latencies over time, as PNG."""
    figure, (memory, held, latency) = plt.subplots(3, 1, figsize=(9, 8), sharex=True, layout="constrained")
    start_s = found.seen[0].time_s
    minutes = [(each.time_s - start_s) / 60 for each in found.seen]
    memory.plot(minutes, [each.memory_mb for each in found.seen], "#0072b2")
    memory.set(ylabel="resident memory (MB)", ylim=(0, None))
    for name, colour in (("threads", "#0072b2"), ("sockets", "#d55e00"), ("files", "#009e73")):
        held.plot(minutes, [getattr(each, name) for each in found.seen], colour, label=name)
        held.axhline(getattr(found.before, name), color=colour, lw=0.8, ls=":")
    held.set(ylabel="held open (dotted: before)", ylim=(0, None))
    held.legend(loc="center right")
    ticks = np.array(found.ticks).reshape(-1, 4)
    bins = np.array_split(np.arange(len(ticks)), max(1, min(120, len(ticks) // 100)))
    for column, name, colour in ((2, "frame to command", "#0072b2"), (3, "tick", "#d55e00")):
        for quantile, style in ((50, "-"), (99, "--")):
            latency.plot(
                [(np.mean(ticks[each, 0]) - start_s) / 60 for each in bins if len(each)],
                [1e3 * np.percentile(ticks[each, column], quantile) for each in bins if len(each)],
                colour,
                ls=style,
                label=f"{name}, p{quantile}",
            )
    latency.set(xlabel="time (min)", ylabel="ms", ylim=(0, None))
    latency.legend(loc="upper right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def _before_peak_after(name: str, before: Holdings, seen: list[Holdings], after: Holdings) -> dict[str, int]:
    return {
        "before": getattr(before, name),
        "peak": max(getattr(each, name) for each in seen),
        "after": getattr(after, name),
    }


def _verdict(good: bool, found: str) -> dict[str, bool | str]:
    return {"good": bool(good), "found": found}
