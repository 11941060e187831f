"""The scores of a set of goals: the documented keys of ``results/rehearsal/metrics.json``, in mm and ms."""

from collections.abc import Sequence

import numpy as np

from control.arms.fence import Fence
from control.task.episodes import SUCCESS_MM
from pipelines.runtime.tick import GoalResult, Tick

FENCE_TOLERANCE_M = 1e-3
"""How far beyond a face of the fence an arm that brakes there may be seen."""


def scores(results: Sequence[GoalResult]) -> dict[str, float | None]:
    """Shares of goals reached and quantiles of the final distance, by the encoders.

    A goal that was stopped is not reached, however near; its distance is that of the place where it was stopped, and is
    left out if the arm no longer reported that place.
    """
    distance_mm = 1e3 * np.array([np.linalg.norm(result.final_tcp - result.goal) for result in results])
    distance_mm = distance_mm[np.isfinite(distance_mm)] if np.isfinite(distance_mm).any() else np.array([np.inf])
    reached_mm = 1e3 * np.array([result.residual_m for result in results])
    found: dict[str, float | None] = {"n": len(results)}
    found |= {f"success_{limit}mm": round(float(np.mean(reached_mm <= limit)), 4) for limit in SUCCESS_MM}
    return found | {
        "median_mm": _rounded(np.median(distance_mm)),
        "mean_mm": _rounded(np.mean(distance_mm)),
        "p95_mm": _rounded(np.percentile(distance_mm, 95)),
        "worst_mm": _rounded(np.max(distance_mm)),
        "stopped": sum(result.stop is not None for result in results),
    }


def contributions(results: Sequence[GoalResult]) -> dict[str, float | None]:
    """Medians, mm, of the parts of the distance between TCP and goal at the end.

    ``perception``: the last estimate's distance from the encoders' TCP at that frame; ``control``: its distance from
    the goal; ``arm``: the arm's distance from its own last target.
    """
    parts: dict[str, list[float]] = {"perception": [], "control": [], "arm": []}
    for result in results:
        last = result.last_seen
        if result.stop is None and result.final_target is not None and last is not None:
            parts["perception"].append(float(np.linalg.norm(last.estimate - last.tcp_at_frame)))
            parts["control"].append(last.error_m)
            parts["arm"].append(float(np.linalg.norm(result.final_tcp - result.final_target)))
    return {name: _rounded(1e3 * np.median(values)) for name, values in parts.items() if values}


def timings(
    results: Sequence[GoalResult], stalls_s: Sequence[tuple[float, float]] = ()
) -> dict[str, dict[str, float | None]]:
    """p50, p99 and largest value of each part of the ticks' time, ms; see :class:`.Timing`. Needs the ticks.

    :param stalls_s: when the twin's controller was made not to reply, ``time.monotonic``; the reaction is also given
        without the ticks during which this happened
    """
    ticks = [tick for result in results for tick in _seen(result.ticks)]
    if not ticks:
        return {}
    kinds = {
        "frame_age": [tick.timing.age for tick in ticks],
        "estimate": [tick.timing.estimate for tick in ticks],
        "frame_to_command": [tick.timing.reaction for tick in ticks],
        "capture_to_command": [tick.timing.age + tick.timing.reaction for tick in ticks],
        "tick": [tick.timing.busy for tick in ticks],
    }
    if undisturbed := [tick.timing.reaction for tick in ticks if stalls_s and not _meets(tick, stalls_s)]:
        kinds["frame_to_command_outside_stalls"] = undisturbed
    return {
        name: {
            "p50_ms": _rounded(1e3 * np.percentile(values, 50)),
            "p99_ms": _rounded(1e3 * np.percentile(values, 99)),
            "max_ms": _rounded(1e3 * np.max(values)),
        }
        for name, values in kinds.items()
    }


def outside_fence(results: Sequence[GoalResult], fence: Fence) -> int:
    """Number of ticks at which the TCP was outside the fence by the encoders. Needs the ticks."""
    places = [tick.tcp for result in results for tick in result.ticks]
    places += [result.final_tcp for result in results if np.all(np.isfinite(result.final_tcp))]
    return sum(not fence.contains(place, FENCE_TOLERANCE_M) for place in places)


def _meets(tick: Tick, stalls_s: Sequence[tuple[float, float]]) -> bool:
    ended_s = tick.time_s + tick.timing.busy
    return any(began < ended_s and tick.time_s < over for began, over in stalls_s)


def _seen(ticks: Sequence[Tick]) -> list[Tick]:
    return [tick for tick in ticks if not tick.held]


def _rounded(value: float | np.floating) -> float | None:
    """The value with three decimals; None (null in JSON) if it is not finite."""
    return round(float(value), 3) if np.isfinite(value) else None
