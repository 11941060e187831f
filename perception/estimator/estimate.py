"""What perception says: where the TCP is, and how sure it is of that."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from datasets.rig.frame import Frame
from datasets.rig.projection import Intrinsics


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
    """Anything that locates the TCP in a frame."""

    def estimate(
        self,
        frame: Frame,
        t_base_camera: NDArray[np.float64] | None = None,
        intrinsics: Intrinsics | None = None,
    ) -> PositionEstimate:
        """Locate the TCP; the camera's calibrated pose (4x4) and intrinsics default to the rig's own.

        Raises:
            DataError: the frame's size or type does not fit what the networks were trained for.
        """
        ...
