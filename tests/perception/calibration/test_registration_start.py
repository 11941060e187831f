"""The camera's pose is found from captures alone, whichever way it looks at the arm."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.common.errors import DataError
from datasets.rig.frame import Frame
from datasets.rig.projection import invert, look_at, transform
from perception.calibration.registration.background import moving, see_background
from perception.calibration.registration.motion import cross_matrix, displacement, moved, places, standard_deviation
from perception.calibration.registration.posture import Posture
from perception.calibration.registration.start import LEAST_PIXELS, candidates, cloud_of, moving_surface

tangents = st.lists(st.floats(-0.5, 0.5), min_size=6, max_size=6)


@pytest.mark.slow
@pytest.mark.parametrize("eye", [(1.45, 0, 0.6), (0.7, -1.1, 0.8), (0.9, 0.9, 1.2)])
def test_a_pose_is_found_from_no_start(capture, view, rig, eye):
    true = look_at(eye, (0.35, 0, 0.35))
    postures = capture(true)
    background = see_background(postures)
    clouds = [cloud_of(posture, moving(background, posture), rig.camera) for posture in postures]
    assert all(cloud is not None for cloud in clouds)
    pose, cost = candidates(clouds, [moving_surface(view, posture) for posture in postures], rig.camera)[0]
    far, turned = displacement(pose, true, places(rig.workspace))
    assert (far < 0.01, turned < np.radians(0.7), cost < 0.03) == (True, True, True)


def test_too_small_a_cloud_is_none(capture, rig):
    posture = capture(rig.t_base_camera)[0]
    few = np.zeros(posture.frame.depth.shape, dtype=bool)
    few.ravel()[: LEAST_PIXELS - 1] = True
    assert cloud_of(posture, few, rig.camera) is None


@given(tangents)
def test_a_motion_and_its_inverse_cancel(tangent):
    pose = look_at((1.4, 0.2, 0.6), (0.4, 0, 0.2))
    back = moved(moved(pose, tangent), -np.array(tangent))
    np.testing.assert_allclose(back, pose, atol=1e-12)


@given(tangents)
def test_a_small_motion_moves_points_as_the_tangent_says(tangent):
    point, small = np.array([0.4, -0.1, 0.3]), 1e-5 * np.array(tangent)
    pose = look_at((1.4, 0.2, 0.6), (0.4, 0, 0.2))
    shifted = transform(moved(pose, small), transform(invert(pose), point)) - point
    np.testing.assert_allclose(shifted, small[:3] + cross_matrix(small[3:]) @ point, atol=1e-9)


def test_displacement_is_the_farthest_point_and_the_angle(rig):
    pose, points = rig.t_base_camera, places(rig.workspace)
    far, turned = displacement(moved(pose, [0, 0, 0, 0, 0, 1e-3]), pose, points)
    assert far == pytest.approx(1e-3 * np.hypot(0.6, 0.3), rel=1e-4)
    assert turned == pytest.approx(1e-3)


def test_deviation_grows_with_the_lever(rig):
    covariance = np.diag([0, 0, 0, 0, 0, 1e-6])
    far = standard_deviation(covariance, places(rig.workspace))
    assert far == pytest.approx(1e-3 * np.hypot(0.6, 0.3))


@pytest.mark.parametrize("joints", [np.zeros(6), np.full(7, np.nan)])
def test_joints_that_are_none_are_refused(joints):
    frame = Frame(np.zeros((4, 4, 3), np.uint8), np.ones((4, 4), np.float32), 0.0)
    with pytest.raises(DataError, match="seven finite"):
        Posture(frame, joints)


def test_a_mask_of_another_size_is_refused():
    frame = Frame(np.zeros((4, 4, 3), np.uint8), np.ones((4, 4), np.float32), 0.0)
    with pytest.raises(DataError, match="must agree"):
        Posture(frame, np.zeros(7), mask=np.zeros((3, 4), dtype=bool))
