"""The emulated controller's logic: modes, states, errors and motion, without bytes or sockets.

Each of the following is stated in the vendor's user manual, or taken as likely, since no real controller was at hand
(docs/first_day.md says how to verify each):

- state 0 clears errors (*documented: ready-clears*), state 4 takes no command (*documented: stopped-is-deaf*), state 5
  follows a change of tool offset, payload or sensitivity, and mode 0 with it (*assumed: reset-mode*);
- the boundary holds the TCP as configured (*documented: boundary-tcp*), reduced mode clips speeds
  (*assumed: reduced-clips*);
- after ``clean_error`` the state is 4 and the mode 0 (*assumed: clean-error*);
- a command of the wrong mode is invalid and moves nothing (*assumed: wrong-mode*);
- in reduced mode a joint that leaves its range raises C23 (*assumed: joint-range*);
- with rebound on the arm goes back after C31 (*documented: rebound*), to where it was 0.1 s before;
- its self-collision check finds nothing, because it knows no shapes;
- failed inverse kinematics raise C21, a joint's speed C24 (*assumed: path-errors*);
- stop and pause brake the TCP at 5 m/s2, but no joint harder than 20 rad/s2 (*assumed: stop-braking*);
- stop drops what was queued or paused (*assumed: stop-drops*), velocity mode ramps at 2 m/s2
  (*assumed: velocity-braking*);
- the arm lies 50 ms behind the reports of a firmware before 2.4.0, which state the command (*assumed: encoders*).
"""

import math
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from datasets.arm.kinematics import Kinematics
from datasets.rig.projection import Array
from pipelines.twin.controller.motion import JointTarget, LineTarget, Motion, MotionFault, Stray, Target, VelocityTarget
from pipelines.twin.controller.reports import Snapshot

MOVING, READY, PAUSED, STOPPED, RESET = 1, 2, 3, 4, 5
POSITION, SERVO, MANUAL, VELOCITY, ONLINE_LINE = 0, 1, 2, 5, 7
MODE_SINCE = {POSITION: (0, 0, 0), SERVO: (0, 0, 0), MANUAL: (0, 0, 0), VELOCITY: (1, 6, 9), ONLINE_LINE: (1, 11, 0)}
"""The modes of this emulator, with the firmware that each needs; the real controller has more modes."""

EMERGENCY_STOP, JOINT_LIMIT, COLLISION, SAFETY_BOUNDARY = 1, 23, 31, 35
REBOUND_S, REBOUND_RAD_S, REBOUND_RAD_S2 = 0.1, 1.0, 5.0
VELOCITY_ACCELERATION_M_S2 = 2.0
ENCODERS_SINCE = (2, 4, 0)
"""First firmware that reports the encoders' readings (xarm_ros2, issue 95)."""
LEAD_S = 0.05
"""How far, s, reports run ahead of the arm with an older firmware than ``ENCODERS_SINCE``."""
JOINT_LIMITS_RAD = tuple(Kinematics().joint_limits.ravel().tolist())
"""The widest joint range of the reduced mode, as in the vendor's description of its protocol (register 53)."""
MAX_TCP_SPEED_M_S = 1.0
"""The arm's largest TCP speed (xArm user manual, technical specifications)."""

_TAKES_MOTORS_OFF = frozenset({1, 2, 3, *range(10, 18)})


@dataclass(frozen=True)
class Settings:
    """The settings that a client can configure, in the controller's units."""

    tcp_offset_mm_rad: tuple[float, ...] = (0.0,) * 6
    load_kg_mm: tuple[float, ...] = (0.0,) * 4
    collision_sensitivity: int = 3
    fence_on: bool = False
    fence_mm: tuple[int, ...] = (9999, -9999) * 3
    reduced_on: bool = False
    reduced_tcp_mm_s: float = 1000.0
    reduced_joint_rad_s: float = math.pi
    joint_range_rad: tuple[float, ...] = JOINT_LIMITS_RAD
    self_collision_on: bool = False
    collision_tool: int = 0
    collision_tool_mm: tuple[float, ...] = (0.0,) * 6
    rebound_on: bool = False
    approximate_on: bool = False
    gravity: tuple[float, ...] = (0.0, 0.0, -1.0)
    world_offset_mm_rad: tuple[float, ...] = (0.0,) * 6
    simulated: bool = False


class Firmware:
    """State machine of one controller; public methods may be called from any thread, under :attr:`lock`.

    Args:
        joints_rad: the joints ``(7,)`` at power-on; the motors are off, the mode is 0, the state is stopped.
        clock: a clock of monotonic seconds.
        version: the version of the firmware, such as ``v2.5.0``.
        tool_offset_m: offset of the tool really mounted, along flange z; kinematics place the TCP there.
    """

    def __init__(self, joints_rad: Array, clock: Callable[[], float], version: str, tool_offset_m: float) -> None:
        self.version = version
        self.numbers = tuple(int(part) for part in version.lstrip("v").split("."))
        self.lock = threading.RLock()
        self.kinematics = Kinematics(tool_offset_m)
        self.settings = Settings()
        self.mode, self.error, self.warning = POSITION, 0, 0
        self.enabled = self.emergency_pressed = False
        self.ignores_moves = self.ignores_stops = self.ignores_settings = False
        self.stray: Stray | None = None
        """What the joints do by themselves while the arm may move, or None."""
        self._clock = clock
        self._motion = Motion(joints_rad, clock(), tool_offset_m)
        self._tool_offset_m = tool_offset_m
        self._queue: deque[Target] = deque()
        self._held: Target | None = None
        self._state = STOPPED

    @property
    def state(self) -> int:
        """1 moving, 2 ready, 3 paused, 4 stopped, 5 reset by a configuration."""
        return MOVING if self._state == READY and self._motion.is_moving else self._state

    @property
    def may_move(self) -> bool:
        """Whether commands are carried out."""
        return self._state == READY and self.enabled and self.error == 0

    @property
    def queued(self) -> int:
        """Number of motions that wait for the present one, or for a pause, to end."""
        return len(self._queue) + (self._held is not None)

    def advance(self) -> None:
        """Let the arm move on to the present moment."""
        with self.lock:
            now = self._clock()
            self._motion.stray = self.stray if self.may_move else None
            try:
                self._motion.advance(now)
            except MotionFault as fault:
                self._fail(fault.code)
                self._motion.advance(now)
            if self._state == READY and self._motion.target is None and self._queue:
                self._motion.target = self._queue.popleft()
            if self._motion.is_moving and not self.error:
                if self.settings.fence_on and not self._inside_fence():
                    self._fail(SAFETY_BOUNDARY)
                elif self.settings.reduced_on and not self._inside_range():
                    self._fail(JOINT_LIMIT)

    def snapshot(self) -> Snapshot:
        """All values that the report streams contain, now."""
        with self.lock:
            self.advance()
            s = self.settings
            return Snapshot(
                mode=self.mode,
                state=self.state,
                commands_queued=self.queued,
                joints_rad=tuple(self._motion.joints),
                pose_mm_rad=self.pose(),
                enabled=self.enabled,
                error=self.error,
                warning=self.warning,
                tcp_offset_mm_rad=s.tcp_offset_mm_rad,
                load_kg_mm=s.load_kg_mm,
                collision_sensitivity=s.collision_sensitivity,
                fence_on=s.fence_on,
                fence_mm=s.fence_mm,
                reduced_on=s.reduced_on,
                reduced_tcp_mm_s=s.reduced_tcp_mm_s,
                reduced_joint_rad_s=s.reduced_joint_rad_s,
                joint_range_rad=s.joint_range_rad,
                self_collision_on=s.self_collision_on,
                collision_tool=s.collision_tool,
                collision_tool_mm=s.collision_tool_mm,
                rebound_on=s.rebound_on,
                approximate_on=s.approximate_on,
                gravity=s.gravity,
                world_offset_mm_rad=s.world_offset_mm_rad,
                simulated=s.simulated,
                firmware=self.version,
            )

    def joints(self, time_s: float | None = None) -> Array:
        """Joints ``(7,)`` rad of the arm itself now, or at a past moment of the clock."""
        with self.lock:
            self.advance()
            if self.numbers < ENCODERS_SINCE:
                return self._motion.joints_at((self._clock() if time_s is None else time_s) - LEAD_S).copy()
            return self._motion.joints.copy() if time_s is None else self._motion.joints_at(time_s).copy()

    def tcp(self) -> Array:
        """The TCP ``(3,)`` m of the tool really mounted, now."""
        with self.lock:
            return np.asarray(self.kinematics.tcp(self.joints()))

    def speed_m_s(self) -> float:
        """The TCP's speed now, m/s."""
        with self.lock:
            self.advance()
            return self._motion.speed_m_s

    def pose(self) -> tuple[float, ...]:
        """``x y z`` mm and ``roll pitch yaw`` rad of the TCP according to the configured offset."""
        rotation = self._motion.rotation
        offset = rotation @ np.array(self.settings.tcp_offset_mm_rad[:3])
        xyz = (self._motion.xyz_m - rotation[:, 2] * self._tool_offset_m) * 1000 + offset
        yaw, pitch, roll = Rotation.from_matrix(rotation).as_euler("ZYX")
        return (*xyz.tolist(), float(roll), float(pitch), float(yaw))

    def line(self, pose: tuple[float, ...], speed_mm_s: float, acceleration_mm_s2: float) -> LineTarget:
        """A commanded pose (mm, rad; +inf keeps the present value) as a target of the tool really mounted."""
        kept = [here if math.isinf(there) else there for there, here in zip(pose, self.pose(), strict=True)]
        rotation = Rotation.from_euler("ZYX", [kept[5], kept[4], kept[3]]).as_matrix()
        xyz = (np.array(kept[:3]) - rotation @ np.array(self.settings.tcp_offset_mm_rad[:3])) / 1000
        xyz = xyz + rotation[:, 2] * self._tool_offset_m
        speed = min(max(speed_mm_s / 1000, 1e-4), self._speed_limit_m_s())
        return LineTarget(xyz, rotation, speed, max(acceleration_mm_s2 / 1000, 1e-3))

    def velocity(self, xyz_m_s: Array, duration_s: float) -> VelocityTarget:
        """A commanded velocity, clipped to the speed limit, that ends after ``duration_s``."""
        speed, limit = float(np.linalg.norm(xyz_m_s)), self._speed_limit_m_s()
        velocity = xyz_m_s * (limit / speed) if speed > limit else xyz_m_s
        return VelocityTarget(velocity, self._clock() + duration_s, VELOCITY_ACCELERATION_M_S2)

    def joint_target(self, joints_rad: Array, speed_rad_s: float, acceleration_rad_s2: float) -> JointTarget:
        """Commanded joints, clipped to the speed limit."""
        limit = self.settings.reduced_joint_rad_s if self.settings.reduced_on else math.pi
        return JointTarget(joints_rad, min(speed_rad_s, limit), acceleration_rad_s2)

    def go(self, target: Target, interrupts: bool) -> None:
        """Carry out a target, now or after the queued ones."""
        if self.ignores_moves:
            return
        if interrupts:
            self._queue.clear()
            self._motion.target = target
        else:
            self._queue.append(target)
            self.advance()

    def enable(self, on: bool) -> None:
        """Switch the motors on or off."""
        self.enabled = on and not self.emergency_pressed
        if not self.enabled:
            self._brake()
            self._state = STOPPED

    def set_state(self, wanted: int) -> None:
        """Set the state: 0 ready, 3 pause, 4 stop.

        Ready clears the error unless its cause lasts, and is refused with motors off.
        """
        if wanted == STOPPED:
            if not self.ignores_stops:
                self._brake()
                self._state = STOPPED
        elif wanted == PAUSED:
            self.pause()
        elif wanted == 0:
            self.clean_error()
            if not self.enabled or self.error:
                return
            if self._held is not None:
                self._motion.target, self._held = self._held, None
            self._state = READY

    def set_mode(self, mode: int) -> bool:
        """Change the mode, after which a new state must be set; returns False if this firmware has no such mode."""
        if mode not in MODE_SINCE or self.numbers < MODE_SINCE[mode]:
            return False
        if mode != self.mode:
            self.mode = mode
            self._reset()
        return True

    def configure(self, **changes: Any) -> None:
        """Change settings of tool, payload or sensitivity; a change resets mode and state."""
        changed = replace(self.settings, **changes)
        if changed != self.settings:
            self.settings, self.mode = changed, POSITION
            self._reset()

    def limit(self, **changes: Any) -> None:
        """Change settings without a reset: of boundary and speed, or any with a firmware that resets nothing."""
        self.settings = replace(self.settings, **changes)

    def clean_error(self) -> None:
        """Forget the error, unless its cause is still there."""
        if not self.emergency_pressed:
            self.error = 0

    def fail(self, code: int) -> None:
        """Raise a controller error: brake, forget all targets, change to stopped and mode 0."""
        with self.lock:
            self.advance()
            self._fail(code)

    def warn(self, code: int) -> None:
        """Raise a controller warning, which stays until it is cleaned and does not stop the arm."""
        with self.lock:
            self.warning = code

    def press_emergency_stop(self, pressed: bool) -> None:
        """Press or release the control box's button: the motors are off while pressed, and then until enabled again."""
        with self.lock:
            self.emergency_pressed = pressed
            if pressed:
                self.fail(EMERGENCY_STOP)

    def fall_to_mode_0(self) -> None:
        """Change to mode 0 as after a fault, but stay ready: this misleads a client that looks at the state alone."""
        with self.lock:
            self.advance()
            self._brake()
            self.mode = POSITION

    def push(self, joints_rad: Array) -> bool:
        """Move the arm to these joints by hand; returns False if it is stiff, as in every mode except manual."""
        with self.lock:
            self.advance()
            if not self.may_move or self.mode != MANUAL:
                return False
            self._motion.place(joints_rad)
            return True

    def twist(self, angle_rad: float) -> None:
        """Turn the tool from pointing down about the base's x axis, and hold it there in spite of all commands."""
        with self.lock:
            self.advance()
            self._motion.twist = Rotation.from_euler("x", angle_rad).as_matrix() @ self._motion.rotation

    def pause(self) -> None:
        """Pause, as by the button in the vendor's studio: brake and keep the target."""
        with self.lock:
            self.advance()
            if self._state == READY:
                self._held, self._state = self._motion.target, PAUSED
                self._motion.stop()

    def _inside_fence(self) -> bool:
        x, y, z = self.pose()[:3]  # of the TCP as configured: the controller does not know the tool really mounted
        f = self.settings.fence_mm
        return bool(f[1] <= x <= f[0] and f[3] <= y <= f[2] and f[5] <= z <= f[4])

    def _inside_range(self) -> bool:
        limits = np.reshape(self.settings.joint_range_rad, (7, 2))
        return bool(np.all((self._motion.joints >= limits[:, 0]) & (self._motion.joints <= limits[:, 1])))

    def _fail(self, code: int) -> None:
        self._brake()
        if code == COLLISION and self.settings.rebound_on:
            before = self._motion.joints_at(self._clock() - REBOUND_S)
            self._motion.target = JointTarget(before, REBOUND_RAD_S, REBOUND_RAD_S2)
        self.error, self.mode, self._state = code, POSITION, STOPPED
        if code in _TAKES_MOTORS_OFF:
            self.enabled = False

    def _brake(self) -> None:
        self._motion.stop()
        self._queue.clear()
        self._held = None

    def _reset(self) -> None:
        self._brake()
        if self._state != STOPPED:
            self._state = RESET

    def _speed_limit_m_s(self) -> float:
        s = self.settings
        return min(MAX_TCP_SPEED_M_S, s.reduced_tcp_mm_s / 1000) if s.reduced_on else MAX_TCP_SPEED_M_S
