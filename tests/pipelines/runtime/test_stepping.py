"""Each step is agreed to on a picture that is fresh when it is sent."""

import time

import numpy as np
import pytest

from pipelines.runtime.stops import StopReason

pytestmark = pytest.mark.realtime


GOAL = np.array([0.45, 0.08, 0.30])


def think_for_too_long():
    time.sleep(0.3)  # longer than the impatient world lets a picture grow old


def test_a_step_chosen_on_a_picture_that_grew_old_is_chosen_anew(impatient):
    shown = []

    def think(step):
        shown.append(step)
        if len(shown) == 1:  # meanwhile the arm is pushed
            think_for_too_long()
            impatient.arm.position = GOAL + np.array([0.0, 0.0, 0.01])

    impatient.ask = think
    result = impatient.runtime().reach(GOAL)
    assert result.stop is None
    assert len(shown) == 2
    np.testing.assert_allclose(shown[1], [0.0, 0.0, -0.005], atol=1e-9)
    np.testing.assert_array_equal(impatient.arm.moves, shown[1:])
    (tick,) = result.ticks
    assert tick.timing.age + tick.timing.reaction < 0.2


def test_the_same_step_on_a_newer_picture_is_not_asked_for_again(impatient):
    shown = []

    def think(step):
        shown.append(step)
        think_for_too_long()
        impatient.arm.position = impatient.arm.position + np.array([0.0, 0.001, 0.0])

    impatient.ask = think
    assert impatient.runtime().reach(GOAL).stop is None
    assert len(shown) == 1
    (sent,) = impatient.arm.moves
    assert not np.array_equal(sent, shown[0])  # the newer picture's


def test_a_camera_that_was_covered_while_the_operator_thought_stops(impatient):
    shown = []

    def think(step):
        shown.append(step)
        impatient.estimator.sigma = np.full(3, 0.2)
        think_for_too_long()

    impatient.ask, impatient.horizon = think, 10
    assert impatient.runtime().reach(GOAL).stop.reason is StopReason.UNCERTAIN
    assert not np.any(impatient.arm.moves), "held still, then stopped"
    assert len(shown) == 1


def test_in_shadow_an_old_picture_is_not_looked_at_again(impatient):
    shown = []

    def think(step):
        shown.append(step)
        think_for_too_long()
        impatient.arm.position = GOAL.copy()

    impatient.arm.is_passive, impatient.ask = True, think
    assert impatient.runtime().reach(GOAL).stop is None
    assert len(shown) == len(impatient.policy.seen) == 1
    np.testing.assert_array_equal(impatient.ticks[0].command, shown[0])


def test_a_camera_that_froze_while_the_operator_thought_stops(impatient):
    def think(step):
        impatient.camera.frozen = impatient.camera.newest
        think_for_too_long()

    impatient.ask = think
    assert impatient.runtime().reach(GOAL).stop.reason is StopReason.STALE_FRAME
    assert not impatient.arm.moves


def test_to_stay_where_it_is_needs_no_answer(world):
    shown = []
    world.horizon, world.ask = 4, shown.append
    world.at_step = {
        0: lambda w: setattr(w.camera, "frozen", w.camera.newest),
        1: lambda w: setattr(w.camera, "frozen", None),
    }
    result = world.runtime().reach(GOAL)
    assert [tick.held for tick in result.ticks] == [False, True, False, False]
    assert len(shown) == 3
