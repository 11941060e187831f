"""The camera interface that the simulated, the recorded and the real RGB-D camera satisfy."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from datasets.frame import Frame
from datasets.projection import Intrinsics


class Camera(ABC):
    """An RGB-D camera, used as a context manager.

    ``connect`` is transactional: when it raises, nothing is left open. ``disconnect`` may be called at any time, any
    number of times.
    """

    @property
    @abstractmethod
    def is_connected(self) -> bool:
        """Whether frames can be read."""

    @property
    @abstractmethod
    def intrinsics(self) -> Intrinsics:
        """The colour stream's intrinsics; raises DeviceError while disconnected."""

    @abstractmethod
    def connect(self) -> None:
        """Open the device and wait until it delivers frames; raises DeviceError."""

    @abstractmethod
    def read(self) -> Frame:
        """Block until a frame newer than the last one read arrives; raises DeviceError when none comes."""

    @abstractmethod
    def read_latest(self, max_age_s: float) -> Frame:
        """The newest frame, at once; raises DeviceError when it is older than ``max_age_s``."""

    @abstractmethod
    def disconnect(self) -> None:
        """Release the device; idempotent, never raises."""

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.disconnect()
