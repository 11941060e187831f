"""The camera interface that the simulated, the recorded and the real RGB-D camera satisfy."""

from abc import abstractmethod

from datasets.common.device import Device
from datasets.common.errors import DeviceError
from datasets.rig.frame import Frame
from datasets.rig.projection import Intrinsics


class RecordingEnded(DeviceError):
    """All frames of a recording, or of the goal that was begun, have been given."""


class Camera(Device):
    """An RGB-D camera; once connected it delivers frames."""

    @property
    @abstractmethod
    def intrinsics(self) -> Intrinsics:
        """The colour stream's intrinsics; raises DeviceError while disconnected."""

    @abstractmethod
    def read(self) -> Frame:
        """Block until a frame newer than the last one read arrives; raises DeviceError when none comes."""

    @abstractmethod
    def read_latest(self, max_age_s: float) -> Frame:
        """The newest frame, within 50 ms; raises DeviceError when it is older than ``max_age_s``."""

    def begin_goal(self, index: int) -> float | None:
        """Begin goal ``index`` (from 0) with the arm at rest: older frames must not be acted on.

        A live camera waits for a new frame and returns when it was taken (``time.monotonic``). One that plays a run
        goes on to the frames of that goal, and returns None.

        Raises:
            DeviceError: no frame comes.
        """
        return self.read().timestamp
