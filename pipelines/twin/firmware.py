"""The emulated controller's mind: modes, states, errors and registers, without sockets.

*Assumed*, because no real controller was at hand: the state after ``clean_error`` (4, mode 0), the answer to a command
of the wrong mode (invalid, nothing moves), what failed inverse kinematics raises (C21) and joint speed (C24), that
reduced mode clips speeds, that a tool offset, payload or sensitivity that changes resets mode and state (0 and 5), that
stop and pause brake at 5 m/s2, and that velocity mode ramps at 2 m/s2.
"""

import math
import struct
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from datasets.kinematics import Kinematics, ReachError
from datasets.projection import Array
from pipelines.twin.motion import (
    TOOL_TO_FLANGE,
    JointTarget,
    LineTarget,
    Motion,
    MotionFault,
    Target,
    VelocityTarget,
)
from pipelines.twin.protocol import Register, Request, Status, pack_floats
from pipelines.twin.reports import Snapshot

MOVING, READY, PAUSED, STOPPED, RESET = 1, 2, 3, 4, 5
POSITION, VELOCITY, ONLINE_LINE = 0, 5, 7
MODE_SINCE = {POSITION: (0, 0, 0), 1: (0, 0, 0), VELOCITY: (1, 6, 9), ONLINE_LINE: (1, 11, 0)}
"""Modes of this emulator with the firmware they need; the real controller has more."""

EMERGENCY_STOP, SAFETY_BOUNDARY = 1, 35
VELOCITY_ACCELERATION_M_S2 = 2.0
_MAX_TCP_SPEED_M_S = 1.0
_TAKES_MOTORS_OFF = frozenset({1, 2, 3, *range(10, 18)})
_Answer = tuple[Status, bytes]


@dataclass(frozen=True)
class Asked:
    """A client wants a feedback frame when the task of this request is done."""

    client: object
    transaction: int
    register: int


class Firmware:
    """State machine of one controller; every method may be called from any thread.

    Args:
        joints_rad: ``(7,)`` where the arm stands at power-on: motors off, mode 0, stopped.
        clock: monotonic seconds.
        version: of the firmware, such as ``v2.5.0``.
        tool_offset_m: the tool really mounted, along flange z; kinematics place the TCP there.
    """

    def __init__(self, joints_rad: Array, clock: Callable[[], float], version: str, tool_offset_m: float) -> None:
        self.version = version
        self._numbers = tuple(int(part) for part in version.lstrip("v").split("."))
        self._clock = clock
        self._lock = threading.RLock()
        self._kinematics = Kinematics()
        self._motion = Motion(joints_rad, clock())
        self._tool_offset_m = tool_offset_m
        self._queue: deque[Target] = deque()
        self._held: Target | None = None
        self._asked: list[Asked] = []
        self.mode, self._state, self.error, self.warning = POSITION, STOPPED, 0, 0
        self.enabled = False
        self.emergency_pressed = False
        self._offset = (0.0,) * 6
        self._load = (0.0,) * 4
        self._sensitivity = 3
        self._fence_on = self._reduced_on = False
        self._fence_mm: tuple[int, ...] = (9999, -9999) * 3
        self._reduced_tcp_mm_s, self._reduced_joint_rad_s = 1000.0, math.pi

    def handle(self, request: Request, client: object = None, feedback: bool = False) -> _Answer:
        """Answer one request; ``feedback`` asks for a frame when the task it queues is done."""
        with self._lock:
            self._advance()
            handler = _HANDLERS.get(request.register)
            if handler is None:
                return self._status() | Status.INVALID, b""
            try:
                status, payload = handler(self, request)
            except struct.error:
                return self._status() | Status.INVALID, b""
            if feedback and not status & Status.INVALID:
                self._asked.append(Asked(client, request.transaction, request.register))
            return self._status() | status, payload

    def snapshot(self) -> Snapshot:
        """All that the report streams tell, now."""
        with self._lock:
            self._advance()
            return Snapshot(
                mode=self.mode,
                state=self.state,
                commands_queued=len(self._queue),
                joints_rad=tuple(self._motion.joints),
                pose_mm_rad=self._pose(),
                enabled=self.enabled,
                error=self.error,
                warning=self.warning,
                tcp_offset_mm_rad=self._offset,
                load_kg_mm=self._load,
                collision_sensitivity=self._sensitivity,
                fence_on=self._fence_on,
                fence_mm=self._fence_mm,
                reduced_on=self._reduced_on,
                reduced_tcp_mm_s=self._reduced_tcp_mm_s,
                reduced_joint_rad_s=self._reduced_joint_rad_s,
                firmware=self.version,
            )

    def joints(self, time_s: float | None = None) -> Array:
        """Joints ``(7,)`` rad now, or at a past moment of the clock."""
        with self._lock:
            self._advance()
            return self._motion.joints.copy() if time_s is None else self._motion.joints_at(time_s).copy()

    def tcp(self) -> Array:
        """TCP ``(3,)`` m now, of the tool really mounted."""
        with self._lock:
            self._advance()
            return self._motion.xyz_m.copy()

    @property
    def state(self) -> int:
        """1 moving, 2 ready, 3 paused, 4 stopped, 5 reset by a configuration."""
        return MOVING if self._state == READY and self._motion.is_moving else self._state

    @property
    def speed_m_s(self) -> float:
        """TCP speed now."""
        with self._lock:
            self._advance()
            return self._motion.speed_m_s

    def fail(self, code: int) -> None:
        """Raise a controller error: brake, forget all targets, stopped, mode 0."""
        with self._lock:
            self._advance()
            self._fail(code)

    def press_emergency_stop(self, pressed: bool) -> None:
        """The button of the control box: motors off while pressed, and after it until enabled again."""
        with self._lock:
            self.emergency_pressed = pressed
            if pressed:
                self._fail(EMERGENCY_STOP)

    def fall_to_mode_0(self) -> None:
        """Mode 0 as after a fault, but with the state ready: whoever resumes on state alone is fooled."""
        with self._lock:
            self._advance()
            self._brake()
            self.mode = POSITION

    def pause(self) -> None:
        """As pressed in the vendor's studio: brake and keep the targets."""
        with self._lock:
            self._advance()
            self._pause()

    def finished(self) -> list[Asked]:
        """The feedback that is due now, each once."""
        with self._lock:
            self._advance()
            if self._motion.is_moving or self._queue:
                return []
            done, self._asked = self._asked, []
            return done

    def _advance(self) -> None:
        now = self._clock()
        try:
            self._motion.advance(now)
        except MotionFault as fault:
            self._fail(fault.code)
            self._motion.advance(now)
        if self._state == READY and self._motion.target is None and self._queue:
            self._motion.target = self._queue.popleft()
        if self._fence_on and self._motion.is_moving and not self._inside_fence() and self.error == 0:
            self._fail(SAFETY_BOUNDARY)

    def _inside_fence(self) -> bool:
        x, y, z = self._motion.xyz_m * 1000
        f = self._fence_mm
        return bool(f[1] <= x <= f[0] and f[3] <= y <= f[2] and f[5] <= z <= f[4])

    def _fail(self, code: int) -> None:
        self._brake()
        self.error, self.mode, self._state = code, POSITION, STOPPED
        if code in _TAKES_MOTORS_OFF:
            self.enabled = False

    def _brake(self) -> None:
        self._motion.stop()
        self._queue.clear()
        self._held = None

    def _pause(self) -> None:
        if self._state == READY:
            self._held, self._state = self._motion.target, PAUSED
            self._motion.stop()

    def _status(self) -> Status:
        status = Status.OK
        if self._state >= STOPPED or not self.enabled or self.error:
            status |= Status.CANNOT_MOVE
        if self.error:
            status |= Status.ERROR
        if self.warning:
            status |= Status.WARNING
        return status

    def _pose(self) -> tuple[float, ...]:
        """Pose of the point that the configured offset names, not of the tool really mounted."""
        rotation = self._motion.rotation
        xyz = (self._motion.xyz_m - rotation[:, 2] * self._tool_offset_m) * 1000 + rotation @ np.array(self._offset[:3])
        yaw, pitch, roll = Rotation.from_matrix(rotation).as_euler("ZYX")
        return (*xyz.tolist(), float(roll), float(pitch), float(yaw))

    def _line(self, pose: tuple[float, ...], speed_mm_s: float, acceleration_mm_s2: float) -> LineTarget:
        """A commanded pose (mm, rad; +inf keeps what is) as a target of the tool really mounted."""
        current = self._pose()
        kept = [here if math.isinf(there) else there for there, here in zip(pose, current, strict=True)]
        rotation = Rotation.from_euler("ZYX", [kept[5], kept[4], kept[3]]).as_matrix()
        xyz = (np.array(kept[:3]) - rotation @ np.array(self._offset[:3])) / 1000
        xyz = xyz + rotation[:, 2] * self._tool_offset_m
        speed = min(speed_mm_s / 1000, self._speed_limit_m_s())
        return LineTarget(xyz, rotation, speed, max(acceleration_mm_s2 / 1000, 1e-3))

    def _speed_limit_m_s(self) -> float:
        return min(_MAX_TCP_SPEED_M_S, self._reduced_tcp_mm_s / 1000) if self._reduced_on else _MAX_TCP_SPEED_M_S

    def _may_move(self, *modes: int) -> bool:
        return self.mode in modes and self._state == READY and self.enabled and self.error == 0

    def _go(self, target: Target, interrupts: bool) -> None:
        if interrupts:
            self._queue.clear()
            self._motion.target = target
        else:
            self._queue.append(target)
            self._advance()

    def _motion_enable(self, request: Request) -> _Answer:
        self.enabled = bool(request.payload[1]) and not self.emergency_pressed
        if not self.enabled:
            self._brake()
            self._state = STOPPED
        return Status.OK, b""

    def _set_state(self, request: Request) -> _Answer:
        wanted = request.payload[0]
        if wanted == STOPPED:
            self._brake()
            self._state = STOPPED
        elif wanted == PAUSED:
            self._pause()
        elif wanted == 0 and self.enabled and self.error == 0:
            if self._held is not None:
                self._motion.target, self._held = self._held, None
            self._state = READY
        return Status.OK, b""

    def _get_state(self, request: Request) -> _Answer:
        return Status.OK, bytes([self.state])

    def _set_mode(self, request: Request) -> _Answer:
        mode = request.payload[0]
        if mode not in MODE_SINCE or self._numbers < MODE_SINCE[mode]:
            return Status.INVALID, b""
        if mode != self.mode:
            self._brake()
            self.mode = mode
            self._state = max(self._state, RESET) if self._state != STOPPED else STOPPED
        return Status.OK, b""

    def _reset_by_configuration(self) -> None:
        self._brake()
        self.mode = POSITION
        if self._state != STOPPED:
            self._state = RESET

    def _get_version(self, request: Request) -> _Answer:
        return Status.OK, f"7,7,XS1304,AC1304,{self.version}".encode().ljust(40, b"\0")

    def _get_serial(self, request: Request) -> _Answer:
        return Status.OK, b"XS1304\0AC1304".ljust(40, b"\0")

    def _get_queue(self, request: Request) -> _Answer:
        return Status.OK, struct.pack(">H", len(self._queue))

    def _get_error(self, request: Request) -> _Answer:
        return Status.OK, bytes([self.error, self.warning])

    def _clean_error(self, request: Request) -> _Answer:
        if not self.emergency_pressed:
            self.error = 0
        return Status.OK, b""

    def _clean_warning(self, request: Request) -> _Answer:
        self.warning = 0
        return Status.OK, b""

    def _move_line(self, request: Request) -> _Answer:
        values = request.floats(8)
        if any(map(math.isnan, values)) or not self._may_move(POSITION, ONLINE_LINE):
            return Status.INVALID, bytes(3)
        self._go(self._line(values[:6], values[6], values[7]), interrupts=self.mode == ONLINE_LINE)
        return Status.OK, bytes(3)

    def _move_servo_line(self, request: Request) -> _Answer:
        values = request.floats(8)
        if any(map(math.isnan, values)) or not self._may_move(1):
            return Status.INVALID, b""
        self._go(self._line(values[:6], _MAX_TCP_SPEED_M_S * 1000, 50000.0), interrupts=True)
        return Status.OK, b""

    def _move_joints(self, request: Request) -> _Answer:
        values = request.floats(9)
        if any(map(math.isnan, values)) or not self._may_move(POSITION):
            return Status.INVALID, b""
        self._go(JointTarget(np.array(values[:7]), min(values[7], self._reduced_joint()), values[8]), interrupts=False)
        return Status.OK, b""

    def _move_home(self, request: Request) -> _Answer:
        speed, acceleration = request.floats(2)
        if not self._may_move(POSITION):
            return Status.INVALID, b""
        self._go(JointTarget(np.zeros(7), min(speed, self._reduced_joint()), acceleration), interrupts=False)
        return Status.OK, b""

    def _move_servo_joints(self, request: Request) -> _Answer:
        joints = np.array(request.floats(7))
        if not np.isfinite(joints).all() or not self._may_move(1):
            return Status.INVALID, b""
        self._go(JointTarget(joints, math.pi, 20.0), interrupts=True)
        return Status.OK, b""

    def _reduced_joint(self) -> float:
        return self._reduced_joint_rad_s if self._reduced_on else math.pi

    def _move_relative(self, request: Request) -> _Answer:
        values = request.floats(8)
        if any(map(math.isnan, values)) or not self._may_move(POSITION):
            return Status.INVALID, bytes(3)
        pose = tuple(a + b for a, b in zip(self._pose(), values[:6], strict=True))
        self._go(self._line(pose, values[6], values[7]), interrupts=False)
        return Status.OK, bytes(3)

    def _set_velocity(self, request: Request) -> _Answer:
        values = request.floats(6)
        duration = request.floats(1, 25)[0] if len(request.payload) >= 29 and self._numbers >= (1, 8, 0) else math.inf
        if any(map(math.isnan, values)) or not self._may_move(VELOCITY):
            return Status.INVALID, b""
        velocity = np.array(values[:3]) / 1000
        speed = float(np.linalg.norm(velocity))
        if speed > self._speed_limit_m_s():
            velocity *= self._speed_limit_m_s() / speed
        until = self._clock() + (duration if duration > 0 else math.inf)
        self._go(VelocityTarget(velocity, until, VELOCITY_ACCELERATION_M_S2), interrupts=True)
        return Status.OK, b""

    def _set_offset(self, request: Request) -> _Answer:
        offset = request.floats(6)
        if offset != self._offset:
            self._offset = offset
            self._reset_by_configuration()
        return Status.OK, b""

    def _set_load(self, request: Request) -> _Answer:
        load = request.floats(4)
        if load != self._load:
            self._load = load
            self._reset_by_configuration()
        return Status.OK, b""

    def _set_sensitivity(self, request: Request) -> _Answer:
        if request.payload[0] != self._sensitivity:
            self._sensitivity = request.payload[0]
            self._reset_by_configuration()
        return Status.OK, b""

    def _get_pose(self, request: Request) -> _Answer:
        return Status.OK, pack_floats(self._pose())

    def _get_joints(self, request: Request) -> _Answer:
        return Status.OK, pack_floats(tuple(self._motion.joints))

    def _inverse_kinematics(self, request: Request) -> _Answer:
        target = self._line(request.floats(6), 1.0, 1.0)
        try:
            joints = self._kinematics.solve(target.xyz_m, self._motion.joints, target.rotation @ TOOL_TO_FLANGE)
        except ReachError:
            return Status.INVALID, pack_floats((0.0,) * 7)
        return Status.OK, pack_floats(tuple(joints))

    def _forward_kinematics(self, request: Request) -> _Answer:
        pose = self._kinematics.tcp_pose(request.floats(7))
        yaw, pitch, roll = Rotation.from_matrix(pose[:3, :3] @ TOOL_TO_FLANGE).as_euler("ZYX")
        return Status.OK, pack_floats((*(pose[:3, 3] * 1000), roll, pitch, yaw))

    def _set_reduced_tcp_speed(self, request: Request) -> _Answer:
        (self._reduced_tcp_mm_s,) = request.floats(1)
        return Status.OK, b""

    def _set_reduced_joint_speed(self, request: Request) -> _Answer:
        (self._reduced_joint_rad_s,) = request.floats(1)
        return Status.OK, b""

    def _get_reduced_mode(self, request: Request) -> _Answer:
        return Status.OK, bytes([self._reduced_on])

    def _set_reduced_mode(self, request: Request) -> _Answer:
        self._reduced_on = bool(request.payload[0])
        return Status.OK, b""

    def _set_fence_box(self, request: Request) -> _Answer:
        self._fence_mm = request.ints(6)
        return Status.OK, b""

    def _get_reduced_state(self, request: Request) -> _Answer:
        return Status.OK, b"".join(
            (
                bytes([self._reduced_on]),
                struct.pack(">6h", *self._fence_mm),
                pack_floats((self._reduced_tcp_mm_s, self._reduced_joint_rad_s, *([-6.28, 6.28] * 7))),
                bytes([self._fence_on, 0]),
            )
        )

    def _set_fence(self, request: Request) -> _Answer:
        self._fence_on = bool(request.payload[0])
        return Status.OK, b""

    def _acknowledge(self, request: Request) -> _Answer:
        return Status.OK, b""


_HANDLERS: dict[int, Callable[[Firmware, Request], _Answer]] = {
    Register.GET_VERSION: Firmware._get_version,
    Register.GET_ROBOT_SN: Firmware._get_serial,
    Register.MOTION_EN: Firmware._motion_enable,
    Register.SET_STATE: Firmware._set_state,
    Register.GET_STATE: Firmware._get_state,
    Register.GET_CMDNUM: Firmware._get_queue,
    Register.GET_ERROR: Firmware._get_error,
    Register.CLEAN_ERR: Firmware._clean_error,
    Register.CLEAN_WAR: Firmware._clean_warning,
    Register.SET_MODE: Firmware._set_mode,
    Register.MOVE_LINE: Firmware._move_line,
    Register.MOVE_JOINT: Firmware._move_joints,
    Register.MOVE_HOME: Firmware._move_home,
    Register.MOVE_SERVOJ: Firmware._move_servo_joints,
    Register.MOVE_SERVO_CART: Firmware._move_servo_line,
    Register.SET_TCP_OFFSET: Firmware._set_offset,
    Register.SET_LOAD_PARAM: Firmware._set_load,
    Register.SET_COLLIS_SENS: Firmware._set_sensitivity,
    Register.GET_TCP_POSE: Firmware._get_pose,
    Register.GET_JOINT_POS: Firmware._get_joints,
    Register.GET_IK: Firmware._inverse_kinematics,
    Register.GET_FK: Firmware._forward_kinematics,
    Register.SET_REDUCED_TRSV: Firmware._set_reduced_tcp_speed,
    Register.SET_REDUCED_P2PV: Firmware._set_reduced_joint_speed,
    Register.GET_REDUCED_MODE: Firmware._get_reduced_mode,
    Register.SET_REDUCED_MODE: Firmware._set_reduced_mode,
    Register.SET_LIMIT_XYZ: Firmware._set_fence_box,
    Register.GET_REDUCED_STATE: Firmware._get_reduced_state,
    Register.SET_FENSE_ON: Firmware._set_fence,
    Register.VC_SET_CARTV: Firmware._set_velocity,
    Register.MOVE_RELATIVE: Firmware._move_relative,
    Register.FEEDBACK_CHECK: Firmware._acknowledge,
    Register.SET_FEEDBACK_TYPE: Firmware._acknowledge,
}
