"""The picture of a rehearsal: drawn for any runs, and the same bytes for the same ones."""

from dataclasses import replace

import numpy as np
from PIL import Image

from pipelines.rehearse.plots import plot_rehearsal
from pipelines.runtime.stops import Stop, StopReason
from pipelines.runtime.tick import GoalResult
from ticks import make_tick


def run_of(count):
    ticks = [make_tick(tcp=np.array([0.4, 0.01 * index, 0.2])) for index in range(count)]
    return GoalResult(make_tick().goal, ticks, np.array([0.4, 0.05, 0.25]), 0.05)


def test_the_same_runs_give_the_same_bytes_and_others_give_others(tmp_path):
    runs = {"default": [run_of(5), run_of(3)], "proportional": [run_of(4)]}
    for name, shown in (("new/one", runs), ("two", runs), ("other", {"default": [run_of(4)]})):
        plot_rehearsal(shown, 0.1, tmp_path / f"{name}.png")
    one, two, other = ((tmp_path / f"{name}.png").read_bytes() for name in ("new/one", "two", "other"))
    assert one == two != other
    with Image.open(tmp_path / "two.png") as picture:
        assert picture.width > 1000


def test_a_run_that_stopped_before_its_first_tick_is_drawn_too(tmp_path):
    stopped = replace(run_of(0), stop=Stop(StopReason.ARM, "C31"))
    plot_rehearsal({"default": [stopped]}, 0.1, tmp_path / "stopped.png")
    assert (tmp_path / "stopped.png").is_file()
