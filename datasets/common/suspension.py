"""Detects whether the computer was suspended, by a clock that goes on meanwhile."""

import time
from collections.abc import Callable

_NOTICED_S = 0.02


def _boot_time_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Suspension:
    """Compares ``CLOCK_BOOTTIME``, which goes on in a suspended computer, with ``time.monotonic``, which does not.

    Args:
        running: the clock that stops in a suspended computer, s.
        always: the clock that goes on, s.
    """

    def __init__(
        self, running: Callable[[], float] = time.monotonic, always: Callable[[], float] = _boot_time_s
    ) -> None:
        self._running, self._always = running, always
        before, boot = running(), always()
        self._ahead_s = boot - before

    def lasted_s(self) -> float:
        """The least time, s, that the computer was suspended since this object was created; 0 below 20 ms.

        A program that is held up between reading the two clocks has not slept. The order in which they are read makes
        sure that such a delay only shortens the result.
        """
        boot = self._always()
        slept_s = boot - self._running() - self._ahead_s
        return slept_s if slept_s > _NOTICED_S else 0.0
