"""Where the emulated controller says that its arm is, judged by the vendor's table and model.

Driver and twin take their kinematics from the same module: a fault in it would agree with itself in every other test.
"""

import mujoco
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from datasets.arm.model import ARM_JOINTS, FLANGE, arm_spec, menagerie_available
from manual_arm import TCP_ALONG_FLANGE_M, dh_pose
from pipelines.twin.controller.firmware import ONLINE_LINE, Firmware
from turned_clock import Clock

LIMITS_RAD = np.array([(-6.2, 6.2), (-2.0, 2.0), (-6.2, 6.2), (-0.19, 3.9), (-6.2, 6.2), (-1.6, 3.1), (-6.2, 6.2)])
POSTURES_RAD = np.random.default_rng(0).uniform(*LIMITS_RAD.T, (200, 7))


def standing(joints_rad, clock) -> Firmware:
    firmware = Firmware(np.asarray(joints_rad), clock, "v2.5.0", TCP_ALONG_FLANGE_M)
    firmware.configure(tcp_offset_mm_rad=(0.0, 0.0, 1000 * TCP_ALONG_FLANGE_M, 0.0, 0.0, 0.0))
    return firmware


def reported(joints_rad) -> np.ndarray:
    """``T_base_tcp`` (4x4) as the reports tell it: mm, and angles about the fixed axes x, y, z."""
    *xyz_mm, roll, pitch, yaw = standing(joints_rad, Clock()).snapshot().pose_mm_rad
    pose = np.eye(4)
    pose[:3, 3] = np.array(xyz_mm) / 1000
    pose[:3, :3] = Rotation.from_euler("xyz", [roll, pitch, yaw]).as_matrix()
    return pose


def test_the_reported_pose_is_the_manuals():
    for joints in POSTURES_RAD:
        np.testing.assert_allclose(reported(joints), dh_pose(joints), atol=1e-5)


@pytest.mark.skipif(menagerie_available() is not None, reason=str(menagerie_available()))
def test_the_reported_pose_is_the_official_models():
    model = arm_spec("menagerie", decimate=False).compile()
    data = mujoco.MjData(model)
    for joints in POSTURES_RAD:
        for name, angle in zip(ARM_JOINTS, joints, strict=True):
            data.joint(name).qpos[0] = angle
        mujoco.mj_kinematics(model, data)
        turn = data.body(FLANGE).xmat.reshape(3, 3)
        pose = reported(joints)
        np.testing.assert_allclose(pose[:3, :3], turn, atol=1e-4)
        np.testing.assert_allclose(pose[:3, 3], data.body(FLANGE).xpos + TCP_ALONG_FLANGE_M * turn[:, 2], atol=1e-4)


@pytest.mark.parametrize("goal_mm", [(450, 0, 300), (320, -200, 150), (520, 200, 180), (400, 150, 420)])
def test_a_line_ends_where_the_manual_puts_the_joints_tool(rig, clock, goal_mm):
    firmware = standing(rig.home_joints_rad, clock)
    firmware.enable(True)
    assert firmware.set_mode(ONLINE_LINE)
    firmware.set_state(0)
    firmware.go(firmware.line((*goal_mm, np.pi, 0.0, 0.3), 250.0, 2000.0), interrupts=True)
    for _ in range(100):
        clock.now += 0.05
        firmware.advance()
    pose = dh_pose(firmware.joints())
    np.testing.assert_allclose(pose[:3, 3] * 1000, goal_mm, atol=0.3)
    np.testing.assert_allclose(pose[:3, :3], Rotation.from_euler("xyz", [np.pi, 0.0, 0.3]).as_matrix(), atol=2e-3)
