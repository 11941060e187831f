"""The arm's reported poses with their times, so that a frame is compared with the arm at its own time."""

import threading
from collections import deque
from typing import NamedTuple

import numpy as np

from control.arms.arm import Vector
from datasets.common.errors import DeviceError


class Pose(NamedTuple):
    """One reported pose: ``time`` s (monotonic), ``xyz (3,)`` m, ``joints (7,)`` rad."""

    time: float
    xyz: Vector
    joints: Vector


class PoseHistory:
    """The last poses, for one writer and many readers.

    Args:
        length: poses kept; 1000 are ten seconds at 100 Hz.
        max_gap_s: how long after the newest pose a moment may lie.
    """

    def __init__(self, length: int = 1000, max_gap_s: float = 0.2) -> None:
        self._poses: deque[Pose] = deque(maxlen=length)
        self._max_gap_s = max_gap_s
        self._lock = threading.Lock()

    def add(self, pose: Pose) -> None:
        """Append a pose, which must be later than all earlier ones."""
        with self._lock:
            self._poses.append(pose)

    def stood_still(self) -> None:
        """Replace all older poses by the newest one."""
        with self._lock:
            oldest, newest = self._poses[0], self._poses[-1]
            self._poses.clear()
            self._poses.extend((newest._replace(time=oldest.time), newest))

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._poses.clear()

    @property
    def latest(self) -> Pose:
        """The newest pose; raises DeviceError before the first report."""
        with self._lock:
            if not self._poses:
                raise DeviceError("the arm has not reported a position yet; connect it first")
            return self._poses[-1]

    @property
    def span_s(self) -> float:
        """Time from the oldest pose kept to the newest, s."""
        with self._lock:
            return self._poses[-1].time - self._poses[0].time if self._poses else 0.0

    def at(self, time_s: float) -> Pose:
        """The pose at a moment, by linear interpolation.

        Raises:
            DeviceError: the moment lies before the oldest pose kept, or too long after the newest.
        """
        newest = self.latest
        if time_s >= newest.time:
            if time_s - newest.time > self._max_gap_s:
                raise DeviceError(
                    f"the arm's last report is {(time_s - newest.time) * 1000:.0f} ms older than the moment asked for"
                )
            return newest
        with self._lock:
            later = newest
            for pose in reversed(self._poses):
                if pose.time <= time_s:
                    part = (time_s - pose.time) / (later.time - pose.time)
                    return Pose(time_s, _mix(pose.xyz, later.xyz, part), _mix(pose.joints, later.joints, part))
                later = pose
        raise DeviceError(
            f"the arm's reports go back {newest.time - later.time:.1f} s, not to the moment asked for "
            f"{newest.time - time_s:.1f} s ago"
        )


def _mix(a: Vector, b: Vector, part: float) -> Vector:
    return np.asarray(a + (b - a) * part)
