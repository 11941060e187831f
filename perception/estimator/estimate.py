"""The answer of perception: the position of the TCP and its uncertainty."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from datasets.rig.frame import Frame


@dataclass(frozen=True)
class PositionEstimate:
    """An estimated TCP position.

    Attributes:
        xyz: ``(3,)`` m in the base frame.
        sigma: ``(3,)`` m, one calibrated standard deviation per axis.
    """

    xyz: NDArray[np.float64]
    sigma: NDArray[np.float64]


class Estimator(Protocol):
    """Anything that locates the TCP in the frames of one camera."""

    def estimate(self, frame: Frame) -> PositionEstimate:
        """Locate the TCP.

        Raises:
            DataError: the frame's size or type does not fit what the networks were trained for.
        """
        ...
