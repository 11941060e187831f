"""The operator's console: a line per step and a table at the end."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from pipelines.runtime.tick import GoalResult, Tick, Vector

MM = 1e3


def step_line(tick: Tick, goals: int, shadow: bool = False) -> str:
    """The line of one step: estimate with largest sigma, error to the goal, command sent, frame's age, loop's work."""
    head = f"goal {tick.goal_index + 1}/{goals} step {tick.step:2d}"
    if tick.held:
        return f"{head}  {tick.why_held}, frame {tick.timing.age * MM:.0f} ms old: holding still"
    verb = "would send" if shadow else "sent"
    cut = "" if np.allclose(tick.sent, tick.command, atol=1e-6) else " (cut)"
    return (
        f"{head}  TCP {_point(tick.estimate)} ±{np.max(tick.sigma) * MM:4.1f} mm  to goal {tick.error_m * MM:6.1f} mm  "
        f"{verb} {_millimetres(tick.sent)} mm{cut}  frame {tick.timing.age * MM:3.0f} ms old, "
        f"{tick.timing.reaction * MM:4.1f} ms to command"
    )


def rows(results: Iterable[GoalResult]) -> list[dict[str, Any]]:
    """The content of :func:`result_table` in machine-readable form; ``stop`` is None for a goal that ran to its end."""
    return [
        {
            "goal_m": result.goal,
            "residual_mm": result.residual_m * MM,
            "believed_mm": result.estimated_residual_m * MM,
            "steps": result.steps,
            "stop": None if result.stop is None else str(result.stop),
        }
        for result in results
    ]


def result_table(results: Iterable[GoalResult], goals: int) -> str:
    """One row per goal: the remaining distance by the encoders and by the camera, and how the goal ended."""
    rows = ["goal (m)                   residual   believed   ended"]
    done = list(results)
    for result in done:
        ended = f"{result.steps} steps" if result.stop is None else f"stopped, {result.stop}"
        residual = f"{result.residual_m * MM:6.1f} mm" if np.isfinite(result.residual_m) else "        -"
        believed = f"{result.estimated_residual_m * MM:6.1f} mm" if result.last_seen else "        -"
        rows.append(f"{_point(result.goal)}   {residual}  {believed}   {ended}")
    if len(done) < goals:
        rows.append(f"{goals - len(done)} of {goals} goals were not begun")
    reached = [result.residual_m for result in done if result.stop is None and np.isfinite(result.residual_m)]
    if reached:
        rows.append(
            f"residual by the encoders: median {np.median(reached) * MM:.1f} mm, worst {max(reached) * MM:.1f} mm"
        )
    return "\n".join(rows)


def stop_words(result: GoalResult) -> str:
    """Describe in words how the stop of an arm went."""
    if result.stopped_in_s is None:
        return "the arm's stop is NOT confirmed"
    return f"the arm confirmed its stop after {result.stopped_in_s * MM:.0f} ms"


def _point(xyz: Vector) -> str:
    return "(" + ", ".join(f"{value:6.3f}" for value in xyz) + ")"


def _millimetres(xyz: Vector) -> str:
    return "(" + ", ".join(f"{value * MM:+6.1f}" for value in xyz) + ")"
