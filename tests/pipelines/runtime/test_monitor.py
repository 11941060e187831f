"""Laws of the checks that stop the arm."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from datasets.common.errors import ConfigError
from perception.estimator.estimate import PositionEstimate
from pipelines.runtime.monitor import (
    CommandCheck,
    EncoderCheck,
    EstimateCheck,
    FenceCheck,
    FrameCheck,
    LimitParams,
    Monitor,
    OverrunCheck,
)
from pipelines.runtime.stops import Stop, StopReason
from pipelines.setup.settings import RuntimeParams

anything = st.floats(allow_nan=True, allow_infinity=True)
vectors = st.lists(anything, min_size=3, max_size=3).map(np.array)
metres = st.floats(-1, 1)
points = st.lists(metres, min_size=3, max_size=3).map(np.array)


def reason(call, *arguments):
    try:
        call(*arguments)
    except Stop as stop:
        return stop.reason
    return None


@given(anything, anything)
def test_no_frame_passes_that_is_not_known_to_be_fresh(timestamp, now):
    check = FrameCheck(0.3, 1)
    stopped = reason(check.check, timestamp, now)
    with np.errstate(invalid="ignore"):
        assert (stopped is None) == bool(np.float64(now) - timestamp <= 0.3)


@given(st.integers(0, 5), st.integers(1, 10))
def test_a_frame_is_held_exactly_as_often_as_allowed(held, repeats):
    check = FrameCheck(1.0, held)
    assert check.check(1.0, 1.0)
    for count in range(1, repeats + 1):
        if count > held:
            assert reason(check.check, 1.0, 1.0) is StopReason.REPEATED_FRAME
            return
        assert not check.check(1.0, 1.0)


def test_a_frame_older_than_the_last_is_no_new_one():
    check = FrameCheck(1.0, 1)
    check.check(1.0, 1.0)
    assert not check.check(0.9, 1.0)


@given(phase=st.floats(0, 0.1), into=st.floats(0, 1 / 30))
def test_a_stall_of_190_ms_is_held_through_whatever_its_phase(phase, into):
    limits, period, latency = RuntimeParams.load().limits, 1 / 30, 0.14
    check = FrameCheck(limits.max_frame_age_s, limits.repeats_held)
    taken = np.arange(60) * period
    begins = 1.0 + into
    arrived = taken + latency
    arrived = np.where((arrived > begins) & (arrived < begins + 0.19), begins + 0.19, arrived)
    for tick in range(3, 15):
        now = phase + 0.1 * tick
        check.check(taken[arrived <= now][-1], now)


@given(vectors, vectors)
def test_what_is_not_finite_never_passes(xyz, sigma):
    stopped = reason(EstimateCheck(0.03, 0, 0.06, 0.25).check, PositionEstimate(xyz, sigma), 0.0)
    if not (np.isfinite(xyz).all() and np.isfinite(sigma).all()):
        assert stopped is StopReason.NOT_FINITE
    else:
        assert (stopped is None) == (sigma.min() > 0 and sigma.max() <= 0.03)


@given(st.integers(0, 5), st.lists(st.booleans(), max_size=30))
def test_uncertain_estimates_are_held_exactly_as_often_as_allowed_in_a_row(held, certain):
    check, row = EstimateCheck(0.03, held, 0.06, 0.25), 0
    for number, sure in enumerate(certain):
        estimate = PositionEstimate(np.full(3, 0.0 if sure else 9.0), np.full(3, 0.001 if sure else 0.3))
        row = 0 if sure else row + 1
        if row > held:
            assert reason(check.check, estimate, float(number)) is StopReason.UNCERTAIN
            return
        assert check.check(estimate, float(number)) == sure, "and nothing jumps from or to a held one"


@given(points, points, st.floats(0.001, 1.0))
def test_a_jump_is_motion_beyond_the_largest_speed(first, second, elapsed):
    check = EstimateCheck(0.03, 0, 0.06, 0.25)
    check.check(PositionEstimate(first, np.full(3, 0.001)), 10.0)
    stopped = reason(check.check, PositionEstimate(second, np.full(3, 0.001)), 10.0 + elapsed)
    excess = np.linalg.norm(second - first) - 0.25 * elapsed
    if abs(excess - 0.06) > 1e-9:
        assert (stopped is StopReason.JUMP) == (excess > 0.06)


@given(vectors, points)
@settings(max_examples=300)
def test_disagreement_is_found_whatever_the_numbers(estimate, encoders):
    stopped = reason(EncoderCheck(0.05, 0.015, 10).check, estimate, encoders)
    with np.errstate(all="ignore"):
        assert (stopped is None) == bool(np.linalg.norm(estimate - encoders) <= 0.05)


@given(st.floats(-0.02, 0.02), st.lists(st.floats(-0.02, 0.02), min_size=20, max_size=20), points)
@example(0.02, [0.0] * 20, np.zeros(3))  # a camera that was moved: noise alone hardly ever averages to the limit
def test_drift_is_the_average_over_the_last_frames(moved, noise, at):
    check = EncoderCheck(0.05, 0.015, 5)
    seen = []
    for error in moved + np.array(noise):
        seen.append(error)
        average = abs(np.mean(seen[-5:]))
        if len(seen) >= 5 and abs(average - 0.015) < 1e-6:
            return
        stopped = reason(check.check, at + np.array([error, 0.0, 0.0]), at)
        assert (stopped is StopReason.DRIFT) == (len(seen) >= 5 and average > 0.015)
        if stopped:
            return


@given(st.lists(st.integers(1, 4), min_size=10, max_size=10), points)
def test_drift_is_found_however_few_frames_a_goal_has(frames_of_goals, at):
    limits = replace(RuntimeParams.load().limits, max_drift_m=0.015, drift_ticks=10)
    monitor = Monitor(limits, np.zeros(3), np.ones(3), 0.25)
    frames = 0
    for of_goal in frames_of_goals:
        monitor.reset()
        for _ in range(of_goal):
            frames += 1
            stopped = reason(monitor.encoders.check, at + np.array([0.02, 0.0, 0.0]), at)
            assert (stopped is StopReason.DRIFT) == (frames % 10 == 0), "a stop begins the average anew"


def test_noise_around_zero_is_no_drift():
    check = EncoderCheck(0.05, 0.015, 10)
    rng = np.random.default_rng(0)
    for _ in range(1000):
        check.check(rng.normal(0, 0.006, 3), np.zeros(3))


@given(vectors)
def test_outside_the_fence_is_anything_not_known_to_be_inside(tcp):
    stopped = reason(FenceCheck([0, 0, 0], [1, 1, 1], 0.01).check, tcp)
    assert (stopped is None) == bool(np.all((tcp >= -0.01) & (tcp <= 1.01)))


@given(st.lists(anything, min_size=0, max_size=5))
def test_a_command_is_three_finite_numbers(values):
    stopped = reason(CommandCheck().check, np.array(values))
    assert (stopped is None) == (len(values) == 3 and bool(np.isfinite(values).all()))


@given(st.lists(st.booleans(), max_size=50))
def test_overruns_stop_only_in_a_row_and_are_all_counted(late):
    check = OverrunCheck(3)
    row = 0
    for index, is_late in enumerate(late):
        row = row + 1 if is_late else 0
        stopped = reason(check.check, 0.2 if is_late else 0.05, 0.1)
        assert (stopped is StopReason.OVERRUNS) == (row >= 3)
        assert check.total == sum(late[: index + 1])
        if stopped:
            return


@pytest.mark.parametrize(
    ("key", "value"),
    [("max_sigma_m", 0.0), ("max_frame_age_s", float("nan")), ("overruns_in_row", 0), ("max_drift_m", 1.0)],
)
def test_limits_that_would_guard_nothing_are_refused(key, value):
    good = RuntimeParams.load().limits
    with pytest.raises(ConfigError, match=key):
        LimitParams(**{**vars(good), key: value})
