"""The question before every command of ``--step``; while it waits, signals and the arm's state are watched."""

import contextlib
import os
import select
import sys
import termios
from collections.abc import Callable

import numpy as np

from pipelines.runtime.interrupt import Interruption
from pipelines.runtime.stops import Stop, StopReason
from pipelines.runtime.tick import Vector

_LOOK_S = 0.05


class StepPrompt:
    """Asks on the terminal; Enter, typed after the question has appeared, lets the step pass; anything else stops.

    Args:
        interrupted: set by a signal, which ends the question.
        why_stopped: called meanwhile; says why the arm no longer takes commands, None while it takes them.
    """

    def __init__(self, interrupted: Interruption, why_stopped: Callable[[], str | None]) -> None:
        self._interrupted, self._why_stopped = interrupted, why_stopped
        self._typed = b""

    def __call__(self, step_m: Vector) -> None:
        """Return at Enter; ``step_m`` ``(3,)`` m is what would be sent. Raises :class:`Stop` otherwise."""
        descriptor = _keyboard()
        with contextlib.suppress(termios.error):  # a pipe, at which no one can press Enter too early
            termios.tcflush(descriptor, termios.TCIFLUSH)
        print(f"next: {np.round(1e3 * step_m, 1).tolist()} mm; Enter sends it, q stops: ", end="", flush=True)
        try:
            answer = self._line(descriptor)
        except Stop:
            with contextlib.suppress(OSError):  # the terminal is gone
                print(flush=True)
            raise
        if answer.strip():
            raise Stop(StopReason.OPERATOR, "refused at --step")

    def _line(self, descriptor: int) -> bytes:
        # Not input(), which continues to wait after a signal, however the handler ends (PEP 475).
        while b"\n" not in self._typed:
            if self._interrupted.is_set():
                raise self._interrupted.stop()
            if (reason := self._why_stopped()) is not None:
                raise Stop(StopReason.ARM, reason)
            if not select.select([descriptor], [], [], _LOOK_S)[0]:
                continue
            try:
                typed = os.read(descriptor, 4096)
            except OSError:  # the terminal is gone
                typed = b""
            if not typed:
                raise Stop(StopReason.OPERATOR, "refused at --step: no answer comes any more")
            self._typed += typed
        line, _, self._typed = self._typed.partition(b"\n")
        return line


def _keyboard() -> int:
    try:
        return sys.stdin.fileno()
    except (AttributeError, OSError, ValueError) as error:  # none, replaced, or closed
        raise Stop(StopReason.OPERATOR, "refused at --step: there is no standard input to ask") from error
