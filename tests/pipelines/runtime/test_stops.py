"""What becomes a stop, and for which reason."""

import pytest

from datasets.common.errors import ConfigError, DataError, DeviceError, SafetyStop
from perception.cameras.camera import RecordingEnded
from pipelines.runtime.interrupt import Interruption
from pipelines.runtime.stops import Stop, StopReason, as_stop, faults_as

BROKEN = DeviceError("it broke")
REFUSED = Stop(StopReason.OPERATOR, "said no")


@pytest.mark.parametrize(
    ("reason", "error", "words"),
    [
        (StopReason.ARM, BROKEN, "arm fault: it broke"),
        (StopReason.ARM, SafetyStop("outside"), "arm fault: outside"),
        (StopReason.ARM, REFUSED, "operator: said no"),
        (StopReason.CAMERA, BROKEN, "camera fault: it broke"),
        (StopReason.CAMERA, DataError("frame is 3x3"), "camera fault: frame is 3x3"),
        (StopReason.CAMERA, RecordingEnded("no more"), "recording ended: no more"),
        (StopReason.NO_ESTIMATE, DataError("NaN"), "no estimate: NaN"),
    ],
)
def test_a_fault_is_blamed_on_who_was_asked(reason, error, words):
    with pytest.raises(Stop) as caught, faults_as(reason):
        raise error
    assert str(caught.value) == words
    assert caught.value is error or caught.value.__cause__ is error


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        (StopReason.ARM, DataError("no arm raises it")),
        (StopReason.NO_ESTIMATE, DeviceError("no estimator raises it")),
        (StopReason.CAMERA, KeyboardInterrupt()),
        (StopReason.ARM, ZeroDivisionError()),
    ],
)
def test_what_is_no_fault_is_raised_on(reason, error):
    with pytest.raises(type(error)) as caught, faults_as(reason):
        raise error
    assert caught.value is error


def test_a_stop_may_say_more_than_the_error():
    with (
        pytest.raises(Stop, match="arm fault: on the way home: it broke"),
        faults_as(StopReason.ARM, "on the way home: {}"),
    ):
        raise BROKEN


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (REFUSED, "operator: said no"),
        (RecordingEnded("after 3 frames"), "recording ended: after 3 frames"),
        (BROKEN, "camera fault: it broke"),
        (ConfigError("a key"), "unexpected error: ConfigError: a key"),
        (ZeroDivisionError("division by zero"), "unexpected error: ZeroDivisionError: division by zero"),
    ],
)
def test_what_ended_a_goal_is_a_stop(error, words):
    assert str(as_stop(error)) == words


def test_what_came_first_is_the_reason():
    signal = Interruption().stop
    assert str(as_stop(BROKEN, interruption=signal)) == "operator: interrupted (Ctrl-C); then it broke"
    assert as_stop(REFUSED, interruption=signal) is REFUSED
    late = as_stop(BROKEN, silent_s=0.3, interruption=signal)
    assert str(late) == "loop silent: no tick for 300 ms; then it broke"
