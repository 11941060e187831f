"""The gate of ``--step``: the operator agrees to each step, and the frame must still be fresh after the answer."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from control.arms.arm import Arm
from control.arms.fence import Fence
from pipelines.runtime.stops import StopReason, faults_as
from pipelines.runtime.tick import Seen, Vector
from pipelines.runtime.watchdog import Watchdog

_SAME_STEP_M, _SAME_STEP_SHARE = 1e-3, 0.5
"""The operator is not asked again about a step that differs from the agreed one by at most this distance, m, or by at
most this share of its length."""


@dataclass(frozen=True)
class StepGate:
    """Asks before every command that moves the arm; if the frame is too old after the answer, it looks at a new one.

    Where that look says to hold still, the arm stays, and no step is asked for.

    Attributes:
        ask: shows the operator the step ``(3,)`` m that would be sent; raises :class:`Stop` when it is refused.
        preview: gives the step that the arm would make from a command and the step sent before; all ``(3,)`` m.
        max_frame_age_s: largest age of a frame that may be acted on; infinite in shadow, where no frame is acted on.
    """

    ask: Callable[[Vector], None]
    preview: Callable[[Vector, Vector], Vector]
    max_frame_age_s: float

    def __call__(self, seen: Seen, last_sent: Vector, look: Callable[[], Seen], watchdog: Watchdog) -> Seen:
        """The tick to act on: ``seen``, or a later ``look`` with the same step or with one that was agreed to."""
        while True:
            shown = self._step(seen, last_sent)
            watchdog.rest()
            self.ask(shown)
            watchdog.feed()
            if time.monotonic() - seen[1].timestamp <= self.max_frame_age_s:
                return seen
            seen = look()  # at a new frame, because it refuses the previous one as too old
            step = self._step(seen, last_sent)
            same_m = max(_SAME_STEP_M, _SAME_STEP_SHARE * float(np.linalg.norm(shown)))
            if seen[0].held or np.linalg.norm(step - shown) <= same_m:
                return seen

    def _step(self, seen: Seen, last_sent: Vector) -> Vector:
        with faults_as(StopReason.ARM):
            return self.preview(seen[0].command, last_sent)


def preview_of(arm: Arm, fence: Fence) -> Callable[[Vector, Vector], Vector]:
    """Create a function that gives the step which an arm within a fence would make from a command."""

    def clipped(command: Vector, last_sent: Vector) -> Vector:
        target = arm.target
        return np.asarray(fence.next_target(target, command, last_sent) - target, dtype=float)

    return (lambda command, last_sent: arm.move(command)) if arm.is_passive else clipped
