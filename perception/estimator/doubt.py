r"""The probability that an answer is not the TCP, by the looks' sigmas and by lengths of the arm.

Looks that also find elbow, wrist and the tool's axis (:mod:`datasets.rig.landmarks`) may contradict their own answer:
no joint changes how far those places are from each other and from the TCP. The evidence of an answer :math:`x` is

.. math:: \left(\ln\sigma_{coarse},\ \ln\sigma_{fovea},\ \ln(\epsilon + |\,\|x - w\| - l_w|),\
          \ln(\epsilon + |\,\|x - a\| - l_a|),\ \ln(\epsilon + |\,\|e - w\| - l_e|)\right)

with the largest raw deviations :math:`\sigma` of both looks, the elbow :math:`e` as the glance sees it, wrist :math:`w`
and point on the axis :math:`a` as the parafovea does. The probability is the logistic function of a weighted sum.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from datasets.rig.landmarks import AXIS_M, ELBOW_TO_WRIST_M, wrist_to_tcp_m
from datasets.rig.projection import Array

EVIDENCE = 5
"""How many numbers the evidence of one answer has."""
NO_EVIDENCE = np.full(EVIDENCE, np.nan)
_EPSILON_M = 0.005
"""About the error of the looks' landmarks: below it, a deviation says nothing."""

Exact = NDArray[np.float64]


@dataclass(frozen=True)
class Doubt:
    """Tells which answers to doubt.

    Attributes:
        weights: ``(6,)``, of one and of the evidence.
        limit: an answer that is wrong with a larger probability is doubted.
        sigma_m: ``(3,)`` m along the base frame's axes, the least sigma of such an answer.
    """

    weights: Exact
    limit: float
    sigma_m: Exact

    def probability(self, evidence: ArrayLike) -> Exact:
        """Probability ``(...)`` that answers with the evidence ``(..., 5)`` are not the TCP."""
        score = self.weights[0] + np.asarray(evidence, dtype=float) @ self.weights[1:]
        return 1 / (1 + np.exp(-np.clip(score, -50, 50)))

    def doubts(self, evidence: ArrayLike) -> NDArray[np.bool_]:
        """Whether answers with the evidence ``(..., 5)`` are doubted, ``(...)``."""
        return np.asarray(self.probability(evidence) > self.limit)

    def to_json(self) -> dict[str, Any]:
        """The values as plain lists and numbers."""
        return {
            "weights": [round(float(weight), 4) for weight in self.weights],
            "limit": round(self.limit, 4),
            "sigma_m": [round(float(sigma), 4) for sigma in self.sigma_m],
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """The reverse of :meth:`to_json`.

        Raises:
            KeyError, TypeError, ValueError: not such values.
        """
        weights, sigma_m = (np.asarray(values[key], dtype=float) for key in ("weights", "sigma_m"))
        limit = float(values["limit"])
        if weights.shape != (1 + EVIDENCE,) or sigma_m.shape != (3,) or not np.all(np.isfinite(weights)):
            raise ValueError(f"doubt needs {1 + EVIDENCE} finite weights and three values of sigma_m")
        if not (0 < limit < 1 and np.all((sigma_m > 0) & (sigma_m < np.inf))):
            raise ValueError("doubt needs a limit between 0 and 1 and positive values of sigma_m")
        return cls(weights, limit, sigma_m)


def evidence_of(
    answer: Array, coarse_sigma: Array, fovea_sigma: Array, elbow: Array, wrist: Array, axis: Array, tcp_offset_m: float
) -> Exact:
    """The evidence ``(5,)`` of an answer ``(3,)`` m: raw sigmas ``(3,)`` m, landmarks ``(3,)`` m in the base frame.

    ``tcp_offset_m`` is the TCP's distance from the flange along its axis.
    """
    lengths = (
        np.linalg.norm(answer - wrist) - wrist_to_tcp_m(tcp_offset_m),
        np.linalg.norm(answer - axis) - AXIS_M,
        np.linalg.norm(elbow - wrist) - ELBOW_TO_WRIST_M,
    )
    return np.log([coarse_sigma.max(), fovea_sigma.max(), *(_EPSILON_M + np.abs(lengths))])
