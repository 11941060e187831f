"""Pictures of an evaluation: how errors are distributed, and where in the workspace they are large."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from datasets.rig.rig import Rig
from perception.evaluation.predictions import Predictions

LARGEST_MM = 30.0
CELL_M = 0.05


def draw_histogram(predictions: dict[str, Predictions], path: Path) -> None:
    """Distances of both looks' estimates from the truth, one curve per split."""
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    bins = np.linspace(0, LARGEST_MM, 61)
    for axis, look in zip(axes, ("glance", "fovea"), strict=True):
        for name, predicted in predictions.items():
            distance = 1000 * np.linalg.norm(getattr(predicted, look) - predicted.tcp, axis=1)
            weights = np.full(len(distance), 100 / len(distance))
            axis.hist(distance.clip(0, LARGEST_MM), bins, weights=weights, histtype="step", label=name)
        axis.set(xlabel="error, mm", title=f"after the {look}", xlim=(0, LARGEST_MM))
    axes[0].set_ylabel("% of frames")
    axes[1].legend()
    _save(figure, path)


def draw_map(predicted: Predictions, split: str, rig: Rig, path: Path) -> None:
    """Median error of the answer over the workspace, seen from above and from the side."""
    distance = 1000 * np.linalg.norm(predicted.fovea - predicted.tcp, axis=1)
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots(1, 2)
    top = max(float(np.quantile(distance, 0.9)), 1.0)
    for axis, (across, up) in zip(axes, ((1, 0), (1, 2)), strict=True):
        low, high = rig.workspace.low, rig.workspace.high
        extent, values = _medians(predicted.tcp[:, [across, up]], distance, low, high, across, up)
        image = axis.imshow(values, origin="lower", extent=extent, vmin=0, vmax=top, cmap="viridis")
        axis.set(xlabel=f"{'xyz'[across]}, m", ylabel=f"{'xyz'[up]}, m")
    figure.colorbar(image, ax=axes, label="median error, mm")
    figure.suptitle(f"{split}: error over the workspace")
    _save(figure, path)


def _medians(
    places: np.ndarray, values: np.ndarray, low: np.ndarray, high: np.ndarray, across: int, up: int
) -> tuple[tuple[float, float, float, float], np.ndarray]:
    edges = [np.arange(low[axis], high[axis] + CELL_M / 2, CELL_M) for axis in (across, up)]
    cells = [np.clip(np.digitize(places[:, i], edges[i]) - 1, 0, len(edges[i]) - 2) for i in range(2)]
    grid = np.full((len(edges[1]) - 1, len(edges[0]) - 1), np.nan)
    for row, column in set(zip(cells[1].tolist(), cells[0].tolist(), strict=True)):
        grid[row, column] = np.median(values[(cells[1] == row) & (cells[0] == column)])
    return (float(edges[0][0]), float(edges[0][-1]), float(edges[1][0]), float(edges[1][-1])), grid


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})
