"""What this process holds, looked at every few seconds: memory, threads, open files and sockets."""

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from datasets.common.errors import ConfigError

_SELF = Path("/proc/self")


@dataclass(frozen=True)
class Holdings:
    """What the process held at ``time_s`` (``time.monotonic``).

    Attributes:
        memory_mb: resident memory, 1e6 bytes.
        threads: of the operating system, those of native libraries included.
        thread_names: of Python, sorted.
        sockets: open sockets; files: open file descriptors of every other kind.
        counts: of the run itself, such as ticks.
    """

    time_s: float
    memory_mb: float
    threads: int
    thread_names: tuple[str, ...]
    sockets: int
    files: int
    counts: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def now(cls, counts: Mapping[str, float] | None = None) -> "Holdings":
        """Of this process; raises ConfigError where there is no ``/proc``."""
        if not (_SELF / "fd").is_dir():
            raise ConfigError("this system has no /proc/self, which tells memory, threads and sockets; run on Linux")
        pages = int((_SELF / "statm").read_text().split()[1])
        kinds = [_kind_of(descriptor) for descriptor in os.listdir(_SELF / "fd")]
        return cls(
            time.monotonic(),
            pages * os.sysconf("SC_PAGE_SIZE") / 1e6,
            len(os.listdir(_SELF / "task")),
            tuple(sorted(thread.name for thread in threading.enumerate())),
            kinds.count("socket"),
            len([kind for kind in kinds if kind == "file"]),
            dict(counts or {}),
        )


def _kind_of(descriptor: str) -> str:
    try:
        return "socket" if os.readlink(_SELF / "fd" / descriptor).startswith("socket:") else "file"
    except OSError:  # closed since it was listed, as the listing's own is
        return "gone"


class ProcessWatch:
    """Takes :class:`Holdings` every ``period_s`` on a thread of its own; a context manager.

    Args:
        period_s: between looks.
        counts: asked at every look for the run's own figures.
    """

    def __init__(self, period_s: float, counts: Callable[[], Mapping[str, float]]) -> None:
        self._period_s, self._counts = period_s, counts
        self.seen: list[Holdings] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="process watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while True:
            self.seen.append(Holdings.now(self._counts()))
            if self._over.wait(self._period_s):
                return
