"""The stage's plots: learning curves, and how far from the goal episodes ended."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure


def draw_curves(curves: Mapping[str, Sequence[Mapping[str, float]]], path: Path) -> None:
    """Median final distance on the validation episodes over steps, one line per agent, on a logarithmic scale."""
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.add_subplot()
    for name, rows in curves.items():
        axes.plot(
            [row["step"] for row in rows], [row["median_mm"] for row in rows], marker="o", markersize=3, label=name
        )
    axes.set(xlabel="environment steps", ylabel="median final distance (mm)", yscale="log")
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    figure.savefig(path, dpi=110)


def draw_distances(distances_m: Mapping[str, Sequence[float]], path: Path) -> None:
    """Share of test episodes that ended within a distance, one line per policy."""
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.add_subplot()
    for name, distances in distances_m.items():
        ordered = 1000 * np.sort(distances)
        axes.step(ordered, np.arange(1, len(ordered) + 1) / len(ordered), where="post", label=name)
    axes.set(xlabel="final distance of the true TCP to the goal (mm)", ylabel="share of episodes", ylim=(0, 1.02))
    axes.set_xlim(left=0, right=30)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=110)
