"""Figures are those of their definition."""

import pytest

from perception.evaluation.metrics import coverage, per_axis, sigma_scale, summarize


def test_figures_are_those_of_their_definition() -> None:
    import numpy as np

    errors = np.array([[0.003, 0, 0], [0, 0.004, 0], [0, 0, -0.012]])
    figures = summarize(errors)
    assert figures["n"] == 3
    assert figures["median_mm"] == pytest.approx(4)
    assert figures["mean_mm"] == pytest.approx(19 / 3, abs=1e-3)
    assert per_axis(errors)["z"]["bias_mm"] == pytest.approx(-4)
    rng = np.random.default_rng(0)
    sigmas = np.full((20000, 3), 0.002)
    errors = rng.normal(0, [0.002, 0.004, 0.001], (20000, 3))
    scale = sigma_scale(errors, sigmas)
    assert scale == pytest.approx([1, 2, 0.5], rel=0.03)
    covered = coverage(errors, sigmas * scale)
    assert covered["within_1_sigma"] == pytest.approx(0.6827, abs=0.005)
    assert covered["within_2_sigma"] == pytest.approx(0.9545, abs=0.005)
    assert summarize(np.zeros((0, 3))) == {"n": 0}
