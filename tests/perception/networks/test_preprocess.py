import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.rig.projection import Intrinsics, Window, backproject, project, transform
from datasets.rig.rig import Rig
from perception.networks.preprocess import (
    REACH_CENTRE_M,
    REACH_HEIGHT_M,
    REACH_RADIUS_M,
    Pixels,
    facing,
    fovea_view,
    glance_view,
    grid_coordinates,
    point_map,
    reach_view,
)

SIZE = 84
SIDE_PX = 96


def pixels(rig: Rig, window: Window, depth: np.ndarray) -> Pixels:
    columns, rows = grid_coordinates(torch.tensor(window.as_array()[None]), SIZE)
    rgb = torch.zeros(1, SIZE, SIZE, 3, dtype=torch.uint8)
    return Pixels(rgb, torch.tensor(depth[None]), columns, rows, torch.tensor(rig.camera.as_array()[None]))


@settings(max_examples=25)
@given(u=st.floats(60, 580), v=st.floats(60, 420), z=st.floats(0.3, 2.5))
def test_the_point_map_of_a_rendered_window_lies_on_the_native_cameras_rays(u: float, v: float, z: float) -> None:
    rig = Rig.load()
    window = Window.around([u, v], SIDE_PX, rig.camera)
    points = point_map(pixels(rig, window, np.full((SIZE, SIZE), z)))[0].numpy()
    centres = (np.arange(SIZE) + 0.5) / SIZE
    column, row = 17, 60
    expected = window.left + centres[column] * window.width, window.top + centres[row] * window.height
    np.testing.assert_allclose(project(points[:, row, column], rig.camera), expected, atol=1e-6)
    np.testing.assert_allclose(points[2], z)


def test_samples_cut_from_a_frame_keep_their_own_rays(rig: Rig) -> None:
    """A plane seen through a cut window back-projects to a plane, though its samples are off the regular grid."""
    window = Window.around([300, 200], SIDE_PX, rig.camera)
    columns, rows = window.sample_pixels(SIZE)
    u, v = np.meshgrid(columns, rows)
    slope = np.array([0.3, -0.2])
    ray = np.stack([(u - rig.camera.cx) / rig.camera.fx, (v - rig.camera.cy) / rig.camera.fy], axis=-1)
    depth = 1.0 / (1 - ray @ slope)  # z = 1 + slope . (x, y)
    given = Pixels(
        torch.zeros(1, SIZE, SIZE, 3, dtype=torch.uint8),
        torch.tensor(depth[None]),
        torch.tensor(columns[None].astype(float)),
        torch.tensor(rows[None].astype(float)),
        torch.tensor(rig.camera.as_array()[None]),
    )
    x, y, z = point_map(given)[0].numpy()
    np.testing.assert_allclose(z, 1 + slope[0] * x + slope[1] * y, atol=1e-12)


def test_the_fovea_sees_points_about_the_estimate_along_its_azimuth(rig: Rig) -> None:
    estimate = np.array([0.4, 0.1, 0.3])
    pose = rig.t_base_camera
    pixel = project(transform(np.linalg.inv(pose), estimate), rig.camera)
    window = Window.around(pixel, SIDE_PX, rig.camera)
    given = pixels(rig, window, np.full((SIZE, SIZE), 1.1))
    view = fovea_view(given, torch.tensor(pose[None]), torch.tensor(estimate[None]), unit_m=0.125, depth_m=0.15)
    u, v = float(given.columns[0, 40]), float(given.rows[0, 30])
    turn = facing(torch.tensor(pose[None]))[0].numpy()
    expected = turn @ (transform(pose, backproject([u, v], 1.1, rig.camera)) - estimate)
    np.testing.assert_allclose(view.points[0, :, 30, 40], expected, atol=1e-9)
    np.testing.assert_allclose(view.image[0, 3:6, 30, 40], expected / 0.125, atol=1e-9)


def test_background_and_missing_readings_are_invalid_and_carry_no_geometry(rig: Rig) -> None:
    depth = np.full((SIZE, SIZE), 1.1)
    depth[:10] = 0.0
    depth[10:20] = 1.1 + 0.2
    given = pixels(rig, rig.picture_window, depth)
    pose = torch.eye(4, dtype=torch.float64)[None]
    view = fovea_view(given, pose, torch.tensor([[0.0, 0.0, 1.1]], dtype=torch.float64), unit_m=0.125, depth_m=0.15)
    assert float(view.valid[0, 0, :20].sum()) == 0
    assert float(view.points[0, :, :20].abs().sum()) == 0
    assert float(view.valid[0, 0, 20:].mean()) == 1


def test_colour_is_centred_and_the_glance_has_seven_channels(rig: Rig) -> None:
    pose, origin = torch.eye(4, dtype=torch.float64)[None], torch.tensor([0.0, 0.0, 1.1], dtype=torch.float64)
    view = glance_view(pixels(rig, rig.picture_window, np.ones((SIZE, SIZE))), pose, origin, unit_m=0.5)
    assert view.image.shape == (1, 7, SIZE, SIZE)
    assert float(view.image[:, :3].max()) == pytest.approx(-1)


def test_the_glance_sees_along_its_azimuth_and_not_where_the_camera_stands(rig: Rig) -> None:
    pose, origin = torch.tensor(rig.t_base_camera[None]), torch.tensor([0.0, 0.0, 1.2], dtype=torch.float64)
    given = pixels(rig, rig.picture_window, np.full((SIZE, SIZE), 1.1))
    moved = pose.clone()
    moved[:, :3, 3] += 0.3
    view = glance_view(given, pose, origin, unit_m=0.5)
    torch.testing.assert_close(view.image, glance_view(given, moved, origin, unit_m=0.5).image)
    u, v = float(given.columns[0, 40]), float(given.rows[0, 30])
    turn = facing(pose)[0].numpy()
    expected = turn @ rig.t_base_camera[:3, :3] @ (backproject([u, v], 1.1, rig.camera) - [0, 0, 1.2])
    np.testing.assert_allclose(view.points[0, :, 30, 40], expected, atol=1e-9)


@given(yaw=st.floats(-np.pi, np.pi))
def test_the_looks_see_the_same_from_every_side(yaw: float) -> None:
    """A world that is turned about the base's z axis together with its camera shows the networks the same view."""
    rig = Rig.load()
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    poses = [torch.tensor(pose[None]) for pose in (rig.t_base_camera, turn @ rig.t_base_camera)]
    points = [torch.tensor(transform(each, np.array([0.4, 0.1, 0.3]))[None]) for each in (np.eye(4), turn)]
    given = pixels(rig, rig.picture_window, np.full((SIZE, SIZE), 1.1))
    near = {"unit_m": 0.125, "depth_m": 0.15}
    fovea = [fovea_view(given, pose, point, **near) for pose, point in zip(poses, points, strict=True)]
    torch.testing.assert_close(fovea[1].points, fovea[0].points)
    glance = [glance_view(given, pose, torch.tensor([0.0, 0.0, 1.2]).double(), unit_m=0.5) for pose in poses]
    torch.testing.assert_close(glance[1].points, glance[0].points)
    reach = [reach_view(given, pose, unit_m=0.5) for pose in poses]
    torch.testing.assert_close(reach[1].points, reach[0].points)


@given(distance_m=st.floats(0.3, 2.9), x_m=st.floats(-0.5, 0.5))
def test_within_reach_is_what_the_arm_can_touch_and_it_lies_where_it_is(distance_m: float, x_m: float) -> None:
    rig = Rig.load()
    pose = rig.t_base_camera.copy()
    pose[0, 3] += x_m
    view = reach_view(pixels(rig, rig.picture_window, np.full((SIZE, SIZE), distance_m)), torch.tensor(pose[None]), 0.5)
    window = rig.picture_window
    columns, rows = (np.asarray(each, dtype=float) for each in window.sample_coordinates(SIZE))
    uv = np.stack(np.meshgrid(columns, rows), axis=-1)
    placed = transform(pose, backproject(uv, np.full((SIZE, SIZE), distance_m), rig.camera))
    off_m = placed - REACH_CENTRE_M
    near = (np.hypot(off_m[..., 0], off_m[..., 1]) < REACH_RADIUS_M) & (np.abs(off_m[..., 2]) < REACH_HEIGHT_M)
    np.testing.assert_array_equal(view.valid[0, 0].numpy() > 0, near)
    turned = off_m @ facing(torch.tensor(pose[None]))[0].numpy().T
    np.testing.assert_allclose(view.points[0].permute(1, 2, 0).numpy(), turned * near[..., None], atol=1e-6)


@settings(max_examples=50)
@given(side=st.integers(10, 300), left=st.integers(0, 300), top=st.integers(0, 150))
def test_training_and_windows_agree_on_where_samples_lie(side: int, left: int, top: int) -> None:
    window = Window(left - 0.5, top - 0.5, side, side)
    found = grid_coordinates(torch.tensor(window.as_array()[None]), SIZE)
    for one, other in zip(found, window.sample_coordinates(SIZE), strict=True):
        np.testing.assert_allclose(one[0], other, atol=1e-9)


def test_told_intrinsics_decide_the_rays() -> None:
    longer = Intrinsics(640, 480, 630, 630, 321, 239)
    given = Pixels(
        torch.zeros(1, 2, 2, 3, dtype=torch.uint8),
        torch.ones(1, 2, 2),
        torch.tensor([[321.0, 951.0]]),
        torch.tensor([[239.0, 239.0]]),
        torch.tensor(longer.as_array()[None]).float(),
    )
    np.testing.assert_allclose(point_map(given)[0, :, 0].T, [[0, 0, 1], [1, 0, 1]], atol=1e-6)
