"""What registration gives: a depth camera's error, and how it is taken out."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from datasets.rig.projection import Intrinsics
from perception.calibration.registration.result import WARP_ORDERS, CalibrationError, Cause, Registration, warp_waves


def test_the_warp_s_functions_stay_within_one():
    assert np.abs(warp_waves(48, 64)).max() <= 1 + 1e-12


def registered(scale=1.0, offset_m=0.0, warp_m=0.0, seed=0):
    """A camera whose depth is off by these; the slow warp has coefficients of about ``warp_m``."""
    camera = Intrinsics(64, 48, 60.0, 60.0, 32.0, 24.0)
    coefficients = warp_m * np.random.default_rng(seed).uniform(-1, 1, len(WARP_ORDERS))
    nothing = np.zeros((1, 9))
    own = (np.eye(4), np.eye(6), camera, scale, offset_m, coefficients)
    return Registration(*own, None, np.zeros(7), np.array([0]), nothing, nothing, (), 1.0)


@given(
    scale=st.floats(0.9, 1.1),
    offset_m=st.floats(-0.02, 0.02),
    warp_m=st.floats(0, 0.005),
    distance_m=st.floats(0.3, 2.0),
    seed=st.integers(0, 9),
)
def test_depth_read_by_the_model_of_the_camera_becomes_true_again(scale, offset_m, warp_m, distance_m, seed):
    found = registered(scale, offset_m, warp_m, seed)
    read = scale * distance_m + offset_m + warp_waves(48, 64) @ found.depth_warp_m
    np.testing.assert_allclose(found.true_depth(read.astype(np.float32)), distance_m, atol=1e-5)


def test_where_nothing_was_read_nothing_becomes_true():
    found = registered(1.02, 0.01, 0.004)
    assert not found.true_depth(np.zeros((48, 64), np.float32)).any()


def test_a_warp_has_no_offset_of_its_own_and_every_order_once():
    assert (0, 0) not in WARP_ORDERS
    assert len(set(WARP_ORDERS)) == len(WARP_ORDERS) == 14
    waves = warp_waves(201, 201).reshape(-1, len(WARP_ORDERS))
    assert np.abs(waves.mean(axis=0)).max() < 0.01, "what it adds everywhere is the offset's"
    assert np.linalg.matrix_rank(np.column_stack([np.ones(len(waves)), waves])) == 15


def test_a_refusal_begins_with_its_cause():
    for cause in Cause:
        error = CalibrationError(cause, "take more")
        assert (error.cause, str(error)) == (cause, f"{cause.value}: take more")
