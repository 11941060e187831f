"""The actor's features, computed from what a policy may know; training and the arm use the same code."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from control.policies.delay_fusion import MotionFusion
from control.policies.policy import Observation

REST = slice(0, 3)
ESTIMATE = slice(3, 6)
SIGMA = slice(6, 9)
SPREAD = slice(9, 12)
COMMAND = slice(12, 15)
DELAY = slice(15, 16)
SIZE = 16


class FeatureEncoder:
    """Encodes the observations of one episode as vectors ``(16,)`` float32, in metres and seconds.

    =========  ====================================================================
    slice      content
    =========  ====================================================================
    REST       where the TCP comes to rest, estimates and commands fused
    ESTIMATE   the newest estimate alone
    SIGMA      its standard deviation
    SPREAD     standard deviation of REST
    COMMAND    the displacement sent at the previous step
    DELAY      mean of the delay's distribution
    =========  ====================================================================

    The goal is not among them: hindsight replay exchanges goals, so a stored feature that contains one becomes wrong.
    """

    def __init__(self, period_s: float) -> None:
        self._fusion = MotionFusion(period_s)

    def reset(self) -> None:
        """Forget the episode."""
        self._fusion.reset()

    def hold(self, last_command: NDArray[np.float64]) -> None:
        """Process the displacement sent at the previous step, ``(3,)`` m, in a step without an observation."""
        self._fusion.predict(last_command)

    def encode(self, observation: Observation) -> NDArray[np.float32]:
        """Features ``(16,)`` of the newest observation."""
        estimate = observation.estimate
        fused = self._fusion.update(estimate, observation.last_command)
        parts: list[ArrayLike] = [
            fused.rest,
            estimate.xyz,
            estimate.sigma,
            fused.spread,
            observation.last_command,
            [fused.delay_s],
        ]
        return np.concatenate(parts, dtype=np.float32, casting="same_kind")
