"""The reward of the reach task, as a sum of named terms."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from datasets.common.config import Checked, Within


@dataclass(frozen=True)
class RewardParams(Checked):
    """Weights of the terms.

    Attributes:
        kind: ``dense``: :math:`-w d`; ``sparse``: 0 within ``success_m`` of the goal, else -1 (the original's).
        distance_weight: :math:`w`, 1/m. With 10, a goal at the edge (0.20 m) costs 2 per step.
        success_m: the sparse reward's tolerance, m.
        effort_weight: cost of the squared length of the normalised action; 0 unless settling needs it.
    """

    PART = "reward."

    kind: Literal["dense", "sparse"] = "dense"
    distance_weight: Annotated[float, Within(0, unit="1/m", above=True)] = 10.0
    success_m: Annotated[float, Within(0, unit="m", above=True)] = 0.05
    effort_weight: Annotated[float, Within(0)] = 0.0


def goal_term(achieved_m: NDArray, desired_m: NDArray, params: RewardParams) -> NDArray:
    """Reward ``(...)`` of true TCP positions ``(..., 3)`` m for goals ``(..., 3)`` m."""
    distance = np.linalg.norm(achieved_m - desired_m, axis=-1)
    if params.kind == "sparse":
        return -(distance > params.success_m).astype(np.float64)
    return -params.distance_weight * distance


def reward_terms(achieved_m: NDArray, desired_m: NDArray, action: NDArray, params: RewardParams) -> dict[str, float]:
    """All terms of one step; the reward is their sum. ``action`` is normalised, ``(3,)`` in [-1, 1]."""
    return {
        "goal": float(goal_term(achieved_m, desired_m, params)),
        "effort": -params.effort_weight * float(np.sum(np.square(action))),
    }
