"""Frames that cannot be answered: the estimator says so."""

from pathlib import Path

import numpy as np
import pytest

from datasets.scene.photographer import Photographer
from datasets.scene.scene import Scene
from perception.estimator.estimator import PositionEstimator
from perception.evaluation.corruptions import KINDS, confidently_wrong, corrupted_photograph

MODEL = Path("models/estimator")


def test_the_committed_model_is_unsure_of_corrupted_frames(photographer: Photographer, scenes: list[Scene]) -> None:
    estimator = PositionEstimator.load(MODEL)
    errors, sigmas = [], []
    for index, scene in enumerate(scenes):
        photograph = corrupted_photograph(photographer, scene, KINDS[index % len(KINDS)], index)
        found = estimator.locate(photograph, scene.t_base_camera_told, scene.intrinsics).fovea
        errors.append(found.xyz - scene.tcp)
        sigmas.append(found.sigma)
    assert np.all(np.isfinite(sigmas))
    assert confidently_wrong(np.array(errors), np.array(sigmas)) == 0


def test_only_an_answer_that_is_wrong_and_sure_is_confidently_wrong():
    wrong, right = [0.06, 0.0, 0.0], [0.04, 0.0, 0.0]
    sure, unsure = [0.001, 0.001, 0.019], [0.001, 0.021, 0.001]
    errors, sigmas = np.array([wrong, wrong, right, right]), np.array([sure, unsure, sure, unsure])
    assert confidently_wrong(errors, sigmas) == 0.25


@pytest.mark.parametrize("kind", KINDS)
def test_a_corruption_is_the_same_for_the_same_seed_and_spoils_what_it_says(photographer, scenes, rig, kind):
    def pictures(seed):
        photograph = corrupted_photograph(photographer, scenes[0], kind, seed)
        return photograph(rig.picture_window, 84)

    plain = photographer.photograph(scenes[0], rig.picture_window, 84, 0)
    (rgb, depth), again = pictures(1), pictures(1)
    np.testing.assert_array_equal(again[0], rgb)
    np.testing.assert_array_equal(again[1], depth)
    assert (rgb.max() < 4) == (kind in ("black", "capped"))
    assert (not depth.any()) == (kind in ("no_depth", "capped"))
    assert np.array_equal(rgb, plain[0]) == (kind == "no_depth")
    assert np.array_equal(depth, plain[1]) == (kind == "black")
