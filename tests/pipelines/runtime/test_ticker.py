"""The loop's clock."""

import pytest

from pipelines.runtime.ticker import Ticker
from turned_clock import Clock


def test_ticks_do_not_drift_when_the_work_takes_time():
    clock = Clock()
    ticker = Ticker(0.1, clock, clock.wait)
    times = []
    for work in (0.02, 0.09, 0.0, 0.05, 0.03):
        ticker.wait()
        times.append(clock.now)
        clock.now += work
    assert times == pytest.approx([100.0, 100.1, 100.2, 100.3, 100.4])


def test_a_late_tick_is_not_made_up_for_by_a_burst():
    clock = Clock()
    ticker = Ticker(0.1, clock, clock.wait)
    times = []
    for work in (0.35, 0.0, 0.0):
        ticker.wait()
        times.append(clock.now)
        clock.now += work
    assert times == pytest.approx([100.0, 100.35, 100.4])
    assert ticker.due_s == pytest.approx(100.4)
