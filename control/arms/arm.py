"""The arm interface that the simulated and the real xArm7 satisfy."""

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from datasets.common.device import Device
from datasets.common.errors import DeviceError

Vector = NDArray[np.float64]


class Arm(Device):
    """An arm whose TCP is moved by displacements of its last target; ``disconnect`` leaves it at rest.

    Attributes:
        is_passive: whether the arm never moves; :meth:`move` then only returns what would be sent.
    """

    is_passive = False

    @property
    @abstractmethod
    def tcp(self) -> Vector:
        """The encoders' own TCP position, ``(3,)`` m in the base frame.

        It serves safety, labels and reports; the policy never sees it.
        """

    @property
    @abstractmethod
    def target(self) -> Vector:
        """The last commanded TCP position, ``(3,)`` m in the base frame."""

    @abstractmethod
    def tcp_at(self, time_s: float) -> Vector:
        """The encoders' TCP, ``(3,)`` m, at a past moment of ``time.monotonic``, such as a frame's timestamp.

        Raises DeviceError when the reports do not cover that moment.
        """

    def covers(self, time_s: float) -> bool:
        """Whether :meth:`tcp_at` can answer for a moment: just after the start it may lie before the first report."""
        try:
            self.tcp_at(time_s)
        except DeviceError:
            return False
        return True

    def joints_at(self, time_s: float) -> Vector:
        """The encoders' joints ``(7,)`` rad at a past moment, as :meth:`tcp_at`: the labels of recorded frames."""
        raise DeviceError(f"{type(self).__name__} does not report joint angles")

    @abstractmethod
    def home(self) -> None:
        """Go to the rig's home slowly, inside the fence; returns on arrival. Home becomes the target."""

    @abstractmethod
    def move(self, displacement_m: Vector) -> Vector:
        """Move the last target by ``displacement_m`` ``(3,)``, clipped to step limit and fence.

        Returns the displacement actually sent, without waiting. Raises SafetyStop on a command that is not finite,
        DeviceError when the controller reports a fault.
        """

    def why_stopped(self) -> str | None:
        """Returns in words why the arm no longer takes commands; None while it takes them."""
        return None

    @abstractmethod
    def stop(self) -> bool:
        """Stop all motion now and keep the arm stopped; safe to call from any thread, at any time.

        Returns whether the stop was confirmed; where it was not, the arm may still be on its way to its last target.
        """
