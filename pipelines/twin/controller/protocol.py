"""The bytes of the xArm's control port (TCP 502): requests, replies and feedback frames.

A request is ``tid u16BE | proto u16BE | len u16BE | register u8 | payload``; a reply echoes transaction, protocol and
register, then a status byte, then its payload. Floats and int32 are little-endian, u16 big-endian. The source is
``xarm-python-sdk`` 1.18.4 (``core/wrapper/uxbus_cmd_tcp.py``); register names are ``XCONF.UxbusReg``'s.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag

HEARTBEAT = bytes([0, 0, 0, 1, 0, 2, 0, 0])
"""What a client may send to keep the connection alive; it gets no reply."""

_HEADER = struct.Struct(">HHH")


class Register(IntEnum):
    """The registers this emulator answers."""

    GET_VERSION = 1
    GET_ROBOT_SN = 2
    MOTION_EN = 11
    SET_STATE = 12
    GET_STATE = 13
    GET_CMDNUM = 14
    GET_ERROR = 15
    CLEAN_ERR = 16
    CLEAN_WAR = 17
    SET_MODE = 19
    MOVE_LINE = 21
    MOVE_JOINT = 23
    MOVE_HOME = 25
    MOVE_SERVOJ = 29
    MOVE_SERVO_CART = 30
    SET_TCP_OFFSET = 35
    SET_LOAD_PARAM = 36
    SET_COLLIS_SENS = 37
    GET_TCP_POSE = 41
    GET_JOINT_POS = 42
    GET_IK = 43
    GET_FK = 44
    SET_REDUCED_TRSV = 47
    SET_REDUCED_P2PV = 48
    GET_REDUCED_MODE = 49
    SET_REDUCED_MODE = 50
    SET_LIMIT_XYZ = 52
    GET_REDUCED_STATE = 53
    SET_REDUCED_JRANGE = 58
    SET_FENSE_ON = 59
    SET_COLLIS_REB = 60
    SET_ALLOW_APPROX_MOTION = 66
    SET_SELF_COLLIS_CHECK = 77
    SET_COLLIS_TOOL = 78
    VC_SET_CARTV = 82
    MOVE_RELATIVE = 83
    FEEDBACK_CHECK = 253
    SET_FEEDBACK_TYPE = 254


class Status(IntFlag):
    """Bits of a reply's status byte (``UxbusCmdTcp.check_private_protocol``)."""

    OK = 0
    INVALID = 0x08
    CANNOT_MOVE = 0x10
    WARNING = 0x20
    ERROR = 0x40


@dataclass(frozen=True)
class Request:
    """One request of a client."""

    transaction: int
    protocol: int
    register: int
    payload: bytes

    def floats(self, count: int, offset: int = 0) -> tuple[float, ...]:
        """``count`` little-endian float32 of the payload; raises ``struct.error`` when it is too short."""
        return struct.unpack_from(f"<{count}f", self.payload, offset)

    def ints(self, count: int) -> tuple[int, ...]:
        """``count`` little-endian int32 of the payload; raises ``struct.error`` when it is too short."""
        return struct.unpack_from(f"<{count}i", self.payload)

    def reply(self, status: Status, payload: bytes = b"") -> bytes:
        """The reply that answers this request."""
        return _HEADER.pack(self.transaction, self.protocol, 2 + len(payload)) + (
            bytes([self.register, status]) + payload
        )


class RequestReader:
    """Cuts a TCP stream into requests, however the bytes were split on the way."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> Iterator[Request]:
        """Yield the requests that ``data`` completes, without heartbeats."""
        self._buffer += data
        while len(self._buffer) >= _HEADER.size:
            transaction, protocol, length = _HEADER.unpack_from(self._buffer)
            end = _HEADER.size + length
            if len(self._buffer) < end:
                return
            frame, self._buffer = self._buffer[:end], self._buffer[end:]
            if frame != HEARTBEAT and length > 0:
                yield Request(transaction, protocol, frame[6], frame[7:])


def pack_floats(values: Sequence[float]) -> bytes:
    """The values as little-endian float32."""
    return struct.pack(f"<{len(values)}f", *values)


def motion_feedback(transaction: int, feedback_type: int, register: int, task: int, code: int, time_us: int) -> bytes:
    """The frame that is sent to a client when a task for which it asked feedback is done.

    ``transaction | 0003 | 000f | ff 00 | type | register | task u16 | code | u64 us`` with the transaction of the
    request that queued the task.
    """
    body = struct.pack(">BBBBHBQ", 0xFF, 0, feedback_type, register, task, code, time_us)
    return _HEADER.pack(transaction, 3, len(body)) + body
