"""Stops the arm before Ctrl-C, a lost terminal or any other signal ends or suspends the program."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from pipelines.runtime.stops import Stop, StopReason

_WORDS: dict[int, str] = {
    signal.SIGINT: "interrupted (Ctrl-C)",
    signal.SIGTERM: "the program was asked to end (SIGTERM)",
    signal.SIGHUP: "the terminal is gone (SIGHUP)",
    signal.SIGQUIT: "the program was asked to quit (Ctrl-\\, SIGQUIT)",
    signal.SIGTSTP: "the program was asked to pause (Ctrl-Z, SIGTSTP), and then no program would watch the arm",
    signal.SIGTTIN: "the program was to read while in the background (SIGTTIN)",
    signal.SIGTTOU: "the program was to write while in the background (SIGTTOU)",
    signal.SIGXCPU: "the program used up its processor time (SIGXCPU)",
}
_SPARED = {
    *("SIGKILL", "SIGSTOP"),  # cannot be handled
    *("SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV", "SIGSYS", "SIGTRAP"),  # a program cannot continue after them
    *("SIGCHLD", "SIGCONT", "SIGINFO", "SIGPIPE", "SIGURG", "SIGWINCH", "SIGXFSZ"),  # do not end or suspend the program
}
_HEEDED = {number for number in signal.valid_signals() if getattr(number, "name", "") not in _SPARED}
"""The signals that would end or suspend the program, and may come from outside it."""
_STOPPING_S = 1.0
"""Longest duration of a stop, s; if the thread takes longer, its end of the pipe is left open."""


class Interruption:
    """A flag that the first signal sets; it keeps the signal's number.

    A flag and a bare lock that a waiting thread takes and gives back: unlike :class:`threading.Event`, which holds a
    lock while it waits, it may be set in a signal handler that interrupts the waiting itself.

    Attributes:
        number: the signal's number; Ctrl-C's if the flag was set without a signal.
    """

    number: int = signal.SIGINT

    def __init__(self) -> None:
        self._is_set = False
        self._unset = threading.Lock()
        self._unset.acquire()

    def __str__(self) -> str:
        name = next((each.name for each in signal.Signals if each == self.number), f"signal {self.number}")
        return _WORDS.get(self.number, f"the program was asked to end ({name})")

    def is_set(self) -> bool:
        """Whether a signal came."""
        return self._is_set

    def set(self) -> None:
        """End every :meth:`wait`, now and from now on; may be called in a signal handler."""
        if not self._is_set:
            self._is_set = True
            with contextlib.suppress(RuntimeError):  # another thread did so at the same moment
                self._unset.release()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until it is set, at most ``timeout_s``; returns whether it is set."""
        if self._is_set:
            return True
        if self._unset.acquire(timeout=-1 if timeout_s is None else min(max(timeout_s, 0.0), threading.TIMEOUT_MAX)):
            with contextlib.suppress(RuntimeError):
                self._unset.release()
        return self._is_set

    def stop(self, more: str = "") -> Stop:
        """The stop that the signal asked for; ``more`` is added to its message."""
        return Stop(StopReason.OPERATOR, f"{self}{more}")


@contextmanager
def stop_on_signals(
    stop: Callable[[], object], *, keep_nohup: bool = False, at_once: bool = False
) -> Iterator[Interruption]:
    """Within this context, each signal that would end or suspend the program calls ``stop`` and sets the yielded flag.

    The interpreter itself writes the signal's number into a pipe, and a thread started beforehand reads it and calls
    ``stop``: even while the main thread is stuck or holds any lock, or when no new thread can be started. A second
    signal raises KeyboardInterrupt at once, in case the program hangs.

    Args:
        keep_nohup: a SIGHUP that the caller ignores (``nohup``) stays ignored: for a run that moves no real arm.
        at_once: the first signal raises KeyboardInterrupt too: for callers that do not watch the yielded flag.
    """
    interrupted = Interruption()
    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    def handle(number: int, frame: FrameType | None) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.number = number
        interrupted.set()
        if at_once:
            raise KeyboardInterrupt

    def listen() -> None:
        while number := os.read(reading, 1):
            if number[0] in numbers:
                stop()
                return

    numbers = [
        number
        for number in _HEEDED
        if not (keep_nohup and number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN)
    ]
    listener = threading.Thread(target=listen, name="stop on signal", daemon=True)
    listener.start()
    woken_before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield interrupted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(woken_before)
        os.close(writing)
        listener.join(_STOPPING_S)
        if not listener.is_alive():
            os.close(reading)
