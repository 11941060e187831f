"""Why an arm was stopped."""

from enum import StrEnum

from datasets.errors import SafetyStop


class StopReason(StrEnum):
    """Why a run ended before its goal's horizon; the log and the exit message carry it."""

    STALE_FRAME = "stale frame"
    REPEATED_FRAME = "repeated frame"
    UNCERTAIN = "uncertain estimate"
    JUMP = "estimate jumped"
    DISAGREEMENT = "estimate disagrees with the encoders"
    DRIFT = "estimate drifted from the encoders"
    OUTSIDE_FENCE = "TCP outside the fence"
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
