"""The common base of the twins: each is started and stopped, best by ``with``."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Service(ABC):
    """Something that runs between :meth:`start` and :meth:`stop`; a context manager of the two."""

    @abstractmethod
    def start(self) -> None:
        """Begin; if it raises DeviceError, nothing is left running."""

    @abstractmethod
    def stop(self) -> None:
        """End; idempotent."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
