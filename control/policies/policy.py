"""The policy interface: from what the camera saw to a displacement."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from perception.estimator.estimate import PositionEstimate


@dataclass(frozen=True)
class Observation:
    """All a policy may know. Nothing here comes from the encoders.

    Attributes:
        estimate: where perception says the TCP is, with its sigma.
        goal: ``(3,)`` m in the base frame.
        last_command: ``(3,)`` m, the displacement sent since the policy last acted (zero after a reset).
    """

    estimate: PositionEstimate
    goal: NDArray[np.float64]
    last_command: NDArray[np.float64]


class Policy(Protocol):
    """Maps observations to displacements; may remember within an episode."""

    def reset(self) -> None:
        """Forget the episode."""
        ...

    def act(self, observation: Observation) -> NDArray[np.float64]:
        """The displacement ``(3,)`` m in the base frame to add to the last target."""
        ...
