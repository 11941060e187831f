"""The camera's pose from what networks see and what the encoders say."""

import mink
import numpy as np
import pytest

from control.arms.params import ArmParams
from datasets.common.errors import DataError
from datasets.rig.frame import Frame
from datasets.rig.projection import invert, transform
from perception.estimator.doubt import NO_EVIDENCE
from perception.estimator.estimate import PositionEstimate
from perception.estimator.estimator import Location
from pipelines.calibrate.networks import Sighting, choose_places, locate_camera
from pipelines.setup.setup import make_fence


class CameraFrameEyes:
    """Both looks, exact in the camera's frame: what they say in the base frame depends on the pose they are told."""

    def __init__(self, rig, seen):
        self.rig, self.seen = rig, seen

    def locate(self, photograph, pose, intrinsics):
        seen = self.seen[int(photograph.__self__.timestamp)]
        checked = pose.copy()
        checked[:3, 3] += 0.01  # the estimator may correct what it is told
        estimate = PositionEstimate(transform(checked, seen), np.full(3, 0.002))
        return Location(estimate, estimate, estimate, None, None, 0.5, checked, NO_EVIDENCE)


def sightings(rig, pose, noise_m, seed=0):
    fence = make_fence(rig, ArmParams.load())
    places = choose_places(rig, fence, 15, seed)
    rng = np.random.default_rng(seed)
    seen = [transform(invert(pose), place) + rng.normal(0, noise_m, 3) for place in places]
    blank = np.zeros((2, 2, 3), np.uint8), np.ones((2, 2), np.float32)
    return [Sighting(Frame(*blank, float(i)), place) for i, place in enumerate(places)], CameraFrameEyes(rig, seen)


def test_a_camera_that_was_moved_is_found(rig):
    pose = rig.t_base_camera.copy()
    pose[:3, 3] += [0.08, -0.05, 0.03]
    pose[:3, :3] = mink.SO3.exp(np.radians([2.0, -3.0, 5.0])).as_matrix() @ pose[:3, :3]
    found, residuals = locate_camera(*sightings(rig, pose, 0.002), rig.camera)
    centre = [0.4, 0.0, 0.25]
    seen = transform(invert(pose), centre)
    assert np.linalg.norm(transform(found, seen) - centre) < 0.003
    assert np.linalg.norm(residuals, axis=1).max() < 0.01


def test_a_camera_that_sees_something_else_is_refused(rig):
    with pytest.raises(DataError, match="does not fit the encoders"):
        locate_camera(*sightings(rig, rig.t_base_camera, 0.05), rig.camera)


def test_places_are_reachable_spread_and_the_seeds(rig):
    fence = make_fence(rig, ArmParams.load())
    places = np.array(choose_places(rig, fence, 20, 1))
    assert all(fence.contains(place) for place in places)
    assert np.all(places.std(axis=0) > 0.05)
    np.testing.assert_array_equal(places, choose_places(rig, fence, 20, 1))
