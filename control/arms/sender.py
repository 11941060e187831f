"""Commands go out on a thread of their own: a stalled controller delays them, and never the control loop."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

C = TypeVar("C")


class CommandSender(Generic[C]):
    """Sends the newest command; one that is overtaken before it could leave is dropped.

    Args:
        send: sends one command and returns the SDK's code; called on this sender's thread only.
        refused: is told a code that is not 0.
    """

    def __init__(self, send: Callable[[C], int], refused: Callable[[int], None]) -> None:
        self._send = send
        self._refused = refused
        self._changed = threading.Condition()
        self._next: C | None = None
        self._sent_at: float | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, daemon=True, name="xarm commands")
        self._thread.start()

    def post(self, command: C, wait_s: float) -> None:
        """Hand over a command; waits up to ``wait_s`` for its reply, so that a fault is seen at once when it can be."""
        with self._changed:
            self._next = command
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._next is None and self._sent_at is None, wait_s)

    @property
    def waiting_s(self) -> float:
        """How long the command now on the wire has been without a reply; 0 when none is."""
        with self._changed:
            return 0.0 if self._sent_at is None else time.monotonic() - self._sent_at

    def drop(self) -> None:
        """Forget the command that has not left yet."""
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
                self._sent_at = time.monotonic()
            code = self._send(command)
            if code != 0:
                self._refused(code)
            with self._changed:
                self._sent_at = None
                self._changed.notify_all()
