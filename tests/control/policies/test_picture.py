"""What an end-to-end network sees: one square of the image, and how a pixel of it lies in space."""

import numpy as np
import pytest

from control.policies.picture import PictureParams, take_picture
from datasets.common.errors import DataError
from same_moment import same_moment_again


def test_pictures_are_those_that_come_with_a_depth(env, rig):
    seen = env.reset(seed=5)[0]
    photograph = same_moment_again(env)
    image, camera = take_picture(PictureParams(depth=True), rig, photograph, rig.t_base_camera, rig.camera)
    np.testing.assert_array_equal(image[:3], seen["image"])
    np.testing.assert_array_equal(camera, seen["camera"])


def test_the_window_is_the_original_s_where_no_width_is_given(rig):
    windows = []

    def photograph(window, size):
        windows.append(window)
        return np.zeros((size, size, 3), np.uint8), np.zeros((size, size), np.float32)

    for side_m in (0.0, 0.59):
        take_picture(PictureParams(side_m=side_m), rig, photograph, rig.t_base_camera, rig.camera)
    assert windows[0] == rig.picture_window
    assert 330 < windows[1].width < 350


def test_a_camera_that_looks_away_is_refused(rig):
    away = rig.t_base_camera @ np.diag([-1.0, 1.0, -1.0, 1.0])
    with pytest.raises(DataError, match="middle"):
        take_picture(PictureParams(pose="told"), rig, lambda window, size: None, away, rig.camera)
