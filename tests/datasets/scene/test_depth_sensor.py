"""The depth camera's errors: of the measured size, in the documented places, and none at level zero."""

import dataclasses

import numpy as np
import pytest

from datasets.rig.projection import Intrinsics, Window, window_intrinsics
from datasets.scene.depth_sensor import (
    BASELINE_M,
    CORRELATION_PX,
    CORRELATION_SHARE,
    DISPARITY_STEP_PX,
    IMAGER_FOCAL_PX,
    NO_ERROR,
    NOISE_PX,
    WAVE_CORRELATION_PX,
    DepthError,
    measured_depth,
    sample_depth_error,
)
from datasets.scene.randomization import DepthErrorRandomization

GREY = np.full((200, 200, 3), 128, np.uint8)
FULL = DepthErrorRandomization(scale_fraction=0.02, offset_m=0.002, warp_m=0.005, share=1)


def flat(distance_m: float) -> np.ndarray:
    return np.full((200, 200), distance_m, np.float32)


def measured(depth_m, rgb=GREY, level=1.0, focal_px=538.0, error=NO_ERROR, seed=0, **further) -> np.ndarray:
    intrinsics = Intrinsics(200, 200, focal_px, focal_px, 99.5, 99.5)
    return measured_depth(depth_m, rgb, intrinsics, level, error, np.random.default_rng(seed), **further)


def test_without_level_and_error_nothing_changes():
    depth = flat(1.0)
    assert measured(depth, level=0) is depth


def test_same_seed_same_bytes():
    error = sample_depth_error(np.random.default_rng(1), FULL)
    first, again, other = (measured(flat(1.0), error=error, seed=seed) for seed in (3, 3, 4))
    assert first.tobytes() == again.tobytes() != other.tobytes()


@pytest.mark.parametrize("distance_m", [*NOISE_PX])
def test_noise_in_disparity_is_as_measured_at_each_distance(distance_m):
    errors = []
    for seed in range(20):
        noisy = measured(flat(distance_m), seed=seed)
        errors.append(IMAGER_FOCAL_PX * BASELINE_M * (1 / noisy[noisy > 0] - 1 / distance_m))
    expected = np.hypot(NOISE_PX[distance_m], DISPARITY_STEP_PX / np.sqrt(12))
    assert np.std(np.concatenate(errors)) == pytest.approx(expected, rel=0.15)


def test_neighbours_agree_as_measured():
    lags = np.arange(1, 13)
    found = np.zeros(len(lags))
    for seed in range(40):
        noisy = measured(flat(1.0), focal_px=IMAGER_FOCAL_PX, seed=seed)
        error = np.where(noisy > 0, IMAGER_FOCAL_PX * BASELINE_M * (1 / np.maximum(noisy, 0.1) - 1), 0)
        found += [np.mean(error[:, lag:] * error[:, :-lag]) / np.mean(error**2) / 40 for lag in lags]
    expected = np.array(CORRELATION_SHARE) @ np.exp(-((lags / (2 * np.array(CORRELATION_PX)[:, None])) ** 2))
    assert found == pytest.approx(expected, abs=0.09)


def test_a_near_object_casts_its_shadow_on_its_left_only():
    depth = flat(1.5)
    depth[50:150, 90:110] = 0.8
    noisy = measured(depth, level=1e-3)
    width = round(538.0 * BASELINE_M * (1 / 0.8 - 1 / 1.5))
    assert (noisy[60:140, 90 - width + 1 : 89] == 0).mean() > 0.95
    assert (noisy[60:140, 112:140] > 0).mean() > 0.99


@pytest.mark.parametrize("focal_px", [IMAGER_FOCAL_PX, 2 * IMAGER_FOCAL_PX])
def test_a_near_object_is_fattened_as_far_as_is_asked_and_no_farther(focal_px):
    depth, reach = flat(1.5), round(5 * focal_px / IMAGER_FOCAL_PX)
    depth[50:150, 80:120] = 0.8
    near = np.stack([measured(depth, level=1e-3, focal_px=focal_px, seed=seed, fattening_px=5.0) for seed in range(20)])
    near = (near > 0) & (near < 0.9)
    beside = near[:, 60:140, 121 : 119 + reach].mean(axis=(1, 2))
    assert 0.1 < beside.mean() < 0.9  # in places: more in one picture, less in another
    assert beside.std() > 0.05
    assert not near[:, :, 121 + reach :].any()
    assert near[:, 60:140, 85:115].mean() > 0.98


def test_what_nothing_nearer_borders_is_never_fattened():
    plain, asked = (measured(flat(1.5), level=1e-3, fattening_px=fattening) for fattening in (0.0, 6.0))
    assert abs((asked > 0).mean() - (plain > 0).mean()) < 0.01
    assert np.abs(asked[asked > 0] - 1.5).max() < 0.02


@pytest.mark.parametrize("focal_px", [IMAGER_FOCAL_PX, 2 * IMAGER_FOCAL_PX])
def test_waves_are_as_high_as_is_asked_and_slow_whatever_the_image(focal_px):
    wavy = np.stack([measured(flat(1.4), level=1e-3, focal_px=focal_px, seed=n, waves_px=0.2) for n in range(60)])
    wave = np.where(wavy > 0, IMAGER_FOCAL_PX * BASELINE_M * (1 / np.maximum(wavy, 0.1) - 1 / 1.4), 0)
    assert wave.std() == pytest.approx(0.2, rel=0.15)
    lag = round(WAVE_CORRELATION_PX * focal_px / IMAGER_FOCAL_PX)
    assert np.mean(wave[:, :, lag:] * wave[:, :, :-lag]) / np.mean(wave**2) == pytest.approx(np.exp(-1 / 4), abs=0.1)


def test_flying_pixels_lie_between_both_sides_of_a_step():
    depth = flat(1.5)
    depth[:, 100:] = 0.8
    noisy = measured(depth)
    between = (noisy > 0.9) & (noisy < 1.3)
    assert between[:, 96:104].mean() > 0.02
    assert not between[:, :80].any()


def test_planes_have_no_edges_however_steeply_they_are_seen():
    rows = np.linspace(1.0, 4.0, 200, dtype=np.float32)
    table = np.repeat((1 / rows)[:, None], 200, axis=1)
    assert (measured(table, level=0.1) == 0).mean() < 0.005


@pytest.mark.parametrize("colour", [0, 255])
def test_dark_and_shining_surfaces_lose_readings(colour):
    lost = [(measured(flat(1.0), rgb) == 0).mean() for rgb in (GREY, np.full_like(GREY, colour))]
    assert lost[0] < 0.02
    assert lost[1] > 0.2


def test_no_reading_stays_no_reading():
    assert not measured(np.zeros((200, 200), np.float32), error=DepthError(0.01, 0.002, (0.001,) * 9)).any()


def test_scale_is_a_factor_and_offset_a_sum():
    depth = np.random.default_rng(0).uniform(0.5, 2, (200, 200)).astype(np.float32)
    assert measured(depth, level=0, error=DepthError(scale=0.02)) == pytest.approx(1.02 * depth, rel=1e-6)
    assert measured(depth, level=0, error=DepthError(offset_m=0.002)) == pytest.approx(depth + 0.002, rel=1e-6)


def test_two_windows_of_a_camera_are_warped_alike():
    camera = Intrinsics(640, 480, 615.0, 612.0, 321.0, 236.0)
    error = sample_depth_error(np.random.default_rng(2), FULL)
    rng = np.random.default_rng(0)

    def seen(window: Window, size_px: int) -> np.ndarray:
        k = window_intrinsics(camera, window, size_px)
        depth = np.full((size_px, size_px), 1.2, np.float32)
        return measured_depth(depth, np.zeros((size_px, size_px, 3), np.uint8), k, 0, error, rng)

    wide, narrow = seen(Window(79.5, -0.5, 480, 480), 480), seen(Window(199.5, 99.5, 160, 160), 160)
    assert np.ptp(wide) > 1e-4
    assert narrow == pytest.approx(wide[100:260, 120:280], abs=1e-6)


def test_errors_of_cameras_keep_their_bounds():
    corner = Intrinsics(3, 3, 1 / 0.85, 1 / 0.85, 1, 1)  # the image's corners and middles of its sides
    one_metre, black = np.ones((3, 3), np.float32), np.zeros((3, 3, 3), np.uint8)
    for share, bound in ((1.0, (0.02, 0.002, 0.005)), (0.0, (0.003, 0.001, 0.001))):
        ranges = dataclasses.replace(FULL, share=share)
        drawn = [sample_depth_error(np.random.default_rng(seed), ranges) for seed in range(100)]
        assert 0.8 * bound[0] < max(abs(error.scale) for error in drawn) <= bound[0]
        assert 0.8 * bound[1] < max(abs(error.offset_m) for error in drawn) <= bound[1]
        for error in drawn:
            warp = DepthError(warp_m=error.warp_m)
            read = measured_depth(one_metre, black, corner, 0, warp, np.random.default_rng(0))
            assert np.abs(read - 1).max() <= bound[2] + 1e-6
