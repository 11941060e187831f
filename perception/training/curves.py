"""Learning curves as a table and as a picture."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from datasets.common.files import write_whole

EARLIER = "earlier.csv"
"""Beside Lightning's log: the rows of a training that was stopped, of which Lightning keeps none once it goes on."""
COLUMNS = ("step", "train/loss", "val/median_mm", "val/p95_mm", "val/sigma_ratio")


def keep_rows(log: Path) -> None:
    """Keep what is in Lightning's CSV ``log`` before a stopped training goes on and begins another."""
    if rows := read_rows(log):  # none where the checkpoint is of another folder
        _write(rows, list(dict.fromkeys(column for row in rows for column in row)), log.with_name(EARLIER))


def read_rows(log: Path) -> list[dict[str, str]]:
    """All rows of a training that may have been stopped; of steps that were done again, only the later ones."""
    rows: list[dict[str, str]] = []
    for path in (log.with_name(EARLIER), log):
        if path.is_file():
            with path.open() as file:
                part = list(csv.DictReader(file))
            rows = [row for row in rows if not part or int(row["step"]) < int(part[0]["step"])] + part
    return rows


def write_curves(log: Path, folder: Path, name: str) -> None:
    """Draw Lightning's CSV ``log`` into ``folder/name.png`` and keep its columns in ``folder/name.csv``."""
    rows = read_rows(log)
    _write(rows, COLUMNS, folder / f"{name}.csv")

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


def _write(rows: list[dict[str, str]], columns: Sequence[str], path: Path) -> None:
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, table.getvalue())


def _draw(axes: object, rows: list[dict[str, str]], column: str, label: str) -> None:
    points = [(int(row["step"]), float(row[column])) for row in rows if row.get(column)]
    if points:
        axes.plot(*zip(*points, strict=True), label=label)  # type: ignore[attr-defined]  # imported late
