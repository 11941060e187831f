import mink
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.rig.projection import transform
from datasets.rig.rig import BASE_TARGET_M, Rig
from perception.estimator.estimate import PositionEstimate
from perception.estimator.pose_check import check_pose
from perception.estimator.table_plane import TableFit, correction, fit_table

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


def seen_base(displacement: np.ndarray, sigma_m: float = 0.002) -> PositionEstimate:
    """The base's point, seen ``displacement`` from where a told pose should see it."""
    return PositionEstimate(np.array(BASE_TARGET_M) + displacement, np.full(3, sigma_m))


def knocked(told: np.ndarray, error: np.ndarray) -> tuple[TableFit | None, PositionEstimate]:
    """What a camera shows of table and base that moved by the ``error`` ``(6,)`` of shift m and turn rad."""
    centre = told[:3, 3]

    def appear(points: np.ndarray) -> np.ndarray:
        return centre + error[:3] + (points - centre) @ mink.SO3.exp(error[3:]).as_matrix().T

    fit = fit_table(appear(table_points(np.random.default_rng(3))))
    return fit, seen_base(appear(np.array(BASE_TARGET_M)) - np.array(BASE_TARGET_M))


@given(seed=st.integers(0, 1000))
@settings(max_examples=30)
def test_a_calibrated_camera_stays_where_it_is(seed: int) -> None:
    told = Rig.load().t_base_camera
    rng = np.random.default_rng(seed)
    error = np.concatenate([rng.normal(0, 0.001, 3), rng.normal(0, 0.0006, 3)])
    checked = check_pose(told, *knocked(told, error))
    assert checked.moved < 0.2
    assert np.linalg.norm(checked.t_base_camera[:3, 3] - told[:3, 3]) < 0.005


def test_a_base_seen_elsewhere_with_its_table_in_place_was_not_the_base(rig: Rig) -> None:
    fit = fit_table(table_points(np.random.default_rng(2)))
    checked = check_pose(rig.t_base_camera, fit, seen_base(np.array([0.0, 0.0, 0.12])))
    assert checked.moved < 0.5
    assert np.linalg.norm(checked.t_base_camera[:3, 3] - rig.t_base_camera[:3, 3]) < 0.01


def test_knocks_are_found_and_what_they_leave_open_is_said() -> None:
    """Of knocks of 20 to 30 mm with 1 to 2 deg; a few can be taken for a depth camera that misreads."""
    rig, rng, outcomes = Rig.load(), np.random.default_rng(0), []
    told = rig.t_base_camera
    for _ in range(200):
        directions = [each / np.linalg.norm(each) for each in rng.normal(size=(2, 3))]
        error = np.concatenate([rng.uniform(0.02, 0.03) * directions[0], np.radians(rng.uniform(1, 2)) * directions[1]])
        checked = check_pose(told, *knocked(told, error))
        point = rng.uniform(rig.workspace.low, rig.workspace.high)
        seen = told[:3, 3] + error[:3] + mink.SO3.exp(error[3:]).as_matrix() @ (point - told[:3, 3])
        found = transform(checked.t_base_camera @ np.linalg.inv(told), seen)
        covered = np.all(np.abs(found - point) < 3 * checked.widen(found, np.full(3, 0.001)))
        nearer = np.linalg.norm(found - point) < max(0.75 * np.linalg.norm(seen - point), 0.015)
        outcomes.append((checked.moved > 0.9, covered, nearer))
    assert np.all(np.mean(outcomes, axis=0) > 0.95), np.mean(outcomes, axis=0)


@given(scale=st.floats(0.008, 0.02), sign=st.sampled_from([-1, 1]))
def test_a_depth_camera_out_of_its_box_is_found_out(scale: float, sign: int) -> None:
    """Table and base both appear too far by the same share; the pose is left alone."""
    told = Rig.load().t_base_camera
    centre = told[:3, 3]
    stretch = 1 + sign * scale
    fit = fit_table(centre + stretch * (table_points(np.random.default_rng(3)) - centre))
    checked = check_pose(told, fit, seen_base((stretch - 1) * (np.array(BASE_TARGET_M) - centre)))
    assert checked.moved < 0.5
    assert abs(checked.scale - sign * scale) < 0.004


@given(height=st.floats(0.03, 0.11), sign=st.sampled_from([-1, 1]))
def test_a_plane_that_is_no_table_cries_no_wolf(height: float, sign: int) -> None:
    """The base is where it was told: what lies lower or higher is a plate, a bench or the tops of things."""
    told = Rig.load().t_base_camera
    fit = fit_table(table_points(np.random.default_rng(2)) + np.array([0, 0, sign * height]))
    checked = check_pose(told, fit, seen_base(np.array([0.001, -0.001, 0])))
    assert checked.moved < 0.5
    np.testing.assert_allclose(checked.t_base_camera[2], told[2], atol=0.005)


def test_nothing_seen_changes_nothing_and_widens_by_the_calibration(rig: Rig) -> None:
    checked = check_pose(rig.t_base_camera, None, None)
    np.testing.assert_allclose(checked.t_base_camera, rig.t_base_camera)
    assert checked.scale == 0
    assert np.all(checked.widen(np.array([0.4, 0.0, 0.2]), np.zeros(3)) > 0.001)
