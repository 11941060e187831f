"""The camera's pose is found from captures alone, whichever way it looks at the arm."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.arm.kinematics import Kinematics
from datasets.common.errors import DataError
from datasets.rig.frame import Frame
from datasets.rig.projection import invert, look_at, project, transform
from datasets.scene.appearance import sample_appearance
from datasets.scene.photographer import Photographer
from datasets.scene.randomization import LookRandomization
from datasets.scene.scene import Scene
from perception.calibration.registration.arm_view import LINKS, ArmView
from perception.calibration.registration.background import moving, see_background
from perception.calibration.registration.motion import cross_matrix, displacement, moved, places, standard_deviation
from perception.calibration.registration.posture import Posture
from perception.calibration.registration.start import LEAST_PIXELS, candidates, cloud_of, moving_surface

SPREAD_RAD = np.array([0.6, 0.4, 0.6, 0.5, 0.8, 0.6, 1.0])
tangents = st.lists(st.floats(-0.5, 0.5), min_size=6, max_size=6)


@pytest.fixture(scope="module")
def view(rig):
    view = ArmView((rig.camera.width, rig.camera.height))
    yield view
    view.close()


@pytest.fixture(scope="module")
def photographer(rig):
    photographer = Photographer(rig)
    yield photographer
    photographer.close()


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


def test_what_moves_is_the_arm(capture, view, rig):
    true = rig.t_base_camera
    postures = capture(true)
    background = see_background(postures)
    for posture in postures:
        view.place(posture.joints_rad, posture.gripper_rad)
        arm = view.draw(true, rig.camera)[0] > 0
        seen = moving(background, posture)
        assert seen.sum() > 0.15 * arm.sum()
        assert (seen & arm).sum() > 0.97 * seen.sum()


def test_edges_of_the_arm_are_told_by_evidence(capture, view, rig):
    postures = capture(rig.t_base_camera)
    arms = []
    for posture in postures:
        view.place(posture.joints_rad, posture.gripper_rad)
        arms.append(view.draw(rig.t_base_camera, rig.camera)[0] > 0)
    background = see_background(postures, arms)
    for posture, arm in zip(postures, arms, strict=True):
        evidence, known = background.evidence(posture), background.seen > 0
        assert np.mean(evidence[arm & known] > 0) > 0.9
        assert np.mean(evidence[~arm & known] < 0.5) > 0.98


def test_a_given_mask_is_believed(capture, rig):
    posture = capture(rig.t_base_camera)[0]
    mask = np.zeros(posture.frame.depth.shape, dtype=bool)
    mask[100:200, 100:200] = True
    masked = Posture(posture.frame, posture.joints_rad, mask=mask)
    background = see_background([masked])
    assert np.array_equal(background.evidence(masked) > 0, mask)
    assert not moving(background, masked)[~mask].any()


def test_too_small_a_cloud_is_none(capture, rig):
    posture = capture(rig.t_base_camera)[0]
    few = np.zeros(posture.frame.depth.shape, dtype=bool)
    few.ravel()[: LEAST_PIXELS - 1] = True
    assert cloud_of(posture, few, rig.camera) is None


def test_the_view_draws_each_link_where_it_is(view, posed, rig):
    view.place(posed[0], 0.4)
    depth, links = view.draw(rig.t_base_camera, rig.camera)
    assert set(np.unique(links)) == {-1, *range(len(LINKS))}
    assert np.array_equal(depth > 0, links >= 0)
    surface = view.surface(2000)
    seen = transform(invert(rig.t_base_camera), surface.points)
    u, v = np.rint(project(seen, rig.camera)).astype(int).T
    inside = (u >= 0) & (u < rig.camera.width) & (v >= 0) & (v < rig.camera.height)
    drawn = depth[v[inside], u[inside]]
    # No point of the surface lies before what is drawn, but for the pixel's own slope.
    assert np.mean(seen[inside, 2] > drawn - 0.004) > 0.97


def test_a_bare_flange_has_no_tool(posed, rig):
    view = ArmView((rig.camera.width, rig.camera.height), tool=False)
    view.place(posed[0])
    links = view.draw(rig.t_base_camera, rig.camera)[1]
    view.close()
    assert LINKS.index("tool") not in links
    assert LINKS.index("link7") in links


def test_joint_axes_move_points_as_kinematics_say(view, posed):
    joints, kinematics, step = posed[1], Kinematics(), 1e-6
    view.place(joints)
    axes, anchors = view.axes
    tcp = kinematics.tcp(joints)
    for index in range(7):
        turned = (kinematics.tcp(joints + step * np.eye(7)[index]) - tcp) / step
        np.testing.assert_allclose(np.cross(axes[index], tcp - anchors[index]), turned, atol=1e-5)


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
