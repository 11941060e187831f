"""Whether the computer slept: a clock that stands still with it cannot tell."""

import time
from collections.abc import Callable

_NOTICED_S = 0.02


def _boot_time_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Suspension:
    """Compares ``CLOCK_BOOTTIME``, which goes on in a suspended computer, with ``time.monotonic``, which does not.

    Args:
        running: the clock that stands still, s; ``always``: the one that does not.
    """

    def __init__(
        self, running: Callable[[], float] = time.monotonic, always: Callable[[], float] = _boot_time_s
    ) -> None:
        self._running, self._always = running, always
        before, boot = running(), always()
        self._ahead_s = boot - before

    def lasted_s(self) -> float:
        """How long the computer has slept since this was made, at least; 0 below 20 ms.

        Read between the two clocks' readings or not, a program that is held up between them has not slept: the later
        reading of the clock that stands still counts.
        """
        boot = self._always()
        slept_s = boot - self._running() - self._ahead_s
        return slept_s if slept_s > _NOTICED_S else 0.0
