"""Sends commands from a separate thread: a stalled controller delays the commands, but never the control loop."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

C = TypeVar("C")


class CommandSender(Generic[C]):
    """Sends the newest command; a command that is replaced by a newer one before it was sent is dropped.

    Args:
        send: sends one command and returns the SDK's code; called on this sender's thread only.
        refused: called with every code that is not 0.

    Attributes:
        last_sent_s: when the newest command went out, on ``time.monotonic``; None before the first.
    """

    def __init__(self, send: Callable[[C], int], refused: Callable[[int], None]) -> None:
        self._send = send
        self._refused = refused
        self._changed = threading.Condition()
        self._next: C | None = None
        self._count = 0
        self._waiting = False
        self.last_sent_s: float | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, daemon=True, name="xarm commands")
        self._thread.start()

    def post(self, command: C, wait_s: float) -> None:
        """Hand over a command; waits up to ``wait_s`` for its reply, so that a fault in it is seen at once."""
        with self._changed:
            self._next = command
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._next is None and not self._waiting, wait_s)

    @property
    def unanswered(self) -> int:
        """Number of the command now on the wire without a reply, counted from 1; 0 if there is no such command."""
        with self._changed:
            return self._count if self._waiting else 0

    def drop(self) -> None:
        """Drop the command that has not been sent yet."""
        with self._changed:
            self._next = None

    def close(self) -> None:
        """End the thread after the command on the wire, without waiting for a controller that does not answer."""
        with self._changed:
            self._closed, self._next = True, None
            self._changed.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join(0.2)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._next is not None or self._closed)
                if self._next is None:
                    return
                command, self._next = self._next, None
                self._count, self._waiting, self.last_sent_s = self._count + 1, True, time.monotonic()
            code = self._send(command)
            if code != 0:
                self._refused(code)
            with self._changed:
                self._waiting = False
                self._changed.notify_all()
