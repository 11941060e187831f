"""A base on a plate: an estimator that knows the table's height answers as one whose base stands on the table."""

from pathlib import Path

import numpy as np
import pytest

from datasets.rig.frame import Frame
from datasets.rig.projection import Array
from datasets.rig.rig import Rig
from datasets.scene.photographer import Photographer
from datasets.scene.randomization import CameraRandomization, LookRandomization, Randomization
from datasets.scene.scene import Scene, SceneSampler
from perception.estimator.estimator import PositionEstimator
from perception.estimator.table_plane import seen_from_table

MODEL = Path("models/estimator")
PLATES_M = [0.01, 0.03, 0.15, -0.1]


@pytest.fixture(scope="module")
def estimator() -> PositionEstimator:
    return PositionEstimator.load(MODEL)


@pytest.fixture(scope="module")
def views() -> list[tuple[Frame, Scene]]:
    plain = LookRandomization(wild_arm=0, occluder=0)
    sampler = SceneSampler(Rig.load(), Randomization(camera=CameraRandomization(), look=plain, depth_noise=(1, 1)))
    photographer = Photographer(Rig.load())
    scenes = [sampler.sample(seed) for seed in range(100, 108)]
    seen = [(Frame(*photographer.photograph_native(scene), 0.0), scene) for scene in scenes]
    photographer.close()
    return seen


def on_plate(t_base_camera: Array, plate_m: float) -> Array:
    """The camera's pose in a base frame that is raised by a plate, as a calibration measures it."""
    return seen_from_table(t_base_camera, plate_m)


@pytest.mark.parametrize("plate_m", PLATES_M)
def test_a_plate_that_is_known_moves_answers_by_itself_alone(estimator, views, plate_m):
    for frame, scene in views[:3]:
        plain = estimator.bound(scene.t_base_camera_told, scene.intrinsics).estimate(frame)
        raised = on_plate(scene.t_base_camera_told, plate_m)
        found = estimator.bound(raised, scene.intrinsics, -plate_m).estimate(frame)
        np.testing.assert_allclose(found.xyz, plain.xyz - [0, 0, plate_m], atol=2e-6)
        np.testing.assert_allclose(found.sigma, plain.sigma, rtol=1e-4)


@pytest.mark.parametrize("plate_m", [0.01, 0.03])
def test_a_plate_costs_up_to_its_height_in_z_unknown_and_nothing_known(estimator, views, plate_m):
    def error_z(table_z_m: float) -> float:
        errors = []
        for frame, scene in views:
            raised = on_plate(scene.t_base_camera_told, plate_m)
            found = estimator.bound(raised, scene.intrinsics, table_z_m).estimate(frame)
            errors.append(found.xyz[2] - (scene.tcp[2] - plate_m))
        return float(np.median(errors))

    assert abs(error_z(-plate_m)) < 0.003
    # Where the base is seen to stand contradicts the table's height, and takes some of it back.
    assert plate_m / 2 < error_z(0.0) < plate_m + 0.003


def test_to_be_bound_leaves_the_estimator_as_it_was(estimator, views, rig):
    frame = views[0][0]
    before = estimator.estimate(frame)
    other = estimator.bound(on_plate(rig.t_base_camera, 0.03), rig.camera, -0.03).estimate(frame)
    np.testing.assert_array_equal(estimator.estimate(frame).xyz, before.xyz)
    assert not np.array_equal(other.xyz, before.xyz)
