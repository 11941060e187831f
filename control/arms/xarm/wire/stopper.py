"""Sends stops from threads that are started beforehand; the arm's reports show whether it stands."""

import contextlib
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import NamedTuple

import numpy as np

from control.arms.arm import Vector
from control.arms.xarm.controller_errors import STOPPED
from datasets.common.errors import DeviceError

_APART_S = 0.008
_KEPT = 64
_REST_RAD_S = 0.02
"""Joint speed, rad/s, up to which a joint is at rest: the encoders' own noise over 10 ms (*assumed: rest-noise*)."""
_MOVED_RAD = 1e-3


class Order:
    """One stop that is being sent; ``code`` is the SDK's return code, if any, and proves nothing about the arm."""

    def __init__(self) -> None:
        self.code: int | None = None


class Stopper:
    """Sends the stop of one connection from its own thread, so that a stop needs neither a new thread nor a lock.

    A connection that hangs blocks only its own thread. If that thread has ended or is about to end, the calling thread
    sends the stop.

    Args:
        send: the call that stops the arm; it returns the SDK's code.

    Raises:
        DeviceError: the computer cannot start a thread.
    """

    def __init__(self, send: Callable[[], int]) -> None:
        self._send = send
        self._orders: SimpleQueue[Order | None] = SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, daemon=True, name="xarm stopper")
        try:
            self._thread.start()
        except RuntimeError as error:
            raise DeviceError(f"no thread to stop the arm by could be started: {error}; end other programs") from error

    def stop(self) -> Order:
        """Send the stop; returns at once."""
        order = Order()
        self._orders.put(order)
        # Checked after the order was queued: no other thread sees an order that is queued behind the end.
        if self._closed or not self._thread.is_alive():
            self._carry_out(order)
        return order

    def close(self) -> None:
        """End the thread once its last stop was sent, without waiting for it."""
        self._closed = True
        self._orders.put(None)

    def _run(self) -> None:
        while (order := self._orders.get()) is not None:
            self._carry_out(order)

    def _carry_out(self, order: Order) -> None:
        with contextlib.suppress(Exception):  # after any exception of the SDK the stop is reported as unconfirmed
            order.code = self._send()


class _Report(NamedTuple):
    time: float
    state: int
    joints: Vector


class RestReports:
    """The newest reports of one stream, which show whether a stop took effect. For one writer and many readers."""

    def __init__(self) -> None:
        # The tuple is replaced as a whole: a deque could change while a reader iterates over it, and fail in a stop.
        self._reports: tuple[_Report, ...] = ()

    def add(self, time_s: float, state: int, joints: Vector) -> None:
        """Append the arm's report at ``time_s`` (``time.monotonic``); joints ``(7,)`` rad."""
        self._reports = (*self._reports[1 - _KEPT :], _Report(time_s, state, joints))

    def clear(self) -> None:
        """Forget everything."""
        self._reports = ()

    def rest_since(self, time_s: float) -> Vector | None:
        """The joints ``(7,)`` rad if two reports later than ``time_s`` show the arm stopped and at rest, else None."""
        reports = self._reports
        if not reports or reports[-1].time <= time_s or reports[-1].state != STOPPED:
            return None
        newest = reports[-1]
        before = next((each for each in reversed(reports) if newest.time - each.time >= _APART_S), None)
        if before is None or before.time <= time_s or before.state != STOPPED:
            return None
        turned_rad_s = np.max(np.abs(newest.joints - before.joints)) / (newest.time - before.time)
        return newest.joints if turned_rad_s <= _REST_RAD_S else None

    def gone_from(self, joints: Vector, since_s: float) -> str | None:
        """Returns what an arm that stood at ``joints`` ``(7,)`` rad does now, in words; empty if it still stands.

        Returns None if there is no report later than ``since_s``.
        """
        reports = self._reports
        if not reports or reports[-1].time <= since_s:
            return None
        if np.max(np.abs(reports[-1].joints - joints)) > _MOVED_RAD:
            return "is moving again"
        return "" if reports[-1].state == STOPPED else "was made ready again"
