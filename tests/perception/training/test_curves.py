"""Learning curves keep the columns that are looked at, and are drawn the same each time."""

import csv

import pytest

from perception.training.curves import COLUMNS, write_curves

ROWS = [
    {"epoch": "0", "step": "9", "train/loss": "2.5", "val/median_mm": ""},
    {"epoch": "0", "step": "9", "train/loss": "", "val/median_mm": "31.0"},
    {"epoch": "1", "step": "19", "train/loss": "1.5", "val/median_mm": "12.0"},
]


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "metrics.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ROWS[0])
        writer.writeheader()
        writer.writerows(ROWS)
    return path


def test_the_table_has_its_columns_in_order_with_the_log_s_own_values(log, tmp_path):
    write_curves(log, tmp_path / "new", "glance")
    with (tmp_path / "new/glance.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [row["train/loss"] for row in rows] == ["2.5", "", "1.5"]
    assert [row["val/median_mm"] for row in rows] == ["", "31.0", "12.0"]
    assert {row["val/p95_mm"] for row in rows} == {""}


def test_the_same_log_gives_the_same_bytes(log, tmp_path):
    for name in ("one", "two"):
        write_curves(log, tmp_path / name, "glance")
    for file in ("glance.csv", "glance.png"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_a_training_that_ended_before_its_first_row_is_drawn_too(tmp_path):
    (tmp_path / "empty.csv").write_text("step,train/loss\n")
    write_curves(tmp_path / "empty.csv", tmp_path, "glance")
    assert (tmp_path / "glance.csv").read_text() == ",".join(COLUMNS) + "\n"
    assert (tmp_path / "glance.png").is_file()
