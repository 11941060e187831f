"""What is fitted to answers whose truth is known: the wrong ones are doubted, and few of the right ones."""

from dataclasses import fields, replace

import numpy as np
import pytest

from datasets.common.errors import ConfigError
from perception.estimator.doubt import EVIDENCE, NO_EVIDENCE
from perception.evaluation.doubts import FEWEST, RIGHT_DOUBTED, fit_doubt
from perception.evaluation.predictions import Predictions

WRONG_M = 0.03


def answers(count: int, apart: float, wrong_share: float = 0.3, seed: int = 0) -> tuple[Predictions, np.ndarray]:
    """Of which some are 0.2 m wrong, and whose evidence then lies ``apart`` from the others'; and which are."""
    rng = np.random.default_rng(seed)
    wrong = rng.uniform(size=count) < wrong_share
    evidence = rng.normal(-5, 1, (count, EVIDENCE))
    evidence[wrong, :2] += apart
    away = np.where(wrong, 0.2, 0.001)[:, None] * np.array([[0.0, 0.0, 1.0]])
    values = {field.name: np.zeros(count) for field in fields(Predictions)}
    values |= {"tcp": np.zeros((count, 3)), "fovea": away, "evidence": evidence}
    return Predictions(**values), wrong


@pytest.mark.parametrize("apart", [0.0, 1.0, 3.0, 30.0])
def test_the_share_of_right_answers_that_are_doubted_is_as_promised(apart: float) -> None:
    known, _ = answers(3000, apart)
    doubt = fit_doubt(known, WRONG_M)
    unseen, wrong = answers(3000, apart, seed=1)
    doubted = doubt.probability(unseen.evidence) > doubt.limit
    assert abs(doubted[~wrong].mean() - RIGHT_DOUBTED) < 0.025
    # Two features that lie `apart` each: of a Gaussian, by its distribution's value at sqrt(2) * apart - 1.476.
    expected = {0.0: 0.07, 1.0: 0.475, 3.0: 0.997, 30.0: 1.0}[apart]
    assert abs(doubted[wrong].mean() - expected) < 0.06


def test_a_doubted_answer_has_the_error_of_those_it_was_learnt_from() -> None:
    known, _ = answers(3000, 30.0)
    doubt = fit_doubt(known, WRONG_M)
    doubted = doubt.probability(known.evidence) > doubt.limit
    np.testing.assert_allclose(doubt.sigma_m, np.sqrt(np.mean(known.fovea[doubted] ** 2, axis=0)))
    assert doubt.sigma_m[2] > 0.15


@pytest.mark.parametrize(("count", "share"), [(FEWEST, 0.5), (3000, 0.0), (3000, 1.0)])
def test_too_few_of_either_kind_are_refused_and_counted(count: int, share: float) -> None:
    with pytest.raises(ConfigError, match=r"doubt_split has \d+ wrong and \d+ right answers, at least 30 of each"):
        fit_doubt(answers(count, 1.0, share)[0], WRONG_M)


def test_looks_without_landmarks_are_refused() -> None:
    known, wrong = answers(300, 1.0)
    with pytest.raises(ConfigError, match="train glance and parafovea with landmarks"):
        fit_doubt(replace(known, evidence=np.tile(NO_EVIDENCE, (len(wrong), 1))), WRONG_M)
