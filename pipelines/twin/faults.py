"""Faults of the whole twin by name, and the times at which they happen: ``NAME@SECONDS``."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from datasets.common.errors import ConfigError
from pipelines.twin.camera.faults import CameraFault
from pipelines.twin.controller.faults import CONTROLLER_FAULTS
from pipelines.twin.twin import Twin

CAMERA_MOVED = "camera_moved"
CAMERA_PUSH_M = np.array([0.0, 0.02, 0.0])
"""How far ``camera_moved`` pushes the camera, m in the base frame."""
OLD_FIRMWARE = "old_firmware"
OLD_FIRMWARE_VERSION = "v1.6.0"
"""A version older than both drive modes need; it is present from power-on, whatever time was asked for."""

FAULT_NAMES = (*(str(fault) for fault in CameraFault), *CONTROLLER_FAULTS, CAMERA_MOVED, OLD_FIRMWARE)


@dataclass(frozen=True)
class PlannedFault:
    """A fault, and the time at which it happens after the first goal was begun."""

    name: str
    after_s: float

    @classmethod
    def parse(cls, text: str) -> "PlannedFault":
        """Read ``NAME@SECONDS``; raises ConfigError with a list of the existing names."""
        name, at, seconds = text.partition("@")
        if name not in FAULT_NAMES:
            raise ConfigError(f"--fault {text}: no fault is called {name!r}; there are {', '.join(FAULT_NAMES)}")
        try:
            after_s = float(seconds) if at else 0.0
        except ValueError as error:
            raise ConfigError(f"--fault {text}: {seconds!r} is no number of seconds; write {name}@2.5") from error
        if not 0 <= after_s < 86400:
            raise ConfigError(f"--fault {text}: seconds must be positive and finite")
        return cls(name, after_s)


def inject(twin: Twin, name: str) -> float:
    """Cause a fault now; returns the time at which it happened, s on ``time.monotonic``."""
    if name == CAMERA_MOVED:
        twin.world.move_camera(CAMERA_PUSH_M)
    elif name in CONTROLLER_FAULTS:
        twin.controller.inject(name)
    elif name != OLD_FIRMWARE:
        twin.camera.inject(name)
    return time.monotonic()


class FaultSchedule:
    """Injects planned faults once :meth:`begin` has been called; a context manager that ends its thread.

    Args:
        happened: called with each fault's name and time when it is injected, in the schedule's thread.
    """

    def __init__(
        self,
        twin: Twin,
        planned: Sequence[PlannedFault],
        happened: Callable[[str, float], None] = lambda name, time_s: None,
    ) -> None:
        self._twin, self._happened = twin, happened
        self._planned = sorted(planned, key=lambda fault: fault.after_s)
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Start to count time; only the first call has an effect."""
        if self._thread is None and self._planned:
            self._thread = threading.Thread(target=self._run, args=(time.monotonic(),), name="twin faults", daemon=True)
            self._thread.start()

    def __enter__(self) -> "FaultSchedule":
        return self

    def __exit__(self, *raised: object) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, start_s: float) -> None:
        for fault in self._planned:
            if self._over.wait(max(start_s + fault.after_s - time.monotonic(), 0.0)):
                return
            time_s = inject(self._twin, fault.name)
            self._happened(fault.name, time_s)
