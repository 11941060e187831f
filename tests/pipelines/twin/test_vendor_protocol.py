"""The emulated controller against the vendor's own description of its protocol, row by row; what differs has a reason.

Sources, facts only: "UFACTORY Private TCP protocol" (docs.ufactory.cc/private_tcp_protocol), its sections "Public Port
Section (0-10)" to "Other Robotic Arm Function (51-70)" and "(71-90)"; "Data Description of TCP port"
(docs.ufactory.cc/support_articles/developer/firmware). Lengths are those of the frames' length field: register and
parameters of a request, register, state and parameters of a reply.
"""

import struct
from typing import NamedTuple

import numpy as np
import pytest

from control.arms.params import ArmParams
from control.arms.xarm.driver import XArm
from datasets.rig.rig import Rig
from pipelines.twin.controller.controller import ControllerTwin
from pipelines.twin.controller.firmware import Firmware
from pipelines.twin.controller.protocol import Register, Request, Status, pack_floats
from pipelines.twin.controller.registers import answer
from pipelines.twin.controller.reports import normal_report, real_report, rich_report

POSE = (400.0, 0.0, 400.0, np.pi, 0.0, 0.0)


class Row(NamedTuple):
    register: Register
    request: int
    reply: int
    parameters: bytes = b""
    mode: int = 0


DESCRIBED = [
    Row(Register.GET_VERSION, 1, 42),
    Row(Register.GET_ROBOT_SN, 1, 42),
    Row(Register.MOTION_EN, 3, 2, bytes([8, 1])),
    Row(Register.SET_STATE, 2, 2, bytes([4])),
    Row(Register.GET_STATE, 1, 3),
    Row(Register.GET_CMDNUM, 1, 4),
    Row(Register.GET_ERROR, 1, 4),
    Row(Register.CLEAN_ERR, 1, 2),
    Row(Register.CLEAN_WAR, 1, 2),
    Row(Register.SET_MODE, 3, 2, bytes([7, 0])),
    Row(Register.MOVE_LINE, 37, 4, pack_floats([*POSE, 100, 2000, 0])),
    Row(Register.MOVE_JOINT, 41, 4, pack_floats([0, -0.247, 0, 0.909, 0, 1.156, 0, 0.3, 8.7, 0])),
    Row(Register.MOVE_HOME, 13, 4, pack_floats([0.3, 1, 0])),
    Row(Register.MOVE_SERVOJ, 41, 2, pack_floats([0, -0.247, 0, 0.909, 0, 1.156, 0, 0, 0, 0]), 1),
    Row(Register.MOVE_SERVO_CART, 37, 2, pack_floats([*POSE, 0, 0, 0]), 1),
    Row(Register.SET_TCP_OFFSET, 25, 2, pack_floats([0, 0, 172, 0, 0, 0])),
    Row(Register.SET_LOAD_PARAM, 17, 2, pack_floats([0.82, 0, 0, 48])),
    Row(Register.SET_COLLIS_SENS, 2, 2, bytes([4])),
    Row(Register.GET_TCP_POSE, 1, 26),
    Row(Register.GET_JOINT_POS, 1, 30),
    Row(Register.GET_IK, 25, 30, pack_floats(POSE)),
    Row(Register.GET_FK, 29, 26, pack_floats([0] * 7)),
    Row(Register.SET_REDUCED_TRSV, 5, 2, pack_floats([400])),
    Row(Register.SET_REDUCED_P2PV, 5, 2, pack_floats([1])),
    Row(Register.GET_REDUCED_MODE, 1, 3),
    Row(Register.SET_REDUCED_MODE, 2, 2, bytes([1])),
    Row(Register.SET_LIMIT_XYZ, 25, 2, struct.pack("<6i", 600, 200, 500, -100, 600, 200)),
    Row(Register.GET_REDUCED_STATE, 1, 81),
    Row(Register.SET_REDUCED_JRANGE, 57, 2, pack_floats([-3.14, 3.14, -2.05, 2.09, *[-3.14, 3.14] * 5])),
    Row(Register.SET_FENSE_ON, 2, 2, bytes([1])),
    Row(Register.SET_COLLIS_REB, 2, 2, bytes([0])),
    Row(Register.SET_ALLOW_APPROX_MOTION, 2, 2, bytes([0])),
    Row(Register.SET_SELF_COLLIS_CHECK, 2, 2, bytes([1])),
    Row(Register.SET_COLLIS_TOOL, 14, 2, pack_floats([20, 30, 50]) + bytes([22])),
    Row(Register.VC_SET_CARTV, 30, 2, pack_floats([30, 0, 20, 0, 0, 0]) + b"\0" + pack_floats([0.2]), 5),
]
DIFFERS = {
    Register.MOVE_LINE: "a check's result follows the number of commands (read off the SDK)",
}
"""Replies of other lengths, and why."""
NOT_DESCRIBED = {
    Register.MOVE_RELATIVE: "since firmware 1.8.100; read off the SDK",
    Register.FEEDBACK_CHECK: "feedback of firmware 2; read off the SDK",
    Register.SET_FEEDBACK_TYPE: "feedback of firmware 2; read off the SDK",
}
SDK_SENDS = {
    Register.MOVE_LINE: "blending radius, coordinate, relative and check follow (firmware 1.11.100)",
    Register.MOVE_JOINT: "blending radius, relative and check follow (firmware 1.11.100)",
    Register.SET_MODE: "the detection parameter is sent since firmware 1.10",
}
"""Requests of the SDK that are longer than described, and why."""


def ask(firmware: Firmware, register: int, parameters: bytes = b"") -> bytes:
    (request,) = [Request(1, 2, register, parameters)]
    reply = request.reply(*answer(firmware, request))
    assert struct.unpack_from(">HHH", reply) == (1, 2, len(reply) - 6)
    assert reply[6] == register
    return reply


def make_ready(firmware: Firmware, mode: int) -> None:
    for register, parameters in (
        (Register.MOTION_EN, bytes([8, 1])),
        (Register.SET_MODE, bytes([mode, 0])),
        (Register.SET_STATE, bytes([0])),
    ):
        ask(firmware, register, parameters)


def test_every_register_is_described_or_has_a_reason() -> None:
    assert {row.register for row in DESCRIBED} | set(NOT_DESCRIBED) == set(Register)


@pytest.mark.parametrize("row", DESCRIBED, ids=lambda row: row.register.name)
def test_a_request_as_described_is_answered_as_described(firmware: Firmware, row: Row) -> None:
    assert 1 + len(row.parameters) == row.request
    make_ready(firmware, row.mode)
    reply = ask(firmware, row.register, row.parameters)
    assert not reply[7] & Status.INVALID, "refused what the vendor describes"
    if row.register in DIFFERS:
        assert len(reply) - 6 > row.reply, "no reason is needed any more"
    else:
        assert len(reply) - 6 == row.reply


@pytest.mark.parametrize(
    ("register", "parameters"),
    [(Register.MOTION_EN, bytes([8, 1])), (Register.SET_MODE, bytes([7, 0])), (Register.SET_COLLIS_SENS, bytes([4]))],
)
def test_what_resets_the_system_says_that_it_cannot_move(firmware: Firmware, register, parameters) -> None:
    make_ready(firmware, 0)
    if register == Register.MOTION_EN:
        firmware.set_state(4)
    assert ask(firmware, register, parameters)[7] == Status.CANNOT_MOVE


@pytest.mark.parametrize(
    ("offset", "kind", "value"),
    [
        (1, "B", 0),  # reduced mode off
        (2, ">6h", (300, 100, 300, -10, 300, 50)),
        (14, "<f", 100.0),
        (18, "<f", np.float32(np.pi)),
        (78, "B", 1),  # boundary on
        (22, "<2f", (-1.0, 2.0)),  # of the first joint
        (79, "B", 1),  # rebound on
    ],
)
def test_the_reduced_state_lies_where_described(firmware: Firmware, offset, kind, value) -> None:
    firmware.limit(fence_on=True, fence_mm=(300, 100, 300, -10, 300, 50), reduced_tcp_mm_s=100.0)
    firmware.limit(joint_range_rad=(-1, 2, *[-3, 3] * 6), rebound_on=True)
    found = struct.unpack_from(kind, ask(firmware, Register.GET_REDUCED_STATE)[7:], offset)
    assert found == (value if isinstance(value, tuple) else (value,))


@pytest.mark.parametrize(
    ("port", "first", "kind"),
    [
        *((port, *each) for port in (30001, 30002, 30003) for each in ((5, "B"), (6, ">H"), (8, "<7f"), (36, "<6f"))),
        *((port, *each) for port in (30001, 30002) for each in ((89, "B"), (90, "BB"), (92, "<6f"), (116, "<4f"))),
        *((port, 134, "<3f") for port in (30001, 30002)),
        *((30002, *each) for each in ((146, "BB"), (148, "BB"), (152, "30s"), (315, "B"), (495, "BB"), (497, ">6h"))),
        *((30002, *each) for each in ((509, "<f"), (513, "<f"))),
    ],
)
def test_reports_hold_what_is_described_where_it_is_described(firmware: Firmware, port, first, kind) -> None:
    """``first`` counts bytes from 1, as the vendor's page does."""
    make_ready(firmware, 7)
    firmware.error, firmware.warning = 31, 15
    firmware.limit(fence_on=True, fence_mm=(620, 230, 320, -320, 520, 80), reduced_on=True, reduced_tcp_mm_s=250.0)
    s = firmware.snapshot()
    report = {30001: normal_report, 30002: rich_report, 30003: real_report}[port](s)
    assert struct.unpack_from(">I", report) == (len(report),)
    expected = {
        5: (7 << 4 | 2,),
        6: (0,),
        8: s.joints_rad,
        36: s.pose_mm_rad,
        89: (0x7F,),
        90: (31, 15),
        92: s.tcp_offset_mm_rad,
        116: s.load_kg_mm,
        134: (0, 0, -1),
        146: (7, 7),
        148: (0xAA, 0x55),
        152: (b"v2.5.0".ljust(30, b"\0"),),
        315: (0,),
        495: (0b11, 1),
        497: (620, 230, 320, -320, 520, 80),
        509: (250.0,),
        513: (s.reduced_joint_rad_s,),
    }[first]
    found = struct.unpack_from(kind, report, first - 1)
    assert found == pytest.approx(expected, abs=1e-4) if "f" in kind else found == expected


def test_reports_have_the_lengths_of_a_real_xarm7(firmware: Firmware) -> None:
    """Port 30002: 574 bytes of firmware 2.7.1; the vendor's page ends at 516, the SDK reads up to 587."""
    s = firmware.snapshot()
    assert [len(make(s)) for make in (real_report, normal_report, rich_report)] == [87, 145, 574]


@pytest.fixture(scope="module")
def said(rig: Rig) -> list[Request]:
    """What the vendor's SDK sends of a whole run's kinds of command, in both modes."""
    requests: list[Request] = []
    for mode in ("online_line", "velocity"):
        with ControllerTwin(rig) as twin:
            with XArm(twin.host, rig, ArmParams(mode=mode, report_deadline_s=1.0, command_deadline_s=1.0)) as arm:
                arm.home()
                arm.take_posture(np.asarray(rig.home_joints_rad) + 0.01)
                arm.move(np.array([0.0, 0.01, 0.0]))
            requests += [request for _, request in twin.log]
    return requests


@pytest.mark.slow
def test_the_sdk_sends_what_is_described(said: list[Request]) -> None:
    lengths = {row.register: row.request for row in DESCRIBED}
    sent = {request.register: 1 + len(request.payload) for request in said if request.register in lengths}
    assert {Register.MOVE_LINE, Register.MOVE_JOINT, Register.VC_SET_CARTV, Register.SET_STATE} <= sent.keys()
    longer = {register for register, length in sent.items() if length > lengths[register]}
    assert longer <= SDK_SENDS.keys()
    shorter = {register for register, length in sent.items() if length < lengths[register]}
    assert shorter == {Register.SET_COLLIS_TOOL}, "the gripper's shape has no measures"
