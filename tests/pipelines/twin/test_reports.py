"""The report streams, laid out as the vendor's own structures and as long as a real controller's."""

import struct

import numpy as np
import pytest

from datasets.rig.rig import Rig
from pipelines.twin.controller.firmware import Firmware
from pipelines.twin.controller.reports import normal_report, real_report, rich_report


def test_reports_are_laid_out_as_the_sdks_own_structures(firmware: Firmware) -> None:
    from control.arms.xarm.wire.sdk import load_sdk

    load_sdk()
    from xarm.x3.report import ReportDataStructure

    firmware.enable(True)
    firmware.set_mode(7)
    firmware.set_state(0)
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
