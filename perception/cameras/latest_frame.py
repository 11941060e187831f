"""The newest frame only, handed from the thread that receives frames to the threads that use them."""

import threading
import time

from datasets.common.errors import DeviceError
from datasets.rig.frame import Frame


class LatestFrame:
    """Holds one frame or one fault; a new frame replaces either."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._fault: DeviceError | None = None
        self._posted = 0
        self._taken = 0

    def post(self, frame: Frame) -> None:
        """Replace what is held by a newer frame, and clear a fault."""
        with self._changed:
            self._frame, self._fault = frame, None
            self._posted += 1
            self._changed.notify_all()

    def fail(self, why: DeviceError) -> None:
        """Make every reader raise an error like ``why`` until a newer frame is posted."""
        with self._changed:
            self._fault = why
            self._changed.notify_all()

    def take(self, timeout_s: float) -> Frame:
        """Wait for a frame newer than the last one taken.

        Raises:
            DeviceError: there is a fault, or nothing newer came within ``timeout_s``.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._fault is not None or self._posted > self._taken, timeout_s)
            self._refuse_fault()
            if self._frame is None or self._posted == self._taken:
                raise DeviceError(f"the camera gave no new frame within {timeout_s:.2f} s; check its cable and power")
            self._taken = self._posted
            return self._frame

    def latest(self, max_age_s: float, catch_up_s: float = 0.0) -> Frame:
        """The newest frame, at once; when that is too old, a newer one if it comes within ``catch_up_s``.

        Raises:
            DeviceError: there is a fault, no frame has come yet, or the newest was taken over ``max_age_s`` ago.
        """
        with self._changed:
            if self._frame is not None:
                self._changed.wait_for(lambda: self._fault is not None or self._age_s <= max_age_s, catch_up_s)
            self._refuse_fault()
            if self._frame is None:
                raise DeviceError("the camera has not given a frame yet; wait for connect() to return")
            age_s = self._age_s
            if not age_s <= max_age_s:
                raise DeviceError(
                    f"the camera's newest frame is {age_s * 1e3:.0f} ms old, at most {max_age_s * 1e3:.0f} ms is "
                    "allowed; check its cable, its latency and the load of this computer"
                )
            self._taken = self._posted
            return self._frame

    @property
    def _age_s(self) -> float:
        return float("inf") if self._frame is None else time.monotonic() - self._frame.timestamp

    def _refuse_fault(self) -> None:
        if self._fault is not None:
            raise type(self._fault)(*self._fault.args)  # a new one: several threads may raise it at once
