import mink
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.rig.projection import transform
from datasets.rig.rig import BASE_TARGET_M, Rig
from perception.estimator.pose_check import check_pose
from perception.estimator.table_plane import correction, fit_table

small = st.floats(-0.03, 0.03)


def table_points(rng: np.random.Generator, noise_m: float = 0.004) -> np.ndarray:
    """A table with clutter on it and an arm above, base frame."""
    table = np.column_stack([rng.uniform(-0.2, 0.9, 1500), rng.uniform(-0.6, 0.6, 1500), rng.normal(0, noise_m, 1500)])
    clutter = np.column_stack([rng.uniform(0, 0.6, (300, 2)), rng.uniform(0.02, 0.1, 300)])
    arm = rng.uniform([0, -0.2, 0.1], [0.5, 0.2, 0.7], (400, 3))
    return np.concatenate([table, clutter, arm])


def moved(t: list[float], r: list[float]) -> np.ndarray:
    motion = np.eye(4)
    motion[:3, :3] = mink.SO3.exp(np.array(r)).as_matrix()
    motion[:3, 3] = t
    return motion


@settings(max_examples=30)
@given(x=small, y=small, z=small, roll=small, pitch=small)
def test_the_table_gives_back_height_and_tilt(x: float, y: float, z: float, roll: float, pitch: float) -> None:
    points = table_points(np.random.default_rng(0))
    fit = fit_table(transform(moved([x, y, z], [roll, pitch, 0]), points))
    assert fit is not None
    laid = transform(correction(fit) @ moved([x, y, z], [roll, pitch, 0]), points[:1500])
    assert np.abs(laid[:, 2] - points[:1500, 2]).max() < 0.003


def test_the_correction_is_a_rigid_motion() -> None:
    fit = fit_table(transform(moved([0, 0, 0.02], [0.02, -0.01, 0]), table_points(np.random.default_rng(1))))
    assert fit is not None
    rotation = correction(fit)[:3, :3]
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)


def test_without_a_table_nothing_is_fitted() -> None:
    assert fit_table(np.zeros((0, 3))) is None
    assert fit_table(np.random.default_rng(0).uniform(0.3, 1, (500, 3))) is None


def seen_base(told: np.ndarray, displacement: np.ndarray) -> np.ndarray:
    """Where the camera sees the base when it truly stands ``displacement`` from where it was told."""
    true = told.copy()
    true[:3, 3] += displacement
    return transform(np.linalg.inv(true), np.array(BASE_TARGET_M))


def test_a_calibrated_camera_is_not_moved_by_a_noisy_base(rig: Rig) -> None:
    told = rig.t_base_camera
    fit = fit_table(table_points(np.random.default_rng(2)))
    base = seen_base(told, np.array([0.005, -0.004, 0]))
    checked = check_pose(told, fit, base, np.full(3, 0.006))
    assert checked.moved < 0.05
    assert np.linalg.norm(checked.t_base_camera[:2, 3] - told[:2, 3]) < 0.001


def test_a_badly_seen_base_alone_does_not_move_the_camera(rig: Rig) -> None:
    told = rig.t_base_camera
    fit = fit_table(table_points(np.random.default_rng(2)))
    checked = check_pose(told, fit, seen_base(told, np.array([0.05, 0.01, 0])), np.full(3, 0.005))
    assert checked.moved < 0.1


def test_a_knocked_camera_is_put_back_and_sigma_widens(rig: Rig) -> None:
    told = rig.t_base_camera
    shift = np.array([0.02, 0.025, 0.02])
    fit = fit_table(table_points(np.random.default_rng(3)) - shift)
    checked = check_pose(told, fit, seen_base(told, shift), np.full(3, 0.006))
    assert checked.moved > 0.95
    assert np.linalg.norm(checked.t_base_camera[:3, 3] - told[:3, 3] - shift) < 0.006
    sigma = np.full(3, 0.002)
    wide = checked.widen(np.array([0.4, 0.2, 0.3]), sigma)
    assert wide[2] == sigma[2]
    assert np.all(wide[:2] > 0.005)


@given(height=st.floats(0.03, 0.11), sign=st.sampled_from([-1, 1]))
def test_a_plane_that_is_no_table_cries_no_wolf(height: float, sign: int) -> None:
    """The base is where it was told: what lies lower or higher is a plate, a bench or the tops of things."""
    told = Rig.load().t_base_camera
    fit = fit_table(table_points(np.random.default_rng(2)) + np.array([0, 0, sign * height]))
    base = seen_base(told, np.array([0.003, -0.002, 0]))
    checked = check_pose(told, fit, base, np.full(3, 0.006))
    assert checked.moved < 0.5
    np.testing.assert_allclose(checked.t_base_camera[2], told[2], atol=0.005)


@settings(max_examples=50)
@given(direction=st.floats(0, 2 * np.pi), sink=st.floats(0.01, 0.03))
def test_a_knock_is_found_whatever_its_direction(direction: float, sink: float) -> None:
    told = Rig.load().t_base_camera
    shift = np.array([0.022 * np.cos(direction), 0.022 * np.sin(direction), sink])
    fit = fit_table(table_points(np.random.default_rng(3)) - shift)
    checked = check_pose(told, fit, seen_base(told, shift), np.full(3, 0.006))
    assert checked.moved > 0.8
    assert np.linalg.norm(checked.t_base_camera[:3, 3] - told[:3, 3] - shift) < 0.01
