"""Runs one goal after the other: home, reach, report; the first stop ends the run."""

from collections.abc import Callable, Sequence

import numpy as np

from control.arms.arm import Arm
from pipelines.runtime.interrupt import Interruption
from pipelines.runtime.loop import Runtime
from pipelines.runtime.stops import Stop, StopReason, faults_as, timed
from pipelines.runtime.tick import GoalResult, Vector


def run_goals(
    arm: Arm,
    runtime: Runtime,
    goals: Sequence[Vector],
    *,
    home: bool = True,
    home_after: bool = True,
    interrupted: Interruption | None = None,
    before: Callable[[int], None] = lambda index: None,
    finished: Callable[[GoalResult], None] = lambda result: None,
    keep_ticks: bool = False,
) -> list[GoalResult]:
    """Run the goals; returns the result of each, up to the first that was stopped.

    A replayed goal that stopped because its frames ended is followed by the next one, unless it had no frames. A stop
    on the way home after the last goal gives one more result for that goal, without a tick.

    Args:
        home: go home before each goal (not in shadow).
        home_after: go home after the last goal, too.
        interrupted: set by the operator's Ctrl-C, which has then stopped the arm already.
        before: called with each goal's index before the arm goes home for it.
        finished: called with each result, with all its ticks, as soon as it is there.
        keep_ticks: keep the ticks in the returned results; without them, memory does not grow over many hours.
    """
    interrupted = Interruption() if interrupted is None else interrupted
    results: list[GoalResult] = []
    for index, goal in enumerate(goals):
        before(index)
        prevented = _home(arm, goal, interrupted) if home else None
        result = runtime.reach(goal) if prevented is None else prevented
        finished(result)
        results.append(result if keep_ticks else result.without_ticks())
        if result.stop is not None and not (result.ticks and result.stop.reason is StopReason.RECORDING_ENDED):
            return results
    if home and home_after and results and (prevented := _home(arm, goals[-1], interrupted)) is not None:
        results.append(prevented)
        finished(prevented)
    return results


def _home(arm: Arm, goal: Vector, interrupted: Interruption) -> GoalResult | None:
    """Go home; returns the result of ``goal`` if that failed. Every failure stops the arm."""
    try:
        with faults_as(StopReason.ARM, "on the way home: {}"):
            arm.home()
        if not interrupted.is_set():
            return None
        raise interrupted.stop(" on the way home")
    except BaseException as error:
        times = timed(arm.stop)
        if not isinstance(error, Stop):
            raise
        stop = interrupted.stop(" on the way home") if interrupted.is_set() else error
    return GoalResult(np.asarray(goal, dtype=float), [], np.full(3, np.nan), np.inf, None, stop, *times)
