"""Projection and windows: one geometry for rendered crops and for cut frames."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.common.errors import ConfigError
from datasets.rig.projection import (
    Intrinsics,
    Window,
    backproject,
    invert,
    look_at,
    project,
    transform,
    window_intrinsics,
)

D435 = Intrinsics(640, 480, 615.0, 615.0, 320.0, 240.0)
metres = st.floats(-1, 1)
pixels = st.tuples(st.floats(0, 639), st.floats(0, 479))


@given(uv=pixels, depth=st.floats(0.1, 5))
def test_back_projection_undoes_projection(uv, depth):
    assert np.allclose(project(backproject(uv, depth, D435), D435), uv, atol=1e-9)


@given(uv=pixels, depth=st.floats(0.1, 5), left=st.integers(0, 540), top=st.integers(0, 380), side=st.integers(20, 100))
def test_a_window_sees_the_same_rays_as_the_whole_image(uv, depth, left, top, side):
    window = Window(left - 0.5, top - 0.5, side, side)
    inside = window_intrinsics(D435, window, 84)
    scale = 84 / side
    in_window = [(uv[0] - window.left) * scale - 0.5, (uv[1] - window.top) * scale - 0.5]
    assert np.allclose(backproject(in_window, depth, inside), backproject(uv, depth, D435), atol=1e-9)


@given(uv=pixels, side=st.integers(10, 200))
def test_a_window_around_any_pixel_is_whole_pixels_inside_the_image(uv, side):
    window = Window.around(uv, side, D435)
    columns, rows = window.sample_pixels(side)
    assert columns.tolist() == list(range(columns[0], columns[0] + side))
    assert columns[0] >= 0
    assert columns[-1] < 640
    assert rows[0] >= 0
    assert rows[-1] < 480


@given(position=st.tuples(metres, metres, metres), target=st.tuples(metres, metres, metres))
def test_look_at_gives_a_rotation_whose_axis_meets_the_target(position, target):
    away = np.subtract(target, position)
    if np.hypot(*away[:2]) < 1e-2:
        return
    pose = look_at(position, target)
    assert np.allclose(pose[:3, :3].T @ pose[:3, :3], np.eye(3))
    assert np.isclose(np.linalg.det(pose[:3, :3]), 1)
    seen = transform(invert(pose), target)
    assert np.allclose(seen, [0, 0, np.linalg.norm(away)], atol=1e-9)
    assert pose[2, 1] <= 1e-9  # image down is never up in the world


def test_a_camera_looking_straight_down_is_refused():
    with pytest.raises(ConfigError, match="straight up, down"):
        look_at([0, 0, 1], [0, 0, 0])
