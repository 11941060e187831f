"""What each register of the control port does to the emulated controller."""

import math
import struct
from collections.abc import Callable

import numpy as np
from scipy.spatial.transform import Rotation

from datasets.arm.kinematics import ReachError
from pipelines.twin.controller.firmware import (
    MAX_TCP_SPEED_M_S,
    ONLINE_LINE,
    POSITION,
    SERVO,
    STOPPED,
    VELOCITY,
    Firmware,
)
from pipelines.twin.controller.motion import TOOL_TO_FLANGE
from pipelines.twin.controller.protocol import Register, Request, Status, pack_floats

_SERVO_ACCELERATION_MM_S2 = 50_000.0
_SERVO_JOINT_RAD_S, _SERVO_JOINT_RAD_S2 = math.pi, 20.0
_DURATION_SINCE = (1, 8, 0)
_APPROXIMATE_SINCE = (1, 9, 0)
"""First firmware with approximate motion, by the note of ``set_allow_approx_motion`` in the SDK."""
_RELATIVE_IS_JOINTS = 44
"""Position of the byte after the eleven floats of a relative move."""
_MOVE_PAYLOAD = bytes(3)
"""Payload of the reply to a move: a command id u16, and the result of a check only."""


class RefusedError(Exception):
    """The command is invalid here; ``payload`` still follows the status."""

    def __init__(self, payload: bytes = b"") -> None:
        super().__init__()
        self.payload = payload


def answer(firmware: Firmware, request: Request) -> tuple[Status, bytes]:
    """Carry out a request; returns the status byte and payload of the reply."""
    with firmware.lock:
        firmware.advance()
        handler = _HANDLERS.get(request.register)
        try:
            if handler is None:
                raise RefusedError
            if firmware.ignores_settings and request.register in SETTINGS:
                return _status(firmware), b""
            payload = handler(firmware, request)
            return _status(firmware), payload
        except RefusedError as refused:
            return _status(firmware) | Status.INVALID, refused.payload
        except (struct.error, IndexError):
            return _status(firmware) | Status.INVALID, b""


def _status(firmware: Firmware) -> Status:
    status = Status.OK
    if firmware.state >= STOPPED or not firmware.enabled or firmware.error:
        status |= Status.CANNOT_MOVE
    if firmware.error:
        status |= Status.ERROR
    if firmware.warning:
        status |= Status.WARNING
    return status


def _motion_values(firmware: Firmware, request: Request, count: int, *modes: int, reply: bytes = b"") -> tuple:
    """The floats of a motion command, if the arm may carry it out."""
    values = request.floats(count)
    if any(map(math.isnan, values)) or not firmware.may_move or firmware.mode not in modes:
        raise RefusedError(reply)
    return values


def _finite(request: Request, count: int, otherwise: bytes) -> tuple[float, ...]:
    values = request.floats(count)
    if not all(map(math.isfinite, values)):
        raise RefusedError(otherwise)
    return values


def _version(firmware: Firmware, request: Request) -> bytes:
    return f"7,7,XS1304,AC1304,{firmware.version}".encode().ljust(40, b"\0")


def _serial(firmware: Firmware, request: Request) -> bytes:
    return b"XS1304\0AC1304".ljust(40, b"\0")


def _motion_enable(firmware: Firmware, request: Request) -> bytes:
    firmware.enable(bool(request.payload[1]))
    return b""


def _set_state(firmware: Firmware, request: Request) -> bytes:
    firmware.set_state(request.payload[0])
    return b""


def _set_mode(firmware: Firmware, request: Request) -> bytes:
    if not firmware.set_mode(request.payload[0]):
        raise RefusedError
    return b""


def _clean_error(firmware: Firmware, request: Request) -> bytes:
    firmware.clean_error()
    return b""


def _clean_warning(firmware: Firmware, request: Request) -> bytes:
    firmware.warning = 0
    return b""


def _move_line(firmware: Firmware, request: Request) -> bytes:
    values = _motion_values(firmware, request, 8, POSITION, ONLINE_LINE, reply=_MOVE_PAYLOAD)
    firmware.go(firmware.line(values[:6], values[6], values[7]), interrupts=firmware.mode == ONLINE_LINE)
    return _MOVE_PAYLOAD


def _move_relative(firmware: Firmware, request: Request) -> bytes:
    values = _motion_values(firmware, request, 9, POSITION)
    if request.payload[_RELATIVE_IS_JOINTS]:
        joints = firmware.joints() + np.array(values[:7])
        firmware.go(firmware.joint_target(joints, values[7], values[8]), interrupts=False)
    else:
        pose = tuple(a + b for a, b in zip(firmware.pose(), values[:6], strict=True))
        firmware.go(firmware.line(pose, values[7], values[8]), interrupts=False)
    return b""


def _move_servo_line(firmware: Firmware, request: Request) -> bytes:
    values = _motion_values(firmware, request, 6, SERVO)
    firmware.go(firmware.line(values, MAX_TCP_SPEED_M_S * 1000, _SERVO_ACCELERATION_MM_S2), interrupts=True)
    return b""


def _move_joints(firmware: Firmware, request: Request) -> bytes:
    values = _motion_values(firmware, request, 9, POSITION)
    firmware.go(firmware.joint_target(np.array(values[:7]), values[7], values[8]), interrupts=False)
    return struct.pack(">H", firmware.queued)


def _move_home(firmware: Firmware, request: Request) -> bytes:
    speed, acceleration = _motion_values(firmware, request, 2, POSITION)
    firmware.go(firmware.joint_target(np.zeros(7), speed, acceleration), interrupts=False)
    return struct.pack(">H", firmware.queued)


def _move_servo_joints(firmware: Firmware, request: Request) -> bytes:
    joints = np.array(_motion_values(firmware, request, 7, SERVO))
    firmware.go(firmware.joint_target(joints, _SERVO_JOINT_RAD_S, _SERVO_JOINT_RAD_S2), interrupts=True)
    return b""


def _set_velocity(firmware: Firmware, request: Request) -> bytes:
    values = _motion_values(firmware, request, 6, VELOCITY)
    duration = math.inf
    if len(request.payload) >= 29 and firmware.numbers >= _DURATION_SINCE:
        (duration,) = request.floats(1, 25)
    firmware.go(firmware.velocity(np.array(values)[:3] / 1000, duration if duration > 0 else math.inf), True)
    return b""


def _set_offset(firmware: Firmware, request: Request) -> bytes:
    firmware.configure(tcp_offset_mm_rad=request.floats(6))
    return b""


def _set_load(firmware: Firmware, request: Request) -> bytes:
    firmware.configure(load_kg_mm=request.floats(4))
    return b""


def _set_sensitivity(firmware: Firmware, request: Request) -> bytes:
    firmware.configure(collision_sensitivity=request.payload[0])
    return b""


def _inverse_kinematics(firmware: Firmware, request: Request) -> bytes:
    target = firmware.line(_finite(request, 6, bytes(28)), 1.0, 1.0)
    try:
        joints = firmware.kinematics.solve(target.xyz_m, firmware.joints(), target.rotation @ TOOL_TO_FLANGE)
    except ReachError as error:
        raise RefusedError(bytes(28)) from error
    return pack_floats(joints.tolist())


def _forward_kinematics(firmware: Firmware, request: Request) -> bytes:
    pose = firmware.kinematics.tcp_pose(_finite(request, 7, bytes(24)))
    yaw, pitch, roll = Rotation.from_matrix(pose[:3, :3] @ TOOL_TO_FLANGE).as_euler("ZYX")
    return pack_floats([*(pose[:3, 3] * 1000).tolist(), roll, pitch, yaw])


def _limit_tcp_speed(firmware: Firmware, request: Request) -> bytes:
    firmware.limit(reduced_tcp_mm_s=request.floats(1)[0])
    return b""


def _limit_joint_speed(firmware: Firmware, request: Request) -> bytes:
    firmware.limit(reduced_joint_rad_s=request.floats(1)[0])
    return b""


def _set_reduced_mode(firmware: Firmware, request: Request) -> bytes:
    firmware.limit(reduced_on=bool(request.payload[0]))
    return b""


def _set_fence_box(firmware: Firmware, request: Request) -> bytes:
    firmware.limit(fence_mm=request.ints(6))
    return b""


def _set_fence(firmware: Firmware, request: Request) -> bytes:
    firmware.limit(fence_on=bool(request.payload[0]))
    return b""


def _reduced_state(firmware: Firmware, request: Request) -> bytes:
    s = firmware.settings
    speeds_and_joint_ranges = pack_floats([s.reduced_tcp_mm_s, s.reduced_joint_rad_s, *s.joint_range_rad])
    switches = bytes([s.fence_on, s.rebound_on])
    return b"".join((bytes([s.reduced_on]), struct.pack(">6h", *s.fence_mm), speeds_and_joint_ranges, switches))


def _set_joint_range(firmware: Firmware, request: Request) -> bytes:
    firmware.limit(joint_range_rad=_finite(request, 14, b""))
    return b""


def _set_rebound(firmware: Firmware, request: Request) -> bytes:
    firmware.limit(rebound_on=bool(request.payload[0]))
    return b""


def _set_approximate(firmware: Firmware, request: Request) -> bytes:
    if firmware.numbers < _APPROXIMATE_SINCE:
        raise RefusedError
    firmware.limit(approximate_on=bool(request.payload[0]))
    return b""


def _set_self_collision(firmware: Firmware, request: Request) -> bytes:
    firmware.limit(self_collision_on=bool(request.payload[0]))
    return b""


def _set_collision_tool(firmware: Firmware, request: Request) -> bytes:
    """Set the tool of the collision check; its number is the last value, after the dimensions of its shape."""
    measures = request.floats((len(request.payload) - 1) // 4)
    if len(measures) > 6 or not all(map(math.isfinite, measures)):
        raise RefusedError
    padded = (*measures, *(0.0,) * (6 - len(measures)))
    firmware.limit(collision_tool=request.payload[-1], collision_tool_mm=padded)
    return b""


_HANDLERS: dict[int, Callable[[Firmware, Request], bytes]] = {
    Register.GET_VERSION: _version,
    Register.GET_ROBOT_SN: _serial,
    Register.MOTION_EN: _motion_enable,
    Register.SET_STATE: _set_state,
    Register.GET_STATE: lambda firmware, request: bytes([firmware.state]),
    Register.GET_CMDNUM: lambda firmware, request: struct.pack(">H", firmware.queued),
    Register.GET_ERROR: lambda firmware, request: bytes([firmware.error, firmware.warning]),
    Register.CLEAN_ERR: _clean_error,
    Register.CLEAN_WAR: _clean_warning,
    Register.SET_MODE: _set_mode,
    Register.MOVE_LINE: _move_line,
    Register.MOVE_JOINT: _move_joints,
    Register.MOVE_HOME: _move_home,
    Register.MOVE_SERVOJ: _move_servo_joints,
    Register.MOVE_SERVO_CART: _move_servo_line,
    Register.MOVE_RELATIVE: _move_relative,
    Register.SET_TCP_OFFSET: _set_offset,
    Register.SET_LOAD_PARAM: _set_load,
    Register.SET_COLLIS_SENS: _set_sensitivity,
    Register.GET_TCP_POSE: lambda firmware, request: pack_floats(firmware.pose()),
    Register.GET_JOINT_POS: lambda firmware, request: pack_floats(firmware.joints().tolist()),
    Register.GET_IK: _inverse_kinematics,
    Register.GET_FK: _forward_kinematics,
    Register.SET_REDUCED_TRSV: _limit_tcp_speed,
    Register.SET_REDUCED_P2PV: _limit_joint_speed,
    Register.GET_REDUCED_MODE: lambda firmware, request: bytes([firmware.settings.reduced_on]),
    Register.SET_REDUCED_MODE: _set_reduced_mode,
    Register.SET_LIMIT_XYZ: _set_fence_box,
    Register.GET_REDUCED_STATE: _reduced_state,
    Register.SET_REDUCED_JRANGE: _set_joint_range,
    Register.SET_FENSE_ON: _set_fence,
    Register.SET_COLLIS_REB: _set_rebound,
    Register.SET_ALLOW_APPROX_MOTION: _set_approximate,
    Register.SET_SELF_COLLIS_CHECK: _set_self_collision,
    Register.SET_COLLIS_TOOL: _set_collision_tool,
    Register.VC_SET_CARTV: _set_velocity,
    Register.FEEDBACK_CHECK: lambda firmware, request: b"",
    Register.SET_FEEDBACK_TYPE: lambda firmware, request: b"",
}
SETTINGS = frozenset(
    {
        *(Register.SET_TCP_OFFSET, Register.SET_LOAD_PARAM, Register.SET_COLLIS_SENS),
        *(Register.SET_REDUCED_TRSV, Register.SET_REDUCED_P2PV, Register.SET_REDUCED_JRANGE, Register.SET_REDUCED_MODE),
        *(Register.SET_LIMIT_XYZ, Register.SET_FENSE_ON, Register.SET_COLLIS_REB, Register.SET_ALLOW_APPROX_MOTION),
        *(Register.SET_SELF_COLLIS_CHECK, Register.SET_COLLIS_TOOL),
    }
)
"""The registers by which a client configures the controller."""
