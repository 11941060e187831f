"""A stop is sent whatever happened to its thread, and two later reports of an arm at rest confirm it."""

import gc
import itertools
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.arms.xarm.wire.sdk import wait_until
from control.arms.xarm.wire.stopper import RestReports, Stopper
from datasets.common.errors import DeviceError

STOPPED, READY = 4, 2


JOINTS = np.zeros(7)


@pytest.mark.parametrize(
    ("reports", "rests"),
    [
        ([(1.01, STOPPED, 0.0), (1.02, STOPPED, 0.0)], True),
        ([(1.01, STOPPED, 0.0), (1.02, STOPPED, 1e-5)], True),
        ([(1.01, STOPPED, 0.0), (1.02, STOPPED, 1e-3)], False),  # still braking
        ([(1.01, READY, 0.0), (1.02, READY, 0.0)], False),
        ([(1.01, STOPPED, 0.0), (1.02, READY, 0.0)], False),
        ([(1.01, READY, 0.0), (1.02, STOPPED, 0.0)], False),
        ([(0.98, STOPPED, 0.0), (0.99, STOPPED, 0.0)], False),  # of before the stop
        ([(0.99, STOPPED, 0.0), (1.01, STOPPED, 0.0)], False),
        ([(1.01, STOPPED, 0.0), (1.012, STOPPED, 0.0)], False),  # too near to each other to tell
        ([(1.01, STOPPED, 0.0)], False),
        ([], False),
    ],
)
def test_two_later_reports_of_an_arm_at_rest_confirm(reports: list[tuple[float, int, float]], rests: bool) -> None:
    seen = RestReports()
    for time_s, state, turned in reports:
        seen.add(time_s, state, JOINTS + turned)
    assert (seen.rest_since(1.0) is not None) is rests


def test_a_report_that_comes_while_others_are_read_disturbs_no_reader(request: pytest.FixtureRequest) -> None:
    """The collector may run amid any line, and another thread with it: here it brings a report each time it starts."""
    seen, thresholds, moments = RestReports(), gc.get_threshold(), itertools.count(step=0.01)

    def report(phase: str, info: dict[str, int]) -> None:
        seen.add(next(moments), STOPPED, JOINTS)

    for _ in range(100):
        report("", {})
    request.addfinalizer(lambda: gc.callbacks.remove(report))
    request.addfinalizer(lambda: gc.set_threshold(*thresholds))
    gc.callbacks.append(report)
    gc.set_threshold(1)
    for _ in range(10):
        assert seen.rest_since(0.0) is not None
        assert seen.gone_from(JOINTS, 0.0) == ""


def test_what_the_sdk_raises_leaves_the_stopper_at_work() -> None:
    answers = iter([ValueError("broken"), 0])

    def send() -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    stopper = Stopper(send)
    first, second = stopper.stop(), stopper.stop()
    assert wait_until(lambda: second.code == 0, 1.0)
    assert first.code is None
    stopper.close()


def test_stops_go_out_in_the_order_they_were_given() -> None:
    codes = itertools.count()
    stopper = Stopper(lambda: next(codes))
    orders = [stopper.stop() for _ in range(20)]
    assert wait_until(lambda: orders[-1].code is not None, 5.0)
    assert [order.code for order in orders] == list(range(20))
    stopper.close()


def test_a_connection_that_hangs_holds_up_neither_its_caller_nor_another_one() -> None:
    over = threading.Event()
    hangs, answers = Stopper(lambda: 7 * over.wait(60)), Stopper(lambda: 0)
    stuck, sent = hangs.stop(), answers.stop()
    assert wait_until(lambda: sent.code == 0, 5.0)
    assert stuck.code is None
    over.set()
    assert wait_until(lambda: stuck.code == 7, 5.0)
    for stopper in (hangs, answers):
        stopper.close()


def test_a_stop_after_the_thread_has_ended_is_sent_by_its_caller() -> None:
    before = set(threading.enumerate())
    stopper = Stopper(threading.get_ident)
    (thread,) = set(threading.enumerate()) - before
    first = stopper.stop()
    stopper.close()
    thread.join(5.0)
    assert not thread.is_alive()
    assert first.code == thread.ident, "what was ordered before is sent before the thread ends"
    assert stopper.stop().code == threading.get_ident()


def test_a_computer_without_a_thread_left_is_told_so_before_anything_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", full)
    with pytest.raises(DeviceError, match="no thread to stop the arm by could be started: can't start new thread"):
        Stopper(lambda: 0)


@pytest.mark.parametrize(
    ("reports", "words"),
    [
        ([], None),
        ([(0.9, STOPPED, 0.0)], None),
        ([(1.0, STOPPED, 0.0)], None),
        ([(1.01, STOPPED, 0.0)], ""),
        ([(1.01, STOPPED, 9e-4)], ""),
        ([(1.01, STOPPED, 2e-3)], "is moving again"),
        ([(1.01, STOPPED, -2e-3)], "is moving again"),
        ([(1.01, READY, 2e-3)], "is moving again"),
        ([(1.01, READY, 0.0)], "was made ready again"),
        ([(1.01, READY, 0.0), (1.02, STOPPED, 0.0)], ""),
    ],
)
def test_what_became_of_an_arm_that_stood_is_said_by_later_reports_alone(reports, words) -> None:
    seen = RestReports()
    for time_s, state, turned in reports:
        seen.add(time_s, state, JOINTS + turned * np.eye(7)[3])
    assert seen.gone_from(JOINTS, 1.0) == words


@given(joint=st.integers(0, 6), turn_rad=st.floats(2.5e-4, 1.0), side=st.sampled_from([-1, 1]))
def test_no_joint_that_turns_is_taken_for_one_at_rest(joint: int, turn_rad: float, side: int) -> None:
    seen = RestReports()
    seen.add(1.01, STOPPED, JOINTS)
    seen.add(1.02, STOPPED, JOINTS + side * turn_rad * np.eye(7)[joint])
    assert seen.rest_since(1.0) is None


def test_joints_that_are_no_numbers_are_at_no_rest() -> None:
    seen = RestReports()
    for time_s in (1.01, 1.02, 1.03):
        seen.add(time_s, STOPPED, np.full(7, np.nan))
    assert seen.rest_since(1.0) is None


def test_reports_from_before_the_history_was_cleared_confirm_nothing() -> None:
    seen = RestReports()
    for time_s in (1.01, 1.02):
        seen.add(time_s, STOPPED, JOINTS)
    seen.clear()
    assert seen.rest_since(1.0) is None
    assert seen.gone_from(JOINTS, 1.0) is None


def test_a_stop_behind_the_end_is_sent_while_the_thread_still_hangs() -> None:
    hangs, sent = threading.Event(), threading.Semaphore(0)

    def send() -> int:
        sent.release()
        if threading.current_thread() is not threading.main_thread():
            hangs.wait()
        return 0

    stopper = Stopper(send)
    try:
        stopper.stop()
        assert sent.acquire(timeout=5)
        stopper.close()
        assert stopper.stop().code == 0
    finally:
        hangs.set()
