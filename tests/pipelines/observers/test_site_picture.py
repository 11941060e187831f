"""The site's picture shows every box where it stands, with solids that are seen from outside."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from scipy.spatial import ConvexHull, QhullError

from control.arms.fence import Fence
from control.clearance.arm_clearance import ArmClearance
from control.clearance.params import Obstacle
from pipelines.observers.site_picture import box_corners, draw_site, free_boxes, outward_triangles

corners_m = arrays(np.float64, 3, elements=st.floats(-1, 1))
sizes_m = arrays(np.float64, 3, elements=st.floats(0.01, 1))


@given(low=corners_m, size=sizes_m)
def test_a_box_has_each_of_its_eight_corners_once(low, size):
    corners = box_corners(low, low + size)
    ends = zip(low, low + size, strict=True)
    assert sorted(map(tuple, corners)) == sorted(product(*ends))


@given(points=arrays(np.float64, (12, 3), elements=st.floats(-1, 1), unique=True))
def test_a_solid_s_triangles_enclose_its_hull_and_look_outward(points):
    try:
        volume = ConvexHull(points).volume
    except QhullError:
        reject()  # points in a plane have no hull
    triangles = outward_triangles(points)
    # By the divergence theorem, of triangles anticlockwise from outside and of no others.
    assert np.einsum("ti,ti->", triangles[:, 0], np.cross(triangles[:, 1], triangles[:, 2])) / 6 == pytest.approx(
        volume
    )
    a, b, c = (triangles - points.mean(axis=0)).transpose(1, 0, 2)
    assert np.all(np.einsum("ti,ti->t", a, np.cross(b, c)) >= -1e-9)


def test_box_and_fence_are_named_apart_only_where_they_differ(rig):
    clearance, fence = ArmClearance(rig), Fence.from_rig(rig)
    whole = replace(fence, low_m=rig.workspace.low, high_m=rig.workspace.high)
    assert list(free_boxes(clearance, whole)) == ["fence = keep_within"]
    smaller = replace(whole, high_m=whole.high_m - 0.02)
    named = free_boxes(clearance, smaller)
    assert list(named) == ["keep_within", "fence"]
    np.testing.assert_array_equal(named["keep_within"], (rig.workspace.low, rig.workspace.high))
    np.testing.assert_array_equal(named["fence"], (smaller.low_m, smaller.high_m))


def test_a_picture_is_drawn_the_same_each_time_and_changes_with_the_site(rig, tmp_path):
    fence, post = Fence.from_rig(rig), Obstacle("post", (0.30, 0.30, 0.0), (0.40, 0.40, 1.0))
    for name, obstacles in (("new/empty", []), ("again", []), ("post", [post])):
        draw_site(ArmClearance(rig, obstacles), fence, tmp_path / f"{name}.png")
    with Image.open(tmp_path / "new/empty.png") as picture:
        assert picture.width > picture.height > 500
    empty, again, other = ((tmp_path / f"{name}.png").read_bytes() for name in ("new/empty", "again", "post"))
    assert empty == again
    assert other != empty
