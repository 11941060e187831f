"""Learning curves as a table and as a picture."""

import csv
from pathlib import Path

from matplotlib.figure import Figure

COLUMNS = ("step", "train/loss", "val/median_mm", "val/p95_mm", "val/sigma_ratio")


def write_curves(log: Path, folder: Path, name: str) -> None:
    """Draw Lightning's CSV ``log`` into ``folder/name.png`` and keep its columns in ``folder/name.csv``."""
    with log.open() as file:
        rows = list(csv.DictReader(file))
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)

    figure = Figure(figsize=(7, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw(left, rows, "train/loss", "training loss")
    _draw(right, rows, "val/median_mm", "median")
    _draw(right, rows, "val/p95_mm", "95th percentile")
    left.set(xlabel="step", yscale="log", title=f"{name}: training loss")
    right.set(xlabel="step", yscale="log", title=f"{name}: validation error, mm")
    if right.lines:
        right.legend()
    figure.savefig(folder / f"{name}.png", dpi=110, metadata={"Software": None})


def _draw(axes: object, rows: list[dict[str, str]], column: str, label: str) -> None:
    points = [(int(row["step"]), float(row[column])) for row in rows if row.get(column)]
    if points:
        axes.plot(*zip(*points, strict=True), label=label)  # type: ignore[attr-defined]  # imported late
