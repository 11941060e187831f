"""An RGB-D camera of another make: what becomes of light and of distance in it."""

import numpy as np
import pytest

from datasets.path_tracer.stereo_sensor import DISPARITY_STEP_PX, develop, read_depth
from datasets.rig.projection import Intrinsics

K = Intrinsics(84, 84, 538.0, 538.0, 41.5, 41.5)


GREY = np.full((84, 84, 3), 128, np.uint8)


def read(depth, level=1.0, seed=0, k=K):
    return read_depth(depth, GREY, k, level, np.random.default_rng(1), np.random.default_rng(seed))


def test_the_sensor_at_level_zero_gives_the_truth():
    depth = np.linspace(0.5, 2.0, 84 * 84, dtype=np.float32).reshape(84, 84)
    assert np.array_equal(read(depth, level=0.0), depth)


def test_a_wall_is_read_in_steps_with_the_stated_spread():
    depth = np.full((84, 84), 1.1, np.float32)
    readings = np.stack([read(depth, seed=seed) for seed in range(20)])
    disparity = 22.0 / readings[readings > 0]
    steps = disparity / DISPARITY_STEP_PX
    assert np.abs(steps - np.rint(steps)).max() < 1e-3
    assert np.std(disparity) == pytest.approx(np.hypot(0.10, DISPARITY_STEP_PX / np.sqrt(12)), rel=0.15)
    assert abs(disparity.mean() * 1.1 / 22.0 - 1) < 0.006
    assert 0.003 < (readings == 0).mean() < 0.03


def test_near_surfaces_grow_and_shade_what_lies_to_their_right():
    depth = np.full((84, 84), 1.5, np.float32)
    depth[20:60, 30:50] = 0.9
    readings = np.stack([read(depth, seed=seed) for seed in range(10)])
    assert (np.abs(readings[:, 25:55, 28] - 0.9) < 0.05).mean() > 0.1
    shadow = (readings[:, 25:55] == 0).mean(axis=(0, 1))
    assert shadow[54:60].min() > 0.9
    assert shadow[10:25].max() < 0.1


def test_nothing_is_read_where_nothing_is():
    assert not read(np.zeros((84, 84), np.float32)).any()


def test_more_light_gives_a_brighter_picture_up_to_white():
    ramp = np.repeat(np.linspace(0, 6, 84)[None, :, None], 84, axis=0).repeat(3, axis=2)
    rgb = develop(ramp, 1.0, np.random.default_rng(0), np.random.default_rng(1))
    mean = rgb.mean(axis=(0, 2))
    assert (np.diff(mean) > -2).all()
    assert (mean[1] < 120, mean[-1]) == (True, 255)
