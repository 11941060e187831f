import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.fusion import MotionFusion
from perception.estimate import PositionEstimate

PERIOD_S = 0.1
SIGMA = np.full(3, 0.003)


def drive(delay_steps: int, noise_m: float, seed: int = 0, steps: int = 25) -> tuple[MotionFusion, np.ndarray, object]:
    """A target moved for ten steps, seen ``delay_steps`` late: the filter, the target at last, what the filter says."""
    rng = np.random.default_rng(seed)
    fusion, target = MotionFusion(PERIOD_S), np.array([0.4, 0.0, 0.2])
    history, sent, fused = [target.copy()] * (delay_steps + 1), np.zeros(3), None
    for step in range(steps):
        seen = history[-1 - delay_steps]
        fused = fusion.update(PositionEstimate(seen + noise_m * rng.normal(size=3), SIGMA), sent)
        sent = np.array([0.01, 0.02, 0.0]) if step < 10 else np.zeros(3)
        target = target + sent
        history.append(target.copy())
    return fusion, target, fused


@settings(max_examples=20, deadline=None)
@given(delay=st.integers(0, 5))
def test_without_noise_the_rest_point_is_the_target_whatever_the_delay(delay):
    _, target, fused = drive(delay, 0.0)
    assert np.linalg.norm(fused.rest - target) < 5e-4


@pytest.mark.parametrize("delay", [0, 1, 3])
def test_the_delay_is_found_while_moving(delay):
    _, _, fused = drive(delay, 0.001, steps=11)
    assert fused.delay_s == pytest.approx(delay * PERIOD_S, abs=0.06)


def test_noise_is_averaged_and_the_spread_says_so():
    errors, spreads = [], []
    for seed in range(40):
        _, target, fused = drive(1, 0.003, seed)
        errors.append(fused.rest - target)
        spreads.append(fused.spread)
    assert np.std(errors) < 0.5 * 0.003
    assert 0.5 < np.std(errors) / np.mean(spreads) < 1.5


def test_one_wild_estimate_is_held_back():
    fusion, target, fused = drive(1, 0.001)
    wild = fusion.update(PositionEstimate(fused.rest + 0.5, SIGMA), np.zeros(3))
    assert np.linalg.norm(wild.rest - target) < 0.01


def test_reset_forgets():
    fusion, _, _ = drive(2, 0.003)
    fusion.reset()
    fresh = MotionFusion(PERIOD_S)
    first = PositionEstimate(np.array([0.3, 0.1, 0.2]), SIGMA)
    assert np.array_equal(fusion.update(first, np.zeros(3)).rest, fresh.update(first, np.zeros(3)).rest)
