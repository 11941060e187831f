"""The times of a run's loop, told without keeping its ticks."""

from dataclasses import replace

import numpy as np
import pytest

from pipelines.observers.loop_times import LoopTimes
from pipelines.runtime.tick import Tick


def test_the_loops_times_are_told_without_the_ticks():
    times, rng = LoopTimes(0.1), np.random.default_rng(0)
    assert str(times) == "no frame was acted on"
    nowhere = np.zeros(3)
    tick = Tick(goal_index=0, step=0, goal=nowhere, time_s=0.0, due_s=0.0, frame_time_s=-0.13, taken_s=0.0)
    reactions = rng.uniform(0.005, 0.025, 5000)
    for reaction in reactions:
        times(replace(tick, done_s=reaction), None)
    times(replace(tick, done_s=7.0), None)
    times(replace(tick, held=True), None)
    words = str(times)
    assert words.startswith("frames 130 ms old (median); frame to command ")
    assert words.endswith("; 1 of 5001 ticks over 100 ms")
    told = float(words.split("99 % within ")[1].split(" ms")[0])
    assert told == pytest.approx(1e3 * np.percentile(reactions, 99), abs=0.21)
