"""The loop's clock and its watchdog."""

import time

import pytest

from control.arms.xarm.wire.sdk import wait_until
from pipelines.runtime.ticker import Ticker
from pipelines.runtime.watchdog import Watchdog
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


@pytest.mark.realtime
def test_a_fed_watchdog_is_quiet_and_a_resting_one_too():
    stops, longest_s = [], 0.0
    with Watchdog(0.4, lambda: stops.append(1)) as watchdog:
        fed_s = time.monotonic()
        for _ in range(5):
            watchdog.feed()
            longest_s, fed_s = max(longest_s, time.monotonic() - fed_s), time.monotonic()
            time.sleep(0.1)  # hunger is time without food
        watchdog.rest()
        longest_s = max(longest_s, time.monotonic() - fed_s)
        wait_until(lambda: bool(stops), 0.5)
    assert longest_s >= 0.4 or not stops  # the machine may have kept it waiting
    assert watchdog.has_fired == bool(stops)


@pytest.mark.realtime
def test_a_hungry_watchdog_stops_once_and_in_time(held_up):
    stops = []
    with Watchdog(0.05, lambda: stops.append(time.monotonic())) as watchdog:
        fed, held_up_before = time.monotonic(), held_up()
        watchdog.feed()
        assert wait_until(lambda: bool(stops), 5.0)
        lost_s = held_up() - held_up_before
        assert not wait_until(lambda: len(stops) > 1, 0.1)
    assert 0.05 <= stops[0] - fed < 0.25 + lost_s
    assert watchdog.has_fired
