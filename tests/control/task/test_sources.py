"""Where the policy's position comes from: the truth, or errors drawn as an estimator makes them."""

import numpy as np
import pytest

from control.task.sources import ErrorModel, Surrogate, TrueState
from datasets.common.errors import ConfigError

HERE = np.array([0.4, 0.1, 0.3])
NONE = (0.0, 0.0, 0.0)


def test_the_true_state_is_the_tcp_itself_whatever_the_episode():
    source = TrueState()
    for seed in range(3):
        source.reset(seed)
        found = source.estimate(HERE.astype(np.float32))
        np.testing.assert_allclose(found.xyz, HERE, atol=1e-7)
        np.testing.assert_array_equal(found.sigma, np.full(3, TrueState.SIGMA_M))


def drawn(model, seed, places):
    source = Surrogate(model)
    source.reset(seed)
    return np.array([source.estimate(place).xyz for place in places])


def test_a_seed_decides_every_error_of_its_episode():
    places = [HERE + 0.01 * index for index in range(5)]
    np.testing.assert_array_equal(drawn(ErrorModel(), 3, places), drawn(ErrorModel(), 3, places))
    assert not np.array_equal(drawn(ErrorModel(), 3, places), drawn(ErrorModel(), 4, places))


def test_an_episode_begun_again_is_the_same_whatever_came_before():
    source = Surrogate(ErrorModel())
    source.reset(3)
    first = source.estimate(HERE)
    for seed in (9, 3):
        source.reset(seed)
        again = source.estimate(HERE)
    np.testing.assert_array_equal((again.xyz, again.sigma), (first.xyz, first.sigma))


def test_each_part_of_the_error_varies_as_it_should_and_by_its_size():
    size = (0.002, 0.0, 0.004)
    bias, field, noise = (
        ErrorModel(*parts, severity=0.0) for parts in ((size, NONE, NONE), (NONE, size, NONE), (NONE, NONE, size))
    )
    same, apart = [HERE] * 400, [HERE + np.array([0.5 * index, 0, 0]) for index in range(400)]
    assert np.ptp(drawn(bias, 1, apart) - apart, axis=0).max() < 1e-12, "the same all over an episode"
    assert np.ptp(drawn(field, 1, same) - same, axis=0).max() < 1e-12, "the same at one place"
    for errors in (drawn(field, 1, apart) - apart, drawn(noise, 1, same) - same):
        np.testing.assert_allclose(errors.std(axis=0), size, rtol=0.25, atol=1e-12)
    biases = np.array([drawn(bias, seed, [HERE])[0] - HERE for seed in range(600)])
    np.testing.assert_allclose(biases.std(axis=0), bias.bias_m, rtol=0.15, atol=1e-12)


def test_the_field_is_smooth_over_its_length():
    model = ErrorModel(NONE, (0.002,) * 3, NONE, length_m=0.1, severity=0.0)
    places = HERE + np.linspace(0, 0.01, 20)[:, None]
    errors = drawn(model, 2, places) - places
    assert np.abs(np.diff(errors, axis=0)).max() < 0.05 * np.abs(errors).max() + 1e-4


def test_a_difficult_episode_says_so():
    model, sizes, told = ErrorModel(severity=0.8), [], []
    for seed in range(300):
        source = Surrogate(model)
        source.reset(seed)
        found = source.estimate(HERE)
        sizes.append(np.linalg.norm(found.xyz - HERE))
        told.append(found.sigma.mean())
        assert np.all(found.sigma > 0)
    assert np.corrcoef(np.log(sizes), np.log(told))[0, 1] > 0.7


@pytest.mark.parametrize(
    "wrong",
    [
        {"bias_m": (-1e-3, 0, 0)},
        {"noise_m": (0, 0, -1e-3)},
        {"length_m": 0.0},
        {"severity": -0.1},
        {"field_m": (0, np.nan, 0)},
        {"bias_m": (np.inf, 0, 0)},
        {"length_m": np.nan},
        {"severity": np.nan},
    ],
)
def test_spreads_that_are_none_are_refused(wrong):
    with pytest.raises(ConfigError, match="standard deviations must not be negative and length_m must be positive"):
        ErrorModel(**wrong)
