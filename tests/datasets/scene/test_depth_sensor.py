"""The depth camera's errors: of the documented size, in the documented places, and none at level zero."""

import numpy as np
import pytest

from datasets.scene.depth_sensor import BASELINE_M, IMAGER_FOCAL_PX, SUBPIXEL_PX, add_depth_noise

GREY = np.full((200, 200, 3), 128, np.uint8)


def flat(distance_m: float) -> np.ndarray:
    return np.full((200, 200), distance_m, np.float32)


def test_level_zero_changes_nothing():
    depth = flat(1.0)
    assert add_depth_noise(depth, GREY, 538.0, 0.0, np.random.default_rng(0)) is depth


@pytest.mark.parametrize("distance_m", [0.7, 1.07, 1.6])
def test_error_grows_with_the_square_of_distance(distance_m):
    expected = distance_m**2 * SUBPIXEL_PX / (IMAGER_FOCAL_PX * BASELINE_M)
    errors = []
    for seed in range(10):
        noisy = add_depth_noise(flat(distance_m), GREY, 615.0, 1.0, np.random.default_rng(seed))
        errors.append(noisy[noisy > 0] - distance_m)
    # quantization adds a twelfth of a squared step to the variance
    assert np.std(np.concatenate(errors)) == pytest.approx(expected, rel=0.15)


def test_the_documented_error_at_the_arm_is_4_8_mm():
    assert pytest.approx(0.0048, abs=1e-4) == 1.07**2 * SUBPIXEL_PX / (IMAGER_FOCAL_PX * BASELINE_M)


def test_a_near_object_casts_its_shadow_on_its_left_only():
    depth = flat(1.5)
    depth[50:150, 90:110] = 0.8
    noisy = add_depth_noise(depth, GREY, 538.0, 1e-3, np.random.default_rng(0))
    width = round(538.0 * BASELINE_M * (1 / 0.8 - 1 / 1.5))
    assert (noisy[60:140, 90 - width + 1 : 89] == 0).mean() > 0.95
    assert (noisy[60:140, 112:140] > 0).mean() > 0.99


def test_planes_have_no_edges_however_steeply_they_are_seen():
    rows = np.linspace(1.0, 4.0, 200, dtype=np.float32)
    table = np.repeat((1 / rows)[:, None], 200, axis=1)
    noisy = add_depth_noise(table, GREY, 538.0, 0.1, np.random.default_rng(0))
    assert (noisy == 0).mean() < 0.005


def test_dark_surfaces_lose_readings():
    dark = np.zeros_like(GREY)
    lost = [(add_depth_noise(flat(1.0), rgb, 615.0, 1.0, np.random.default_rng(0)) == 0).mean() for rgb in (GREY, dark)]
    assert lost[0] < 0.02
    assert lost[1] > 0.2


def test_no_reading_stays_no_reading():
    noisy = add_depth_noise(np.zeros((200, 200), np.float32), GREY, 615.0, 1.0, np.random.default_rng(0))
    assert not noisy.any()
