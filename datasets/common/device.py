"""The interface of every device: it opens completely or not at all, and is always released."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Device(ABC):
    """A camera or an arm, used as a context manager.

    ``connect`` is transactional: when it raises, nothing is left open. ``disconnect`` may be called at any time, any
    number of times.
    """

    @property
    @abstractmethod
    def is_connected(self) -> bool:
        """Whether the device can be used."""

    @abstractmethod
    def connect(self) -> None:
        """Open the device; raises DeviceError."""

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
