"""Ctrl-C, termination and a terminal that is gone stop the arm first, then end the program in order."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stop_on_signals(stop: Callable[[], object]) -> Iterator[threading.Event]:
    """While inside, SIGINT, SIGTERM and SIGHUP call ``stop`` on a thread of its own and set the event that is yielded.

    On a thread of its own, because the handler runs in the middle of whatever the main thread does and must not wait
    for a lock that it holds. A second signal raises KeyboardInterrupt at once, should the program hang.
    """
    interrupted = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()
        threading.Thread(target=stop, name="stop on signal", daemon=True).start()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield interrupted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
