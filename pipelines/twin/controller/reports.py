"""The bytes of the xArm's report ports: 30001 "normal" 145 B, 30002 "rich" 574 B, 30003 "real" 87 B.

The layouts are from ``xarm-python-sdk`` 1.18.4 (``x3/report.py``) and the vendor's "Data Description of TCP port". The
SDK also knows a rich report of 587 B; an xArm7 of firmware 2.7.1 was seen to send 574, an xArm6 of 1.8.5 494, and this
emulator sends 494 with a firmware before 1.9.0 (*assumed: report-length*). Fields without a value in this emulator are
zero, except those in which a zero would make the SDK close the stream or clip commands.
"""

import struct
from dataclasses import dataclass

REAL_PORT, NORMAL_PORT, RICH_PORT = 30003, 30001, 30002
REAL_BYTES, NORMAL_BYTES, RICH_BYTES = 87, 145, 574
SHORT_RICH_BYTES, FULL_RICH_SINCE = 494, (1, 9, 0)

_MOTORS_ALL = 0x7F


@dataclass(frozen=True)
class Snapshot:
    """The controller's values at one moment, in its own units (mm, rad)."""

    mode: int
    state: int
    commands_queued: int
    joints_rad: tuple[float, ...]
    pose_mm_rad: tuple[float, ...]
    enabled: bool
    error: int
    warning: int
    tcp_offset_mm_rad: tuple[float, ...]
    load_kg_mm: tuple[float, ...]
    collision_sensitivity: int
    fence_on: bool
    fence_mm: tuple[int, ...]
    reduced_on: bool
    reduced_tcp_mm_s: float
    reduced_joint_rad_s: float
    joint_range_rad: tuple[float, ...]
    self_collision_on: bool
    collision_tool: int
    collision_tool_mm: tuple[float, ...]
    rebound_on: bool
    approximate_on: bool
    gravity: tuple[float, ...]
    world_offset_mm_rad: tuple[float, ...]
    simulated: bool
    firmware: str

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of the firmware's version."""
        return tuple(int(part) for part in self.firmware.lstrip("v").split("."))


def real_report(s: Snapshot) -> bytes:
    """The report of 100 Hz: state, mode, joints, pose, torques; no error code."""
    return struct.pack(">IBH", REAL_BYTES, s.mode << 4 | s.state, s.commands_queued) + struct.pack(
        "<20f", *s.joints_rad, *s.pose_mm_rad, *([0.0] * 7)
    )


def normal_report(s: Snapshot, total_bytes: int = NORMAL_BYTES) -> bytes:
    """The report of 5 Hz: as :func:`real_report`, with motors, errors, warnings, tool offset, load, sensitivities."""
    motors = _MOTORS_ALL if s.enabled else 0
    return b"".join(
        (
            struct.pack(">I", total_bytes),
            real_report(s)[4:],
            bytes([motors, motors, s.error, s.warning]),
            struct.pack("<10f", *s.tcp_offset_mm_rad, *s.load_kg_mm),
            bytes([s.collision_sensitivity, 1]),
            struct.pack("<3f", *s.gravity),
        )
    )


def rich_report(s: Snapshot) -> bytes:
    """The report of 5 Hz: as :func:`normal_report`, with limits, safety boundary and much that only real arms fill."""
    length = RICH_BYTES if s.numbers >= FULL_RICH_SINCE else SHORT_RICH_BYTES
    report = bytearray(RICH_BYTES)
    report[:NORMAL_BYTES] = normal_report(s, length)
    report[145:149] = bytes([7, 7, 0xAA, 0x55])  # robot type and axes: xArm7; master and slave
    report[151:181] = s.firmware.encode()[:29].ljust(30, b"\0")
    # The SDK clips speeds and accelerations to these values (mm, rad).
    struct.pack_into("<5f", report, 181, 10000.0, 1.0, 50000.0, 0.1, 1000.0)
    struct.pack_into("<5f", report, 201, 20.0, 0.01, 20.0, 0.0001, 4.0)
    struct.pack_into("<2f", report, 221, 2.3, 2.7)
    struct.pack_into("<6f", report, 288, *s.world_offset_mm_rad)
    report[314] = s.simulated
    report[315:317] = bytes([s.self_collision_on, s.collision_tool])
    struct.pack_into("<6f", report, 317, *s.collision_tool_mm)
    report[494] = s.reduced_on | s.fence_on << 1 | s.approximate_on << 3
    report[495] = s.reduced_on
    struct.pack_into(">6h", report, 496, *s.fence_mm)
    struct.pack_into("<2f", report, 508, s.reduced_tcp_mm_s, s.reduced_joint_rad_s)
    struct.pack_into("<14f", report, 516, *s.joint_range_rad)
    report[572:574] = bytes([s.fence_on, s.rebound_on])
    return bytes(report[:length])
