"""Delays of pictures and motion: found as they were put in, and refused where nothing follows the arm."""

import numpy as np
import pytest

from datasets.common.errors import DataError
from perception.calibration.delays import Delay, arrival_delay, motion_delay, picture_delay, planned_mean_s

SPEED, ACCELERATION, MOVE = 0.25, 2.0, 0.012
ENCODER_S = np.arange(0, 24, 0.005)
RESTS_S = 0.45 + 0.2 * np.random.default_rng(5).random(42)
BEGINS_S = 0.2 + np.cumsum(RESTS_S) - RESTS_S


def planned(since_s, distance_m=MOVE):
    """A move from rest to rest without a stretch of constant speed."""
    half_s = np.sqrt(distance_m / ACCELERATION)
    t = np.clip(since_s, 0, 2 * half_s)
    return np.where(t < half_s, ACCELERATION * t**2 / 2, distance_m - ACCELERATION * (2 * half_s - t) ** 2 / 2)


def path(times_s, delay_s=0.0, lag_s=0.0):
    """To and fro along each axis, with rests that differ as in a film; where the TCP is, ``(N, 3)``."""
    fine = np.arange(-0.5, 25, 0.001)
    along = np.zeros((len(fine), 3))
    for number, begin_s in enumerate(BEGINS_S):
        along[:, number // 2 % 3] += (1 - 2 * (number % 2)) * planned(fine - begin_s - delay_s)
    if lag_s:
        share = 1 - np.exp(-0.001 / lag_s)
        for i in range(1, len(along)):
            along[i] = along[i - 1] + share * (along[i] - along[i - 1])
    return np.array([np.interp(times_s, fine, axis) for axis in along.T]).T


def film(captured_s, rng, noise=2.0):
    """Small grey pictures of a blob that moves as the TCP does, seen aslant."""
    rows, columns = np.mgrid[:36, :48]
    pictures = []
    for x, y, z in 400 * path(captured_s):
        blob = np.exp(-((columns - 24 - y - 0.3 * x) ** 2 + (rows - 18 + z - 0.2 * x) ** 2) / (40 + x))
        pictures.append(60 + 150 * blob + rng.normal(0, noise, blob.shape))
    return np.clip(pictures, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def filmed():
    rng = np.random.default_rng(0)
    captured_s = np.arange(0.3, 23, 1 / 15) + rng.uniform(0, 0.004, 341)
    return captured_s, film(captured_s, rng)


@pytest.mark.parametrize("delay_s", [0.0, 0.06, 0.137, -0.02, 0.55, 0.8, 1.2, 1.5, -0.4, -1.1])
def test_the_delay_of_pictures_is_found(filmed, delay_s):
    captured_s, pictures = filmed
    found = picture_delay(pictures, captured_s + delay_s, ENCODER_S, path(ENCODER_S))
    assert found.mean_s == pytest.approx(delay_s, abs=2e-3)
    assert found.interval_s[0] - 1e-3 < delay_s < found.interval_s[1] + 1e-3
    assert found.error_s < 3e-3


@pytest.mark.parametrize("delay_s", [-3.0, -1.25, 1.65, 2.5, 6.0])
def test_a_delay_that_was_not_looked_for_is_no_measurement(filmed, delay_s):
    captured_s, pictures = filmed
    with pytest.raises(DataError, match=r"late|disagree|pictures explain"):
        picture_delay(pictures, captured_s + delay_s, ENCODER_S, path(ENCODER_S))


def test_the_typical_arrival_is_told_however_late_a_few_are(filmed):
    stamps_s, rng = filmed[0], np.random.default_rng(1)
    stamped = Delay(0.01, 0.002)
    late_s = rng.uniform(0.08, 0.10, len(stamps_s))
    late_s[::10] += 0.5
    found = arrival_delay(stamped, stamps_s, stamps_s + late_s)
    assert found.mean_s == pytest.approx(0.10, abs=4e-3)
    assert 0.002 < found.error_s < 0.003


def test_pictures_that_do_not_follow_the_arm_are_refused(filmed):
    captured_s, pictures = filmed
    still = np.random.default_rng(0).integers(0, 255, pictures.shape, dtype=np.uint8)
    with pytest.raises(DataError, match=r"pictures explain .* is the arm in view"):
        picture_delay(still, captured_s, ENCODER_S, path(ENCODER_S))
    with pytest.raises(DataError, match="only 10 pictures"):
        picture_delay(pictures[:10], captured_s[:10], ENCODER_S, path(ENCODER_S))


def moves(tcp_m):
    sent = np.array([(1 - 2 * (n % 2)) * MOVE * np.eye(3)[n // 2 % 3] for n in range(len(BEGINS_S))])
    planned_s = np.full(len(sent), planned_mean_s(MOVE, SPEED, ACCELERATION))
    return motion_delay(BEGINS_S, sent, BEGINS_S + RESTS_S - 0.01, ENCODER_S, tcp_m, planned_s)


@pytest.mark.parametrize(("delay_s", "lag_s"), [(0.0, 0.0), (0.02, 0.0), (0.0, 0.03), (0.015, 0.04)])
def test_pure_delay_and_lag_of_the_motion_add(delay_s, lag_s):
    found = moves(path(ENCODER_S, delay_s, lag_s))
    assert found.mean_s == pytest.approx(delay_s + lag_s, abs=1.5e-3)


def test_a_move_that_was_shortened_is_compared_with_its_own_plan():
    begins_s, lengths_m = np.arange(0.2, 20, 0.5), np.tile([0.012, 0.005, 0.003], 14)[:40]
    fine = np.arange(0, 24, 0.001)
    along = np.sum([planned(fine - at - 0.02, far) for at, far in zip(begins_s, lengths_m, strict=True)], axis=0)
    tcp_m = np.column_stack([np.interp(ENCODER_S, fine, along), np.zeros((len(ENCODER_S), 2))])
    planned_s = np.array([planned_mean_s(length_m, SPEED, ACCELERATION) for length_m in lengths_m])
    found = motion_delay(begins_s, lengths_m[:, None] * np.eye(3)[0], begins_s + 0.49, ENCODER_S, tcp_m, planned_s)
    assert found.mean_s == pytest.approx(0.02, abs=1.5e-3)


def test_an_arm_that_does_not_follow_is_refused():
    with pytest.raises(DataError, match="something held it up"):
        moves(0.5 * path(ENCODER_S))


def test_half_a_planned_move_lasts_as_long_as_speed_and_acceleration_say():
    assert planned_mean_s(0.02, 0.2, 2.0) == pytest.approx(0.1)  # the limit of speed is just reached
    assert planned_mean_s(0.0201, 0.2, 2.0) == pytest.approx(0.1, rel=1e-2)
    assert planned_mean_s(0.1, 0.1, 2.0) == pytest.approx((1.0 + 0.05) / 2)
