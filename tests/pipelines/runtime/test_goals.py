"""Goals one after the other: what is kept of each, however many there are."""

import gc
import weakref

import numpy as np
import pytest

from datasets.common.errors import DeviceError
from pipelines.runtime.goals import run_goals
from pipelines.runtime.stops import StopReason

pytestmark = pytest.mark.realtime

GOALS = [np.array([0.42, 0.02 * index, 0.25]) for index in range(6)]


@pytest.fixture
def quick(world):
    world.rate_hz, world.horizon = 100.0, 5
    return world


def test_of_each_goal_its_last_tick_alone_is_kept(quick):
    ticks, told = weakref.WeakSet(), []
    quick.observers = (lambda tick, frame: ticks.add(tick),)
    results = run_goals(quick.arm, quick.runtime(), GOALS, finished=lambda result: told.append(len(result.ticks)))
    gc.collect()
    assert told == [5] * len(GOALS)
    assert len(ticks) == len(GOALS)
    for result in results:
        assert (result.ticks, result.steps, result.last_seen.step) == ([], 5, 4)
        assert result.estimated_residual_m == result.last_seen.error_m


def test_who_needs_the_ticks_gets_them(quick):
    results = run_goals(quick.arm, quick.runtime(), GOALS[:2], keep_ticks=True)
    assert [tick.step for result in results for tick in result.ticks] == 2 * [0, 1, 2, 3, 4]


def test_a_stop_on_the_last_way_home_is_a_result_of_its_own(quick, monkeypatch):
    told, ways = [], iter([None, None, DeviceError("the arm hit something")])

    def home():
        if (error := next(ways)) is not None:
            raise error

    monkeypatch.setattr(quick.arm, "home", home)
    results = run_goals(quick.arm, quick.runtime(), GOALS[:2], finished=told.append)
    assert [result.stop is None for result in results] == [True, True, False]
    assert results[-1].stop.reason is StopReason.ARM
    assert "on the way home: the arm hit something" in str(results[-1].stop)
    assert len(told) == 3
    assert quick.arm.stopped_at is not None
