"""The motion between two clouds of points is found, whatever does not fit into it."""

import mink
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.common.errors import DataError
from datasets.rig.projection import transform
from perception.calibration.rigid_fit import fit_rigid, fit_rigid_robust

seeds = st.integers(0, 2**32 - 1)


def random_pose(rng):
    pose = np.eye(4)
    pose[:3, :3] = mink.SO3.exp(rng.uniform(-3, 3, 3)).as_matrix()
    pose[:3, 3] = rng.uniform(-2, 2, 3)
    return pose


@given(seeds)
def test_a_rigid_motion_is_found_exactly(seed):
    rng = np.random.default_rng(seed)
    true, points = random_pose(rng), rng.uniform(-0.3, 0.3, (8, 3))
    np.testing.assert_allclose(fit_rigid(transform(true, points), points), true, atol=1e-7)


@settings(max_examples=20)
@given(seeds)
def test_pairs_that_do_not_fit_are_left_out(seed):
    rng = np.random.default_rng(seed)
    true, points = random_pose(rng), rng.uniform(-0.3, 0.3, (30, 3))
    images = transform(true, points) + rng.normal(0, 0.001, (30, 3))
    images[:5] += 0.3
    found, kept = fit_rigid_robust(images, points)
    assert not kept[:5].any()
    assert kept[5:].sum() >= 20
    np.testing.assert_allclose(transform(found, points), transform(true, points), atol=0.005)


@pytest.mark.parametrize("points", [np.zeros((3, 3)), np.outer(np.arange(9), [0.1, 0.2, 0.0])])
def test_points_that_determine_no_pose_are_refused(points):
    with pytest.raises(DataError):
        fit_rigid(points, points)
