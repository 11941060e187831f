"""Why an arm was stopped, and what errors become a stop."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum

from datasets.common.errors import DataError, DeviceError, SafetyStop
from perception.cameras.camera import RecordingEnded


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


_FAULTS: dict[StopReason, tuple[type[Exception], ...]] = {
    StopReason.ARM: (DeviceError, SafetyStop),
    StopReason.CAMERA: (DeviceError, DataError),
    StopReason.NO_ESTIMATE: (DataError,),
}


@contextmanager
def faults_as(reason: StopReason, words: str = "{}") -> Iterator[None]:
    """What the ``ARM``, the ``CAMERA`` or the estimator (``NO_ESTIMATE``) raises inside becomes a :class:`Stop`.

    Args:
        words: of the stop; ``{}`` are the error's.
    """
    try:
        yield
    except Exception as error:
        stop = _fault(error, reason, words)
        if stop is None or stop is error:
            raise
        raise stop from error


def as_stop(
    error: Exception, *, silent_s: float | None = None, interruption: Callable[[str], Stop] | None = None
) -> Stop:
    """The stop to report for what ended a goal; faults that nobody named are the camera's, other errors are ours.

    Args:
        silent_s: the watchdog fired, after so long: what came later follows from that.
        interruption: a signal came: gives its stop, with more words; what came later follows from that.
    """
    if silent_s is not None:
        return Stop(StopReason.WATCHDOG, f"no tick for {silent_s * 1e3:.0f} ms; then {error}")
    stop = _fault(error, StopReason.CAMERA) or Stop(StopReason.SOFTWARE, f"{type(error).__name__}: {error}")
    if interruption is not None and stop.reason is not StopReason.OPERATOR:
        return interruption(f"; then {error}")
    if stop is not error:
        stop.__cause__ = error
    return stop


def _fault(error: Exception, reason: StopReason, words: str = "{}") -> Stop | None:
    """A stop stays itself; None of an error that is no fault of the device."""
    if isinstance(error, Stop):
        return error
    if isinstance(error, RecordingEnded):
        return Stop(StopReason.RECORDING_ENDED, str(error))
    return Stop(reason, words.format(error)) if isinstance(error, _FAULTS[reason]) else None


def timed(stop: Callable[[], bool]) -> tuple[float, float | None]:
    """Stop an arm: when (``time.monotonic``), and after how many s that was confirmed, None where it was not."""
    noticed_s = time.monotonic()
    confirmed = stop()
    return noticed_s, time.monotonic() - noticed_s if confirmed else None
