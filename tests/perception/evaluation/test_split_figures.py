"""What is told of the predictions on a split: every frame is counted where it belongs, and once."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perception.estimator.doubt import EVIDENCE
from perception.evaluation.predictions import Predictions
from perception.evaluation.split_figures import HIDDEN, SHOWN, SPLIT_FIGURES, split_figures, visible_figures

MOST_M = 0.02


def predictions(count, seed=0, **more):
    """Answers about a centimetre off, with any conditions."""
    rng = np.random.default_rng(seed)
    vectors = {
        "tcp",
        "glance",
        "glance_sigma",
        "coarse",
        "coarse_sigma",
        "fovea",
        "fovea_sigma",
        "base_error",
        "base_sigma",
    }
    values = {
        field.name: rng.normal(0, 0.01, (count, 3)) if field.name in vectors else rng.uniform(0, 1, count)
        for field in fields(Predictions)
    }
    values["evidence"] = rng.normal(0, 1, (count, EVIDENCE))
    for name in vectors:
        if name.endswith("sigma"):
            values[name] = np.abs(values[name])
    return Predictions(**{**values, **more})


@given(count=st.integers(6, 60), seed=st.integers(0, 99))
def test_thirds_of_the_conditions_hold_every_frame_once(count, seed):
    for found in split_figures(predictions(count, seed), MOST_M)["conditions"].values():
        assert sum(found[part]["n"] for part in ("low", "middle", "high")) == count
        assert found["edges"][0] <= found["edges"][1]


def test_a_condition_that_never_changes_is_left_out():
    found = split_figures(predictions(12, focal=np.full(12, 615.0)), MOST_M)
    assert set(found) == set(SPLIT_FIGURES)
    assert set(found["conditions"]) == {"distance", "side", "elevation"}


def test_frames_of_which_it_is_unsure_are_confessed_and_no_others():
    sigma = np.full((10, 3), 0.001)
    sigma[:3, 1] = 0.03
    found = split_figures(predictions(10, fovea_sigma=sigma), MOST_M)["confessed"]
    assert (found["share"], found["n"]) == (0.3, 7)


def test_left_and_right_of_the_camera_are_the_same_side():
    side = np.linspace(0.1, 1.0, 12)
    left, right = (split_figures(predictions(12, side=sign * side), MOST_M)["conditions"]["side"] for sign in (1, -1))
    assert left == right


def test_only_frames_that_show_the_tool_are_judged_and_those_between_are_neither():
    shown = np.array([0.0, HIDDEN / 2, (SHOWN + HIDDEN) / 2, SHOWN, 0.5, 0.6])
    sigma = np.full((6, 3), 0.001)
    sigma[[0, 4]] = 0.03
    found = visible_figures(
        predictions(6, shown=shown, fovea_sigma=sigma, in_window=np.array([0, 0, 0, 1, 1, 0])), MOST_M
    )
    assert (found["pair"]["n"], found["hidden"], found["answered"]["n"]) == (3, 2, 2)
    assert found["confessed"] == 0.5
    assert found["in_window"] == pytest.approx(2 / 3, abs=1e-4)


def test_where_nothing_is_hidden_no_share_of_it_is_told():
    found = visible_figures(predictions(5, shown=np.ones(5)), MOST_M)
    assert found["hidden"] == 0
    assert "confessed" not in found
