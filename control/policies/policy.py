"""The policy interface, which turns what the camera saw into a displacement."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from perception.estimator.estimate import PositionEstimate


@dataclass(frozen=True)
class Observation:
    """Everything that a policy may know. Nothing here comes from the encoders.

    Attributes:
        estimate: the TCP's position as perception estimates it, with its sigma.
        goal: ``(3,)`` m in the base frame.
        last_command: ``(3,)`` m, the displacement sent since the last ``act`` or ``hold`` (zero after a reset).
    """

    estimate: PositionEstimate
    goal: NDArray[np.float64]
    last_command: NDArray[np.float64]


class Policy(Protocol):
    """Maps observations to displacements; may keep a memory within an episode."""

    def reset(self) -> None:
        """Forget the episode."""
        ...

    def act(self, observation: Observation) -> NDArray[np.float64]:
        """Returns the displacement ``(3,)`` m in the base frame that is to be added to the last target."""
        ...

    def hold(self, last_command: NDArray[np.float64]) -> None:
        """Takes the place of ``act`` in a period without a usable estimate, in which the arm is told to stay.

        Without it, a memory that counts periods falls behind.

        Args:
            last_command: as in :class:`Observation`.
        """
        ...
