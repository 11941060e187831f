"""The own arm: its kinematics are the manual's, its shapes are drawn fast and by group, its physics stands still."""

import mujoco
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.arm.kinematics import Kinematics
from datasets.arm.model import (
    ARM_ACTUATORS,
    ARM_JOINTS,
    GRIPPER_ACTUATOR,
    GRIPPER_CLOSED_RAD,
    GRIPPER_JOINTS,
    TCP_SITE,
    arm_spec,
    colour_groups,
)
from datasets.common.errors import ConfigError
from manual_arm import TCP_ALONG_FLANGE_M, dh_pose

LIMITS_RAD = [(-6.283, 6.283), (-2.059, 2.094), (-6.283, 6.283), (-0.192, 3.927), (-6.283, 6.283), (-1.693, 3.142)]


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return arm_spec("own").compile()


@pytest.fixture(scope="module")
def kinematics() -> Kinematics:
    return Kinematics()


@given(st.lists(st.floats(-3.1, 3.1), min_size=7, max_size=7))
def test_forward_kinematics_is_the_manuals_table(kinematics, joints):
    pose, manual = kinematics.tcp_pose(joints), dh_pose(joints)
    assert np.linalg.norm(pose[:3, 3] - manual[:3, 3]) < 1e-6
    # The gripper is mounted half a turn about the flange's axis; the TCP's z axis is the flange's.
    assert np.allclose(pose[:3, 2], manual[:3, 2], atol=1e-6)


def test_home_of_the_rig_is_where_it_says(kinematics, rig):
    assert np.allclose(kinematics.tcp(rig.home_joints_rad), [0.400, 0, 0.228], atol=1e-3)
    assert rig.tool.tcp_offset_m == TCP_ALONG_FLANGE_M


def test_joint_limits_are_the_manuals(model):
    for name, limits in zip(ARM_JOINTS, [*LIMITS_RAD, LIMITS_RAD[0]], strict=True):
        assert model.joint(name).range == pytest.approx(limits, abs=1e-3)
    for name in GRIPPER_JOINTS:
        assert model.joint(name).range == pytest.approx((0, GRIPPER_CLOSED_RAD))


def test_the_arm_weighs_its_links_and_its_shapes_weigh_nothing(model):
    gripper = ("gripper", "knuckle", "finger")
    names = [model.body(i).name for i in range(model.nbody)]
    gripper_kg = sum(m for name, m in zip(names, model.body_mass, strict=True) if any(part in name for part in gripper))
    assert model.body_mass.sum() - gripper_kg == pytest.approx(11.32, abs=0.05)
    assert gripper_kg == pytest.approx(0.752, abs=0.01)
    assert model.body_mass == pytest.approx(arm_spec("own", shapes=False).compile().body_mass)


def test_every_geom_belongs_to_one_colour_group_and_none_collides(model):
    groups = colour_groups(model)
    assert set(groups) == {"arm_white", "arm_gray", "arm_black"}
    assert sorted(np.concatenate(list(groups.values()))) == list(range(model.ngeom))
    assert "left_finger_black" in [model.geom(i).name for i in groups["arm_black"]]
    assert not model.geom_contype.any()
    assert not model.geom_conaffinity.any()


def test_the_own_arm_is_light_to_draw(model):
    assert model.nmeshface <= 5000


def test_fingers_meet_at_the_tcp_when_closed_and_stand_apart_when_open(model):
    data = mujoco.MjData(model)
    gaps = []
    for angle in (0.0, GRIPPER_CLOSED_RAD):
        for name in GRIPPER_JOINTS:
            data.joint(name).qpos[0] = angle
        mujoco.mj_kinematics(model, data)
        tcp = data.site(TCP_SITE)
        along = tcp.xmat.reshape(3, 3)
        inner = []
        for side, sign in (("left", 1), ("right", -1)):
            geom = model.geom(f"{side}_finger_black")
            mesh = model.mesh(geom.dataid[0])
            start = mesh.vertadr[0]
            vertices = model.mesh_vert[start : start + mesh.vertnum[0]]
            world = vertices @ data.geom(geom.id).xmat.reshape(3, 3).T + data.geom(geom.id).xpos
            inner.append(sign * (sign * ((world - tcp.xpos) @ along[:, 1])).min())
        gaps.append(inner[0] - inner[1])
    assert gaps[0] - gaps[1] == pytest.approx(0.085, abs=0.004)  # the vendor's stroke
    assert 0 <= gaps[1] < 0.004


def test_in_a_simulation_the_arm_holds_still_and_follows_its_servos(model, rig):
    data = mujoco.MjData(model)
    for joint, actuator, angle in zip(ARM_JOINTS, ARM_ACTUATORS, rig.home_joints_rad, strict=True):
        data.joint(joint).qpos[0] = data.actuator(actuator).ctrl[0] = angle
    mujoco.mj_step(model, data, nstep=500)
    held = [data.joint(name).qpos[0] for name in ARM_JOINTS]
    assert held == pytest.approx(rig.home_joints_rad, abs=1e-5)
    data.actuator("act1").ctrl[0] += 0.1
    data.actuator(GRIPPER_ACTUATOR).ctrl[0] = 0.5
    mujoco.mj_step(model, data, nstep=1500)
    assert data.joint("joint1").qpos[0] == pytest.approx(rig.home_joints_rad[0] + 0.1, abs=2e-3)
    assert [data.joint(name).qpos[0] for name in GRIPPER_JOINTS] == pytest.approx([0.5] * 6, abs=5e-3)


def test_an_unknown_arm_is_refused():
    with pytest.raises(ConfigError, match="arm must be 'own' or 'menagerie', got 'xarm6'"):
        arm_spec("xarm6")
