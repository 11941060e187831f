"""An arm without hardware or physics: it goes straight to its target at the speed limit, with the real arm's rules."""

import threading
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from control.arms.arm import Arm, Vector
from control.arms.fence import Fence, check_start, check_tcp
from control.arms.params import ArmParams
from datasets.arm.kinematics import Kinematics
from datasets.common.errors import DeviceError, SafetyStop
from datasets.rig.rig import Rig


class _Leg(NamedTuple):
    """A straight motion that began at ``start`` at time ``since``."""

    since: float
    start: Vector
    target: Vector
    speed_m_s: float

    def at(self, time_s: float) -> Vector:
        offset = self.target - self.start
        distance = float(np.linalg.norm(offset))
        gone = max(0.0, time_s - self.since) * self.speed_m_s
        return self.target.copy() if gone >= distance else self.start + offset * (gone / distance)


class SimulatedArm(Arm):
    """A kinematic arm behind the same fence as the real one: for tests, and for runs in which nothing may move.

    Args:
        rig: workspace, tool, home, step limit and rate.
        params: fence margin and slow speed.
        max_speed_m_s: lowers the rig's speed further.
        clock: monotonic seconds; positions are functions of it, nothing runs in the background.
        sleep: how :meth:`home` and :meth:`go_to` wait until the arm is there.
    """

    def __init__(
        self,
        rig: Rig,
        params: ArmParams | None = None,
        max_speed_m_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rig, self._params = rig, params or ArmParams()
        self.fence = Fence.from_rig(rig, self._params, max_speed_m_s)
        check_start(rig, self.fence)
        self._clock, self._sleep = clock, sleep
        self._kinematics = Kinematics()
        self._home = np.asarray(self._kinematics.tcp(rig.home_joints_rad), dtype=float)
        check_tcp(self.fence, self._home)
        self._joints = np.asarray(rig.home_joints_rad, dtype=float)
        self._legs: deque[_Leg] = deque(maxlen=4096)
        self._lock = threading.RLock()
        self._last_sent = np.zeros(3)
        self._connected = self._stopped = False

    @property
    def is_connected(self) -> bool:
        """Whether the arm takes commands."""
        return self._connected and not self._stopped

    @property
    def tcp(self) -> Vector:
        """TCP ``(3,)`` m now; raises DeviceError before the first connect."""
        return self.tcp_at(self._clock())

    @property
    def target(self) -> Vector:
        """The last commanded TCP ``(3,)`` m; raises DeviceError before the first connect."""
        with self._lock:
            return self._leg(None).target.copy()

    def tcp_at(self, time_s: float) -> Vector:
        """TCP ``(3,)`` m at a moment of the clock; raises DeviceError when it lies before what is remembered."""
        with self._lock:
            return self._leg(time_s).at(time_s)

    def joints_at(self, time_s: float) -> Vector:
        """Joints ``(7,)`` rad that bring the TCP there pointing down; raises DeviceError as :meth:`tcp_at`."""
        with self._lock:
            self._joints = np.asarray(self._kinematics.solve(self.tcp_at(time_s), self._joints), dtype=float)
            return self._joints.copy()

    def connect(self) -> None:
        """Begin where the arm stands, or at home the first time."""
        with self._lock:
            if self.is_connected:
                return
            now = self._clock()
            here = self.tcp_at(now) if self._legs else self._home
            self._go(here, here, self._speed_m_s)
            self._last_sent = np.zeros(3)
            self._connected, self._stopped = True, False

    def home(self) -> None:
        """Go home in a straight line, slowly; home becomes the target."""
        self.go_to(self._home)

    def go_to(self, xyz_m: ArrayLike) -> None:
        """Go slowly, in a straight line, to a point inside the fence, and return when there.

        Raises:
            SafetyStop: the point is outside the fence, or the arm was stopped on the way.
            DeviceError: the arm is not connected.
        """
        goal = np.asarray(xyz_m, dtype=float)
        with self._lock:
            self._require_ready()
            if not self.fence.contains(goal):
                raise SafetyStop(f"the point {goal.tolist()} m lies outside the fence; the arm does not go there")
            speed = min(self._params.slow_speed_m_s, self._speed_m_s)
            here = self.tcp
            self._go(here, goal, speed)
            self._last_sent = np.zeros(3)
        self._sleep(float(np.linalg.norm(goal - here)) / speed + 1e-4)
        self._require_ready()

    def move(self, displacement_m: ArrayLike) -> Vector:
        """Move the last target by ``displacement_m`` ``(3,)``, clipped to step limit and fence; what was sent.

        Raises:
            SafetyStop: the command is not finite, or the arm was stopped.
            DeviceError: the arm is not connected.
        """
        with self._lock:
            self._require_ready()
            last = self.target
            try:
                target = self.fence.next_target(last, displacement_m, self._last_sent)
            except SafetyStop:
                self.stop()
                raise
            self._go(self.tcp, target, self._speed_m_s)
            self._last_sent = target - last
            return self._last_sent.copy()

    def stop(self) -> bool:
        """Stop at once and stay stopped until connected anew; always confirmed."""
        with self._lock:
            self._stopped = True
            if self._legs:
                here = self.tcp
                self._go(here, here, self._speed_m_s)
        return True

    def disconnect(self) -> None:
        """Stop; idempotent."""
        if self._connected:
            self.stop()
        self._connected = False

    @property
    def _speed_m_s(self) -> float:
        return self.fence.max_displacement_m * self._rig.rate_hz

    def _go(self, start: Vector, target: Vector, speed_m_s: float) -> None:
        self._legs.append(_Leg(self._clock(), start, target, speed_m_s))

    def _leg(self, time_s: float | None) -> _Leg:
        if not self._legs:
            raise DeviceError("the arm has not reported a position yet; connect it first")
        if time_s is None:
            return self._legs[-1]
        index = bisect_right(self._legs, time_s, key=lambda leg: leg.since)
        if index == 0:
            raise DeviceError(f"the arm's positions go back {self._clock() - self._legs[0].since:.1f} s, not that far")
        return self._legs[index - 1]

    def _require_ready(self) -> None:
        if self._stopped:
            raise SafetyStop("the arm was stopped; connect it anew when it is safe to go on")
        if not self._connected:
            raise DeviceError("the arm is not connected; call connect() first")
