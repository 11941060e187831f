"""Keeps a fixed rate that does not drift; the wait can be interrupted."""

import time
from collections.abc import Callable
from threading import Event


class Ticker:
    """Ticks at multiples of the period from the first one; after a late tick there is no burst to catch up.

    ``clock`` and ``wait`` exist for tests: ``wait(s)`` returns True if the loop was interrupted meanwhile.
    """

    def __init__(
        self,
        period_s: float,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self.period_s = period_s
        self._clock = clock
        self._wait = Event().wait if wait is None else wait
        self._next_s: float | None = None
        self.due_s = -float("inf")
        """When the tick last waited for was due."""

    def wait(self) -> bool:
        """Wait for the next tick; returns True if interrupted. Overdue ticks are skipped; the next comes at once."""
        now = self._clock()
        if self._next_s is None:
            self._next_s = now
        self.due_s = self._next_s
        interrupted = self._wait(max(self._next_s - now, 0.0))
        now = self._clock()
        missed = max(int((now - self._next_s) / self.period_s), 0)
        self._next_s += (missed + 1) * self.period_s
        return interrupted

    def reset(self) -> None:
        """Let the next tick come at once, and count the following ones from there."""
        self._next_s = None
