"""Named faults of the twin's camera, and when each of them is active."""

import random
import threading
import time
from dataclasses import replace
from enum import StrEnum

import numpy as np

from datasets.common.errors import ConfigError
from pipelines.twin.camera.software_realsense import Shot

LATENCY_S, JITTER_S = 0.1, 0.06


class CameraFault(StrEnum):
    """The faults of a camera, by the names that a user gives; the default duration is in brackets.

    ``dead_colour``, ``dead_depth``: one stream stops, the other goes on [for ever].
    ``frozen_frames``: new numbers and times, but always the same images [for ever].
    ``repeated_frames``: the same pair over and over, number and time included [for ever].
    ``no_depth``: depth images without a single reading, as with a covered lens [for ever].
    ``dropped_frames``: every second frame is lost [for ever].
    ``camera_latency``: every pair comes 100 ms later than it did [for ever].
    ``camera_jitter``: every pair is late by 0 to 60 ms, each by another time [for ever].
    ``camera_stall``: nothing arrives, then everything at once [0.19 s].
    ``camera_unplugged``: the device is gone, then it is back [1.5 s].
    """

    DEAD_COLOUR = "dead_colour"
    DEAD_DEPTH = "dead_depth"
    FROZEN = "frozen_frames"
    REPEATED = "repeated_frames"
    NO_DEPTH = "no_depth"
    DROPPED = "dropped_frames"
    LATENCY = "camera_latency"
    JITTER = "camera_jitter"
    STALL = "camera_stall"
    UNPLUGGED = "camera_unplugged"

    @property
    def default_duration_s(self) -> float:
        """How long the fault lasts if no duration is given."""
        return {CameraFault.STALL: 0.19, CameraFault.UNPLUGGED: 1.5}.get(self, float("inf"))

    @classmethod
    def parse(cls, name: str) -> "CameraFault":
        """The fault of that name; raises ConfigError with a list of the existing names."""
        try:
            return cls(name)
        except ValueError:
            raise ConfigError(f"no camera fault is called {name!r}; there are {', '.join(cls)}") from None


class ActiveFaults:
    """Which faults are active now; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._random = random.Random(0)
        self._ends_s: dict[CameraFault, float] = {}

    def begin(self, fault: CameraFault | str, duration_s: float | None = None) -> float:
        """Begin a fault now; returns the present time."""
        fault = CameraFault.parse(fault)
        now_s = time.monotonic()
        with self._lock:
            self._ends_s[fault] = now_s + (fault.default_duration_s if duration_s is None else duration_s)
        return now_s

    def end(self, fault: CameraFault | str) -> None:
        """End a fault now; does nothing when it is not active."""
        with self._lock:
            self._ends_s.pop(CameraFault.parse(fault), None)

    def active(self, fault: CameraFault) -> bool:
        """Whether the fault is active now."""
        with self._lock:
            return time.monotonic() < self._ends_s.get(fault, 0.0)

    def loses(self, shot: Shot) -> bool:
        """Whether this pair is lost on the way."""
        return self.active(CameraFault.DROPPED) and shot.number % 2 == 0

    def lateness_s(self) -> float:
        """The additional delay of the next pair, s."""
        jitter_s = self._random.uniform(0, JITTER_S) if self.active(CameraFault.JITTER) else 0.0
        return jitter_s + (LATENCY_S if self.active(CameraFault.LATENCY) else 0.0)

    def distort(self, shot: Shot, previous: Shot | None) -> Shot:
        """The pair as changed by the faults; ``previous`` is the pair before it."""
        if self.active(CameraFault.NO_DEPTH):
            shot = replace(shot, counts=np.zeros_like(shot.counts))
        if previous is not None and self.active(CameraFault.REPEATED):
            return previous
        if previous is not None and self.active(CameraFault.FROZEN):
            return replace(shot, rgb=previous.rgb, counts=previous.counts)
        return shot
