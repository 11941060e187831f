"""The depth camera's noise is measured to within a few percent from frames at rest."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.common.errors import DataError
from datasets.rig.projection import Intrinsics
from datasets.scene.depth_sensor import NO_ERROR, measured_depth
from perception.calibration.depth_noise import measure_noise, told

K = Intrinsics(320, 240, 400.0, 400.0, 160.0, 120.0)
SLOPE = np.tile(np.linspace(0.8, 1.6, 320, dtype=np.float32), (240, 1))
GREY = np.full((240, 320, 3), 128, np.uint8)


def frames(level, count=8, seed=0):
    rng = np.random.default_rng(seed)
    seen = [measured_depth(SLOPE, GREY, K, level, NO_ERROR, rng) for _ in range(count)]
    return np.round(np.stack(seen), 3).astype(np.float32)


@settings(max_examples=5, deadline=None)
@given(st.floats(0.4, 2.0), st.integers(0, 1000))
def test_the_level_is_found_within_fifteen_percent(level, seed):
    found = measure_noise(frames(level, seed=seed), np.zeros(8), K.fx, 0.001)
    assert found.level == pytest.approx(level, rel=0.15)
    assert found.interval[0] <= found.level <= found.interval[1]
    assert found.pairs == 7
    for measured, model in found.by_range.values():
        assert measured == pytest.approx(model, rel=0.3)


def test_the_correlation_of_the_model_is_found_in_the_model():
    found = measure_noise(frames(1.0), np.zeros(8), K.fx, 0.001)
    assert 0.7 < found.stretch < 1.4
    assert "times a D435's as simulated" in told(found)
    assert list(found.correlation) == ["1 px", "2 px", "4 px", "8 px", "12 px"]


def test_frames_of_different_scenes_are_not_compared():
    found = measure_noise(frames(1.0, 4), np.array([0, 0, 1, 1]), K.fx, 0.001)
    assert found.pairs == 2


@pytest.mark.parametrize(
    ("depth", "scenes", "words"),
    [
        (np.ones((2, 48, 64), np.float32), [0, 1], "two frames or more"),
        (np.zeros((2, 240, 320), np.float32), [0, 0], "fewer than 2000 smooth pixels"),
        (np.stack([SLOPE, SLOPE]), [0, 0], "same depth in every pixel"),
        (np.stack([SLOPE, SLOPE + 1e-6]), [0, 0], "no more than its unit's steps"),
        (np.stack([SLOPE, SLOPE + 0.1 * (SLOPE > 1.2) + 0.05]), [0, 0], "something moved"),
    ],
)
def test_what_says_nothing_of_noise_is_refused(depth, scenes, words):
    with pytest.raises(DataError, match=words):
        measure_noise(depth.astype(np.float32), scenes, K.fx, 0.001)
