"""Draws pictures of runs: distance over time, paths, and residuals."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from pipelines.runtime.tick import GoalResult


def plot_rehearsal(runs: Mapping[str, Sequence[GoalResult]], period_s: float, path: Path) -> None:
    """Draw distance to the goal over time, a line per goal, and the sorted residuals, as PNG. Needs the ticks."""
    figure, (over_time, paths, ends) = plt.subplots(1, 3, figsize=(15, 4.5), layout="constrained")
    for (name, results), colour in zip(runs.items(), ("#0072b2", "#d55e00", "#009e73"), strict=False):
        for index, result in enumerate(results):
            distance = [1e3 * np.linalg.norm(tick.tcp - result.goal) for tick in result.ticks]
            label = name if index == 0 else None
            over_time.plot(
                np.arange(len(distance)) * period_s, np.maximum(distance, 0.05), colour, lw=0.9, alpha=0.7, label=label
            )
        residuals = np.sort([1e3 * np.linalg.norm(result.final_tcp - result.goal) for result in results])
        ends.step(residuals, np.arange(1, len(residuals) + 1) / len(residuals), colour, where="post", label=name)
    first = next(iter(runs.values()))
    for result in first:
        way = np.array([tick.tcp for tick in result.ticks])
        if len(way):
            paths.plot(way[:, 1], way[:, 2], "#0072b2", lw=0.9)
        paths.plot(result.goal[1], result.goal[2], "+", color="#e69f00", ms=9, mew=2)
    over_time.set(xlabel="time (s)", ylabel="TCP to goal by the encoders (mm)", yscale="log")
    paths.set(xlabel="y (m)", ylabel="z (m)", title="paths from home to the goals (+)", aspect="equal")
    ends.set(xlabel="residual (mm)", ylabel="share of goals", xlim=(0, None), ylim=(0, 1.02))
    for limit in (5, 10, 20):
        over_time.axhline(limit, color="0.8", lw=0.8, zorder=0)
    over_time.legend()
    ends.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    # No date in the file: the same run gives the same bytes.
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)
