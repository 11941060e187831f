"""The emulated controller byte for byte: requests and replies as recorded from the vendor's SDK, report layouts."""

import itertools
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.rig.rig import Rig
from pipelines.twin.controller.firmware import Firmware
from pipelines.twin.controller.protocol import (
    HEARTBEAT,
    Register,
    Request,
    RequestReader,
    Status,
    motion_feedback,
    pack_floats,
)
from pipelines.twin.controller.registers import answer
from pipelines.twin.controller.reports import normal_report, real_report, rich_report


def to_bytes(request: Request) -> bytes:
    """The request as it goes over the wire."""
    header = struct.pack(">HHH", request.transaction, request.protocol, 1 + len(request.payload))
    return header + bytes([request.register]) + request.payload


@pytest.fixture
def firmware(rig: Rig, clock) -> Firmware:
    return Firmware(np.array(rig.home_joints_rad), clock, "v2.5.0", rig.tool.tcp_offset_m)


def ask(firmware: Firmware, from_length_on: str, transaction: int = 7, protocol: int = 3) -> bytes:
    """The reply's bytes from its length on, to a request given likewise."""
    data = struct.pack(">HH", transaction, protocol) + bytes.fromhex(from_length_on)
    (request,) = RequestReader().feed(data)
    reply = request.reply(*answer(firmware, request))
    assert reply[:4] == data[:4], "transaction and protocol are echoed"
    assert struct.unpack(">H", reply[4:6])[0] == len(reply) - 6
    return reply[4:]


def test_the_power_on_dialogue_is_the_recorded_one(firmware: Firmware) -> None:
    assert ask(firmware, "0001 01") == bytes.fromhex("002a 01 10") + b"7,7,XS1304,AC1304,v2.5.0".ljust(40, b"\0")
    assert ask(firmware, "0003 0b 08 01") == bytes.fromhex("0002 0b 10")
    assert ask(firmware, "0003 13 05 00") == bytes.fromhex("0002 13 10")
    assert ask(firmware, "0002 0c 00") == bytes.fromhex("0002 0c 00")
    assert ask(firmware, "0001 0d") == bytes.fromhex("0003 0d 00 02")
    assert ask(firmware, "0001 0f") == bytes.fromhex("0004 0f 00 00 00")


def make_ready(firmware: Firmware, mode: int) -> None:
    ask(firmware, "0003 0b 08 01")
    ask(firmware, f"0003 13 {mode:02x} 00")
    ask(firmware, "0002 0c 00")


def test_the_pose_comes_in_millimetres_and_radians(firmware: Firmware) -> None:
    make_ready(firmware, 0)
    reply = ask(firmware, "0001 29")
    assert reply[:4] == bytes.fromhex("001a 29 00")
    x, y, z, roll, pitch, yaw = struct.unpack("<6f", reply[4:])
    assert (x, y, z) == pytest.approx((399.96, 0, 227.84 + 172), abs=0.01)  # no tool told yet: the flange
    assert (abs(roll), pitch, yaw) == pytest.approx((np.pi, 0, 0), abs=1e-5)


def test_a_target_is_taken_in_mode_7_and_its_reply_has_a_command_id(firmware: Firmware, clock) -> None:
    make_ready(firmware, 7)
    payload = pack_floats([410, 0, 399.84, np.pi, 0, 0, 100, 2000, 0, -1]) + bytes(3)
    assert len(payload) + 1 == 0x2C
    assert ask(firmware, "002c 15" + payload.hex()) == bytes.fromhex("0005 15 00 0000 00")
    clock.now += 1.0
    assert firmware.tcp()[0] == pytest.approx(0.410, abs=1e-4)


def test_a_velocity_is_taken_in_mode_5_and_ends_with_its_duration(firmware: Firmware, clock) -> None:
    make_ready(firmware, 5)
    payload = pack_floats([0, 100, 0, 0, 0, 0]) + b"\0" + pack_floats([0.5])
    assert len(payload) + 1 == 0x1E
    assert ask(firmware, "001e 52" + payload.hex()) == bytes.fromhex("0002 52 00")
    clock.now += 0.4
    assert firmware.speed_m_s() == pytest.approx(0.1, abs=1e-6)
    clock.now += 0.4
    assert firmware.speed_m_s() == 0
    assert 0.045 < firmware.tcp()[1] < 0.055


def test_the_fence_box_is_six_little_endian_int32(firmware: Firmware) -> None:
    box = struct.pack("<6i", 620, 230, 320, -320, 520, 80)
    assert ask(firmware, "0019 34" + box.hex())[:2] == bytes.fromhex("0002")
    assert firmware.settings.fence_mm == (620, 230, 320, -320, 520, 80)


def test_a_register_that_is_not_emulated_is_answered_as_invalid(firmware: Firmware) -> None:
    for register in set(range(256)) - set(Register):
        reply = Request(1, 2, register, b"").reply(*answer(firmware, Request(1, 2, register, b"")))
        assert reply[7] & Status.INVALID


@pytest.mark.parametrize("register", list(Register))
@pytest.mark.parametrize("payload", [b"", b"\xff", b"\xff" * 7, b"\xff" * 64, b"\0" * 64], ids=len)
def test_no_payload_breaks_the_controller(firmware: Firmware, register: Register, payload: bytes) -> None:
    make_ready(firmware, 7)
    status, reply = answer(firmware, Request(1, 3, register, payload))
    assert isinstance(Request(1, 3, register, payload).reply(status, reply), bytes)
    assert np.isfinite(firmware.tcp()).all()


@given(
    requests=st.lists(
        st.builds(
            Request, st.integers(0, 65535), st.integers(1, 65535), st.integers(0, 255), st.binary(max_size=60)
        ).filter(lambda request: to_bytes(request) != HEARTBEAT),
        max_size=8,
    ),
    cuts=st.lists(st.integers(0, 500), max_size=6),
)
def test_requests_survive_any_cut_of_the_stream(requests: list[Request], cuts: list[int]) -> None:
    stream = b"".join(to_bytes(request) + HEARTBEAT for request in requests)
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    reader = RequestReader()
    pieces = (stream[a:b] for a, b in itertools.pairwise(edges))
    assert [request for piece in pieces for request in reader.feed(piece)] == requests


def test_feedback_carries_the_transaction_that_queued_the_task() -> None:
    frame = motion_feedback(0x1234, 2, 0x15, 5, 0, 0x0102030405060708)
    assert frame == bytes.fromhex("1234 0003 000f ff 00 02 15 0005 00 0102030405060708")


def test_reports_are_laid_out_as_the_sdks_own_structures(firmware: Firmware) -> None:
    from control.arms.xarm.wire.sdk import load_sdk

    load_sdk()
    from xarm.x3.report import ReportDataStructure

    make_ready(firmware, 7)
    firmware.error = 31
    firmware.limit(fence_on=True, fence_mm=(620, 230, 320, -320, 520, 80), reduced_on=True, reduced_tcp_mm_s=250.0)
    firmware.limit(joint_range_rad=tuple(range(14)), self_collision_on=True, rebound_on=True, approximate_on=True)
    firmware.limit(collision_tool=21, collision_tool_mm=(45, 137, 1, 2, 3, 0), gravity=(0, 1, 0))
    snapshot = firmware.snapshot()
    for port, report, size in (
        (30003, real_report(snapshot), 87),
        (30001, normal_report(snapshot), 145),
        (30002, rich_report(snapshot), 574),
    ):
        parsed = ReportDataStructure.create(port)
        parsed.update(report)
        assert len(report) == parsed.data_size == size
        assert (parsed.mode, parsed.state) == (7, 2)
        assert parsed.actual_joint_angle == pytest.approx(snapshot.joints_rad, abs=1e-6)
        assert parsed.actual_tcp_pose[:3] == pytest.approx(snapshot.pose_mm_rad[:3], abs=1e-3)
    assert (parsed.error_code, parsed.robot_axis, parsed.is_fence_mode, parsed.is_reduced_mode) == (31, 7, 1, 1)
    assert struct.unpack_from(">6h", report, 496) == (620, 230, 320, -320, 520, 80)
    assert parsed.reduced_tcp_max_speed == 250
    assert parsed.is_simulation_robot == 0
    assert parsed.gravity_direction == [0, 1, 0]
    assert parsed.reduced_joint_limits == [[2 * joint, 2 * joint + 1] for joint in range(7)]
    assert (parsed.is_collision_detection, parsed.is_collision_rebound, parsed.is_approx_motion) == (True,) * 3
    assert (parsed.collision_tool_type, parsed.collision_tool_params) == (21, [45, 137, 1, 2, 3, 0])


def test_firmware_before_1_9_sends_the_short_report(rig: Rig, clock) -> None:
    short = Firmware(np.array(rig.home_joints_rad), clock, "v1.8.5", rig.tool.tcp_offset_m)
    report = rich_report(short.snapshot())
    assert len(report) == struct.unpack_from(">I", report)[0] == 494
