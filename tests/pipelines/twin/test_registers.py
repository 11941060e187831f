"""What each register of the control port does and answers, byte for byte as recorded from the vendor's SDK."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.rig.rig import Rig
from pipelines.twin.controller.firmware import Firmware, Settings
from pipelines.twin.controller.protocol import (
    Register,
    Request,
    RequestReader,
    Status,
    pack_floats,
)
from pipelines.twin.controller.registers import SETTINGS, answer
from turned_clock import Clock


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


@pytest.mark.parametrize(
    ("register", "payload"),
    [
        (Register.SET_REDUCED_JRANGE, pack_floats([float("nan")] * 14)),
        (Register.SET_REDUCED_JRANGE, pack_floats([0.0] * 13)),
        (Register.SET_COLLIS_TOOL, pack_floats([1.0] * 7) + b"\x16"),
        (Register.SET_COLLIS_TOOL, b""),
    ],
)
def test_settings_out_of_range_are_refused_and_change_nothing(firmware: Firmware, register, payload) -> None:
    status, _ = answer(firmware, Request(1, 2, register, payload))
    assert status & Status.INVALID
    assert firmware.settings == Settings()


def put(firmware: Firmware, register: Register, *values: float) -> Status:
    return answer(firmware, Request(1, 2, register, pack_floats(values)))[0]


@pytest.mark.parametrize(
    ("register", "values"),
    [
        (Register.MOVE_LINE, (410, 0, 399.84, np.pi, 0, 0, 100, 2000)),
        (Register.MOVE_JOINT, (0.1,) * 7 + (0.3, 1.0)),
        (Register.MOVE_HOME, (0.3, 1.0)),
        (Register.MOVE_SERVOJ, (0.1,) * 7),
        (Register.MOVE_SERVO_CART, (410, 0, 399.84, np.pi, 0, 0)),
        (Register.VC_SET_CARTV, (0, 100, 0, 0, 0, 0)),
    ],
)
@pytest.mark.parametrize("why", ["motors off", "stopped", "an error", "another mode", "not a number"])
def test_no_motion_is_taken_from_an_arm_that_may_not_carry_it_out(firmware, clock, register, values, why) -> None:
    mode = {Register.VC_SET_CARTV: 5, Register.MOVE_SERVOJ: 1, Register.MOVE_SERVO_CART: 1}.get(register, 0)
    make_ready(firmware, {5: 0, 1: 5, 0: 1}[mode] if why == "another mode" else mode)
    if why == "motors off":
        firmware.enable(False)
    elif why == "stopped":
        firmware.set_state(4)
    elif why == "an error":
        firmware.fail(31)
    elif why == "not a number":
        values = (np.nan, *values[1:])
    before = firmware.joints()
    assert put(firmware, register, *values) & Status.INVALID
    clock.now += 1.0
    np.testing.assert_array_equal(firmware.joints(), before)


@given(speed_mm_s=st.floats(0.1, 1000), limit_mm_s=st.floats(10, 1000))
def test_no_velocity_is_faster_than_the_reduced_mode_allows(rig: Rig, speed_mm_s: float, limit_mm_s: float) -> None:
    clock = Clock()
    firmware = Firmware(np.array(rig.home_joints_rad), clock, "v2.5.0", rig.tool.tcp_offset_m)
    put(firmware, Register.SET_REDUCED_TRSV, limit_mm_s)
    answer(firmware, Request(1, 2, Register.SET_REDUCED_MODE, b"\1"))
    make_ready(firmware, 5)
    assert not put(firmware, Register.VC_SET_CARTV, 0, speed_mm_s, 0, 0, 0, 0) & Status.INVALID
    clock.now += 0.05
    assert firmware.speed_m_s() * 1000 <= min(speed_mm_s, limit_mm_s) * 1.001


def test_settings_that_are_ignored_are_acknowledged_all_the_same(firmware: Firmware) -> None:
    firmware.ignores_settings = True
    for register in SETTINGS:
        status, payload = answer(firmware, Request(1, 2, register, b"\1" * 56))
        assert (status & Status.INVALID, payload) == (Status.OK, b"")
    assert firmware.settings == Settings()


@pytest.mark.parametrize(("version", "bounded"), [("v1.7.9", False), ("v1.8.0", True)])
def test_a_velocity_s_duration_is_heeded_since_firmware_1_8(rig: Rig, clock, version: str, bounded: bool) -> None:
    firmware = Firmware(np.array(rig.home_joints_rad), clock, version, rig.tool.tcp_offset_m)
    make_ready(firmware, 5)
    payload = pack_floats([0, 50, 0, 0, 0, 0]) + b"\0" + pack_floats([0.3])
    answer(firmware, Request(1, 2, Register.VC_SET_CARTV, payload))
    clock.now += 1.0
    assert (firmware.speed_m_s() == 0) == bounded


def test_inverse_kinematics_undo_the_forward_ones_and_refuse_what_is_out_of_reach(firmware: Firmware) -> None:
    joints = firmware.joints()
    _, pose = answer(firmware, Request(1, 2, Register.GET_FK, pack_floats(joints.tolist())))
    status, found = answer(firmware, Request(1, 2, Register.GET_IK, pack_floats(firmware.pose())))
    assert not status & Status.INVALID
    _, again = answer(firmware, Request(1, 2, Register.GET_FK, found))
    np.testing.assert_allclose(struct.unpack("<3f", again[:12]), struct.unpack("<3f", pose[:12]), atol=0.5)
    status, none = answer(firmware, Request(1, 2, Register.GET_IK, pack_floats([5000, 0, 300, np.pi, 0, 0])))
    assert status & Status.INVALID
    assert none == bytes(28)
