"""Learning curves keep the columns that are looked at, and are drawn the same each time."""

import csv

import pytest

from perception.training.curves import COLUMNS, keep_rows, read_rows, write_curves

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


def test_a_training_that_was_stopped_twice_keeps_every_step_once(log):
    parts = [[0, 1, 2, 3, 4], [2, 3, 4, 5, 6], [5, 6, 7]]
    for number, steps in enumerate(parts):
        if number:
            keep_rows(log)
        log.write_text("step,val/axis_mm\n" + "".join(f"{step},{number}\n" for step in steps))
    assert [(row["step"], row["val/axis_mm"]) for row in read_rows(log)] == [
        (str(step), str(number)) for step, number in enumerate([0, 0, 1, 1, 1, 2, 2, 2])
    ]


def test_a_training_stopped_before_its_first_row_loses_none_of_an_earlier_part(log):
    keep_rows(log)
    log.unlink()
    keep_rows(log)
    log.write_text("step,train/loss\n")
    assert [row["step"] for row in read_rows(log)] == ["9", "9", "19"]


def test_a_checkpoint_of_another_folder_goes_on_in_a_new_one(tmp_path):
    keep_rows(tmp_path / "new/log/metrics.csv")
    assert list(tmp_path.iterdir()) == []
