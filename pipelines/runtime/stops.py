"""Why an arm was stopped."""

import time
from collections.abc import Callable
from enum import StrEnum

from datasets.common.errors import SafetyStop


class StopReason(StrEnum):
    """Why a run ended before its goal's horizon; the log and the exit message carry it."""

    STALE_FRAME = "stale frame"
    REPEATED_FRAME = "repeated frame"
    UNCERTAIN = "uncertain estimate"
    JUMP = "estimate jumped"
    DISAGREEMENT = "estimate disagrees with the encoders"
    DRIFT = "estimate drifted from the encoders"
    OUTSIDE_FENCE = "TCP outside the fence"
    NO_ESTIMATE = "no estimate"
    NOT_FINITE = "number that is not finite"
    OVERRUNS = "loop too slow"
    WATCHDOG = "loop silent"
    CAMERA = "camera fault"
    RECORDING_ENDED = "recording ended"
    ARM = "arm fault"
    OPERATOR = "operator"
    SOFTWARE = "unexpected error"


class Stop(SafetyStop):
    """A safety stop with its reason, so that code can tell one from another and people can read why."""

    def __init__(self, reason: StopReason, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason


def timed(stop: Callable[[], bool]) -> tuple[float, float | None]:
    """Stop an arm: when (``time.monotonic``), and after how many s that was confirmed, None where it was not."""
    noticed_s = time.monotonic()
    confirmed = stop()
    return noticed_s, time.monotonic() - noticed_s if confirmed else None
