"""The drawn arm is compared with masks and depth, link by link."""

from dataclasses import replace

import numpy as np
import pytest

from datasets.common.errors import DataError
from perception.calibration.registration.arm_view import LINKS, ArmView
from perception.calibration.registration.fit import Model
from perception.calibration.registration.motion import displacement, moved
from perception.real.__main__ import LEAST_FOUND
from perception.real.frames import RealFrames
from perception.real.likeness import compare, fit_outline, found_share, lay_on, summary


@pytest.fixture(scope="module")
def alike(drawn):
    captures, pose = drawn
    return compare(captures, Model.of_pose(pose, captures.intrinsics), bare=False)


def test_the_arm_is_like_itself(alike):
    found = summary(alike)
    assert found["iou"] > 0.93  # the gripper is drawn open, whatever it is
    assert found["depth_median_mm"] < 6
    assert all(row["iou"] > 0.9 for name, row in found["by_link"].items() if name != "tool")
    assert set(found["by_link"]) <= set(LINKS)


def test_depth_is_read_where_the_arm_is_drawn_unless_it_is_of_another(drawn):
    captures, pose = drawn
    right = Model.of_pose(pose, captures.intrinsics)
    assert found_share(compare(captures, right, bare=False)) > 0.85
    for wrong in (
        replace(captures, depth=np.zeros_like(captures.depth)),
        replace(captures, depth=10 * captures.depth),
        replace(captures, joints=captures.joints + np.eye(7)[0] * np.pi / 2),
    ):
        assert found_share(compare(wrong, right, bare=False)) < LEAST_FOUND
    aside = Model.of_pose(moved(pose, [0, 0, 0.12, 0, 0, 0]), captures.intrinsics)
    assert found_share(compare(captures, aside, bare=False)) < found_share(compare(captures, right, bare=False)) - 0.2


def test_what_a_mask_lacks_is_told_of_that_link_alone(drawn, alike):
    captures, pose = drawn
    k, view = captures.intrinsics, ArmView((captures.intrinsics.width, captures.intrinsics.height))
    try:
        view.place(captures.joints[0])
        links = view.draw(pose, k)[1]
    finally:
        view.close()
    one = captures.select([0])
    lacking = replace(one, masks=one.masks & (links != LINKS.index("link4"))[None])
    found = summary(compare(lacking, Model.of_pose(pose, k), bare=False))["by_link"]
    before = summary(alike[:1])["by_link"]
    assert found["link4"]["iou"] == 0
    assert {name: row["iou"] for name, row in found.items() if name != "link4"} == {
        name: row["iou"] for name, row in before.items() if name != "link4"
    }


def test_depth_that_reads_too_near_lies_outside_of_the_surface(drawn):
    captures, pose = drawn
    nearer = replace(captures, depth=np.where(captures.depth > 0, captures.depth - np.float32(0.02), 0))
    found = summary(compare(nearer, Model.of_pose(pose, captures.intrinsics), bare=False))
    assert 10 < found["depth_bias_mm"] <= 21


def test_without_masks_there_is_no_silhouette_to_compare(drawn):
    captures, pose = drawn
    bare = replace(captures.select([0]), masks=None)
    found = summary(compare(bare, Model.of_pose(pose, captures.intrinsics), bare=False))
    assert (found["iou"], found["by_link"]["link2"]["iou"]) == (None, None)
    with pytest.raises(DataError, match="no masks"):
        fit_outline(bare, Model.of_pose(pose, captures.intrinsics), bare=False)


def test_the_outline_alone_finds_the_pose_again(drawn):
    captures, pose = drawn
    start = Model.of_pose(moved(pose, [0.004, -0.004, 0.004, 0.004, 0, 0]), captures.intrinsics)
    found = fit_outline(captures, start, bare=False)
    points = np.array([[0.4, 0.0, 0.3]])
    assert displacement(found.pose, pose, points)[0] < displacement(start.pose, pose, points)[0]


def test_frames_of_a_moving_arm_are_not_laid_on(drawn):
    laid, why = lay_on(RealFrames(drawn[0], None, postures=False))
    assert laid is None
    assert "the arm moved" in why
