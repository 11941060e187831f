"""Captures of an arm in postures over the table, and views of its model."""

import numpy as np
import pytest

from datasets.arm.kinematics import Kinematics
from datasets.rig.frame import Frame
from datasets.scene.appearance import sample_appearance
from datasets.scene.randomization import LookRandomization
from datasets.scene.scene import Scene
from perception.calibration.registration.arm_view import ArmView
from perception.calibration.registration.posture import Posture

SPREAD_RAD = np.array([0.6, 0.4, 0.6, 0.5, 0.8, 0.6, 1.0])


@pytest.fixture(scope="module")
def view(rig):
    view = ArmView((rig.camera.width, rig.camera.height))
    yield view
    view.close()


@pytest.fixture(scope="module")
def posed(rig):
    """Ten postures over the table."""
    rng, kinematics = np.random.default_rng(3), Kinematics()
    low, high = kinematics.joint_limits.T
    found = []
    while len(found) < 10:
        joints = np.clip(rng.normal(rig.home_joints_rad, SPREAD_RAD), low, high)
        x, y, z = kinematics.tcp(joints)
        if 0.15 < x < 0.7 and abs(y) < 0.45 and 0.08 < z < 0.7:
            found.append(joints)
    return found


@pytest.fixture(scope="module")
def capture(photographer, posed, rig):
    def draw(t_base_camera, seed=0):
        look = sample_appearance(
            np.random.default_rng(seed), LookRandomization(occluder=0), np.array([0.4, 0, 0.2]), t_base_camera[:3, 3]
        )
        tcp = Kinematics().tcp
        scenes = [Scene(seed, q, 0.4, tcp(q), rig.camera, t_base_camera, t_base_camera, look, 1.0) for q in posed]
        return [
            Posture(Frame(*photographer.photograph_native(scene, index), float(index)), scene.joints_rad, 0.4)
            for index, scene in enumerate(scenes)
        ]

    return draw
