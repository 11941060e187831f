"""Ctrl-C, termination and a terminal that is gone stop the arm first, then end the program in order."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from pipelines.runtime.stops import Stop, StopReason

_WORDS = {
    signal.SIGINT: "interrupted (Ctrl-C)",
    signal.SIGTERM: "the program was told to end (SIGTERM)",
    signal.SIGHUP: "the terminal is gone (SIGHUP)",
}


class Interruption(threading.Event):
    """Is set by the first signal; tells which it was.

    Attributes:
        number: of that signal; Ctrl-C's where it was set without one.
    """

    number: int = signal.SIGINT

    def __str__(self) -> str:
        return _WORDS[signal.Signals(self.number)]

    def stop(self, more: str = "") -> Stop:
        """The stop that the signal asked for, in words to which ``more`` is added."""
        return Stop(StopReason.OPERATOR, f"{self}{more}")


@contextmanager
def stop_on_signals(stop: Callable[[], object]) -> Iterator[Interruption]:
    """While inside, SIGINT, SIGTERM and SIGHUP call ``stop`` on a thread of its own and set the event that is yielded.

    On a thread of its own, because the handler runs in the middle of whatever the main thread does and must not wait
    for a lock that it holds. A second signal raises KeyboardInterrupt at once, should the program hang.
    """
    interrupted = Interruption()

    def handle(number: int, frame: FrameType | None) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.number = number
        interrupted.set()
        threading.Thread(target=stop, name="stop on signal", daemon=True).start()

    before = {number: signal.signal(number, handle) for number in _WORDS}
    try:
        yield interrupted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
