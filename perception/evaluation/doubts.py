"""Fits which answers to doubt (:mod:`perception.estimator.doubt`) to answers whose truth is known."""

import numpy as np
from scipy.optimize import minimize

from datasets.common.errors import ConfigError
from perception.estimator.doubt import Doubt
from perception.evaluation.predictions import Predictions

RIGHT_DOUBTED = 0.07
"""Share of the right answers that may be doubted. Chosen on frames of other seeds than any split's: of the answers that
are not doubted, 4.8 % are wrong with 0.05, 3.6 % with 0.07, 3.0 % with 0.08."""
FEWEST = 30
"""Wrong answers without which nothing is fitted, and right ones likewise."""
_RIDGE = 1e-4


def fit_doubt(predictions: Predictions, wrong_m: float) -> Doubt:
    """Logistic regression on answers; those with an error above ``wrong_m`` count as wrong.

    Raises:
        ConfigError: the looks give no evidence, or too few answers are wrong or right.
    """
    errors, evidence = predictions.fovea - predictions.tcp, predictions.evidence
    if not np.all(np.isfinite(evidence)):
        raise ConfigError(
            "doubt_split needs looks that find landmarks: train glance and parafovea with landmarks, or leave it out"
        )
    wrong = np.linalg.norm(errors, axis=1) > wrong_m
    if min(wrong.sum(), (~wrong).sum()) < FEWEST:
        raise ConfigError(
            f"doubt_split has {wrong.sum()} wrong and {(~wrong).sum()} right answers, at least {FEWEST} of each are "
            "needed: give it more frames, and cameras in whose image the tool does not lie"
        )
    middle, spread = evidence.mean(axis=0), evidence.std(axis=0)
    columns = np.column_stack([np.ones(len(wrong)), (evidence - middle) / spread])

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        scores = columns @ weights
        gradient = columns.T @ (1 / (1 + np.exp(-scores)) - wrong) / len(wrong) + _RIDGE * weights
        return float(np.mean(np.logaddexp(0, scores) - wrong * scores) + _RIDGE * weights @ weights / 2), gradient

    slopes = minimize(loss, np.zeros(columns.shape[1]), jac=True, method="BFGS").x
    weights = np.concatenate([[slopes[0] - slopes[1:] @ (middle / spread)], slopes[1:] / spread])
    probability = Doubt(weights, 0.5, np.ones(3)).probability(evidence)
    limit = float(np.quantile(probability[~wrong], 1 - RIGHT_DOUBTED))
    return Doubt(weights, limit, np.sqrt(np.mean(errors[probability > limit] ** 2, axis=0)))
