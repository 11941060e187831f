"""The arm of a rendered episode is where it is asked to be, however far away that is, as the controller leads it."""

import numpy as np
import pytest

from control.arms.fence import Fence
from control.task.goals import GoalSampler
from control.task.rendered import EpisodeScenes, fit_error_model
from datasets.arm.kinematics import Kinematics
from perception.estimator.estimate import PositionEstimate


@pytest.fixture(scope="module")
def scenes(rig):
    scenes = EpisodeScenes("params/frames.yaml", "nominal", rig)
    yield scenes
    scenes.close()


@pytest.fixture(scope="module")
def places(rig):
    sampler, rng = GoalSampler(rig, Fence.from_rig(rig), 0.20), np.random.default_rng(0)
    return np.array([sampler.sample(rng) for _ in range(40)])


def test_the_arm_is_placed_wholly_by_far_and_near_looks_alike(scenes, places):
    rng = np.random.default_rng(2)
    for number, place in enumerate(places):
        scenes.draw(number)
        near = place + 0.05 * (direction := rng.standard_normal(3)) / np.linalg.norm(direction)
        for tcp in (place, place, near, places[number - 1]):
            scenes.camera(tcp)
            assert np.linalg.norm(scenes.scene.tcp - tcp) < 1e-4


def test_a_far_look_has_the_posture_that_the_task_s_own_steps_lead_to(scenes, places, rig):
    kinematics = Kinematics()
    for number, place in enumerate(places[:10]):
        scenes.draw(number)
        joints = np.array(rig.home_joints_rad)
        start = kinematics.tcp(joints)
        for share in np.linspace(0, 1, 1 + int(np.ceil(np.linalg.norm(place - start) / rig.max_displacement_m)))[1:]:
            joints = kinematics.step(joints, start + share * (place - start))
        scenes.camera(place)
        assert np.abs(scenes.scene.joints_rad - joints).max() < 0.05


class Alternating:
    """Errors of one axis that are opposite in two looks at one place, and none elsewhere: noise alone, and more."""

    def reset(self, seed):
        self._looks = 0

    def estimate(self, tcp):
        self._looks += 1
        error = {1: 0.001, 2: -0.001}.get(self._looks, 0.0)
        return PositionEstimate(tcp + np.array([error, 1e-3, 1e-3]), np.full(3, 0.001))


def test_an_axis_with_more_noise_than_error_has_no_bias_and_no_field(places):
    model = fit_error_model(Alternating(), places[:4], 0)
    assert model.bias_m[0] == model.field_m[0] == 0.0
    assert model.noise_m[0] > 0
