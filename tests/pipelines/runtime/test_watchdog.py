"""A watchdog stops the arm when nobody feeds it, and only then."""

import time

import pytest

from control.arms.xarm.wire.sdk import wait_until
from pipelines.runtime.watchdog import Watchdog


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
