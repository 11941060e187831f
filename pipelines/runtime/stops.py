"""The reasons for stopping an arm, and the errors that become a stop."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum

from datasets.common.errors import DataError, DeviceError, SafetyStop
from perception.cameras.camera import RecordingEnded


class StopReason(StrEnum):
    """The reason why a run ended before its goal's horizon, for the log and the exit message."""

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
    """A safety stop with its reason, for code to distinguish and for people to read."""

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
    """Within this context, turn errors of ``ARM``, ``CAMERA`` or estimator (``NO_ESTIMATE``) into a :class:`Stop`.

    Args:
        words: the message of the stop; ``{}`` is replaced by the error's message.
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
    """The stop to report for the error that ended a goal.

    A device fault without a named device counts as the camera's, any other error as this program's.

    Args:
        silent_s: time after which the watchdog fired, s; the error is then a consequence of that.
        interruption: if a signal came, makes its stop; the error is then a consequence, and is added to the message.
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
    """The stop for an error of a device; None for any other error."""
    if isinstance(error, Stop):
        return error
    if isinstance(error, RecordingEnded):
        return Stop(StopReason.RECORDING_ENDED, str(error))
    return Stop(reason, words.format(error)) if isinstance(error, _FAULTS[reason]) else None


def timed(stop: Callable[[], bool]) -> tuple[float, float | None]:
    """Stop an arm; returns when (``time.monotonic``), and after how many s this was confirmed, None if it was not."""
    noticed_s = time.monotonic()
    confirmed = stop()
    return noticed_s, time.monotonic() - noticed_s if confirmed else None
