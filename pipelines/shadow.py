"""An arm that takes commands and does not move: everything runs, and what would have been sent is shown."""

import numpy as np
from numpy.typing import NDArray

from control.arms.arm import Arm
from control.safety import Fence


class ShadowArm(Arm):
    """Answers from a connected arm's reports; commands go through the fence and end there.

    Every command counts from where the TCP is, because targets that nobody follows would run away.
    """

    def __init__(self, arm: Arm, fence: Fence) -> None:
        self._arm, self._fence = arm, fence

    @property
    def is_connected(self) -> bool:
        """Whether the arm behind reports."""
        return self._arm.is_connected

    @property
    def tcp(self) -> NDArray[np.float64]:
        """The encoders' TCP, ``(3,)`` m."""
        return self._arm.tcp

    @property
    def target(self) -> NDArray[np.float64]:
        """Where the TCP is: nothing else is ever commanded."""
        return self._arm.tcp

    def tcp_at(self, time_s: float) -> NDArray[np.float64]:
        """The encoders' TCP at a past moment."""
        return self._arm.tcp_at(time_s)

    def joints_at(self, time_s: float) -> NDArray[np.float64]:
        """The encoders' joints at a past moment."""
        return self._arm.joints_at(time_s)

    def connect(self) -> None:
        """Nothing: the arm behind is connected by whoever opened it."""

    def home(self) -> None:
        """Nothing moves."""

    def move(self, displacement_m: NDArray[np.float64]) -> NDArray[np.float64]:
        """What would be sent from here; raises SafetyStop as the real command would."""
        here = self._arm.tcp
        return np.asarray(self._fence.next_target(here, displacement_m) - here, dtype=float)

    def stop(self) -> None:
        """Stop the arm behind, in case somebody else moves it."""
        self._arm.stop()

    def disconnect(self) -> None:
        """Nothing: see :meth:`connect`."""
