"""Stops the arm when the control loop falls silent, no matter where the loop is stuck."""

import threading
import time
from collections.abc import Callable
from types import TracebackType


class Watchdog:
    """A thread that calls ``stop`` once, when :meth:`feed` has not been called for ``timeout_s``.

    It sleeps until the deadline rather than polling, so it costs the loop nothing.
    """

    def __init__(self, timeout_s: float, stop: Callable[[], object]) -> None:
        self._timeout_s, self._stop = timeout_s, stop
        self._fed = threading.Condition()
        self._deadline_s: float | None = None
        self._closed = False
        self.fired_at_s: float | None = None
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def feed(self) -> None:
        """Report that the loop is alive: the deadline moves to ``timeout_s`` from now."""
        with self._fed:
            self._deadline_s = time.monotonic() + self._timeout_s
            self._fed.notify()

    def rest(self) -> None:
        """Expect nothing until the next :meth:`feed`: the arm is homing, or the operator is asked."""
        with self._fed:
            self._deadline_s = None
            self._fed.notify()

    @property
    def has_fired(self) -> bool:
        """Whether it stopped the arm; a loop that comes back to life must not go on."""
        return self.fired_at_s is not None

    def __enter__(self) -> "Watchdog":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._fed:
            self._closed = True
            self._fed.notify()
        self._thread.join()

    def _watch(self) -> None:
        with self._fed:
            while not self._closed:
                left = None if self._deadline_s is None else self._deadline_s - time.monotonic()
                if left is not None and left <= 0:
                    self.fired_at_s, self._deadline_s = time.monotonic(), None
                    self._fed.release()
                    try:
                        self._stop()
                    finally:
                        self._fed.acquire()
                else:
                    self._fed.wait(left)
