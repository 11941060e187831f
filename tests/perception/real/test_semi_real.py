"""A simulated gripper is drawn onto frames of a bare flange, in the light that the frame shows."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_cdt

from datasets.common.errors import DataError
from datasets.rig.frame import Frame
from perception.calibration.captures import Setting
from perception.calibration.registration.arm_view import TOOL, ArmView
from perception.real import semi_real
from perception.real.judge import load_estimator

LIGHT = np.array([[0.4, 0.38, 0.35], [0.05, 0.05, 0.02], [-0.1, -0.1, -0.1], [-0.2, -0.2, -0.2]])
WALL_M = 2.5


def shaded(normals, light):
    """Colours ``(N, 3)`` of a white surface: an even light, and one along each axis."""
    return light[0] + normals @ light[1:]


@pytest.fixture(scope="module")
def bare(drawn):
    """Frames of the arm without its gripper before a plain wall, lit by ``LIGHT`` alone."""
    captures, pose = drawn
    captures, k = captures.select([0, 1]), captures.intrinsics
    view, rgb, depth = ArmView((k.width, k.height), tool=False), [], []
    try:
        for joints in captures.joints:
            view.place(joints)
            z, links, albedo = view.paint(pose, k)
            # Where surfaces point is not what is tested; how light falls on them is told again below.
            shading = shaded(semi_real._normals(z, k).reshape(-1, 3), LIGHT)
            lit = 255 * np.clip(albedo * shading.reshape(albedo.shape), 0, 1) ** (1 / semi_real.GAMMA)
            rgb.append(np.where((links >= 0)[..., None], np.rint(lit), 90).astype(np.uint8))
            depth.append(np.where(links >= 0, z, WALL_M).astype(np.float32))
    finally:
        view.close()
    setting = Setting(tool="none")
    return replace(captures, rgb=np.stack(rgb), depth=np.stack(depth), setting=setting, masks=None), pose


@pytest.fixture(scope="module")
def view(drawn):
    k = drawn[0].intrinsics
    made = ArmView((k.width, k.height))
    yield made
    made.close()


def hand_of(view, captures, pose, index=0):
    view.place(captures.joints[index], 0.4)
    depth, links = view.draw(pose, captures.intrinsics)
    return depth, links == TOOL


@given(st.integers(0, 2**32 - 1))
def test_a_known_light_is_found(seed):
    rng = np.random.default_rng(seed)
    light = rng.uniform([[0.3] * 3] + [[-0.08] * 3] * 3, [[0.5] * 3] + [[0.08] * 3] * 3)
    normals = rng.normal(size=(20, 30, 3))
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    albedo = rng.uniform(0.3, 0.9, (20, 30, 3))
    shading = shaded(normals.reshape(-1, 3), light).reshape(20, 30, 3)
    rgb = np.rint(255 * (albedo * shading) ** (1 / semi_real.GAMMA)).astype(np.uint8)
    found = semi_real.fit_light(rgb, albedo, normals, np.ones((20, 30), bool))
    np.testing.assert_allclose(found, light, atol=0.01)


def test_the_hand_has_the_arm_s_light_and_its_own_depth(bare, view):
    captures, pose = bare
    frame = captures.frames[0]
    drawn = semi_real.draw(view, frame, captures.joints[0], 0.4, pose, captures.intrinsics, 1)
    depth, hand = hand_of(view, captures, pose)
    view.place(captures.joints[0], 0.4)
    _, _, albedo = view.paint(pose, captures.intrinsics)
    shading = shaded(semi_real._normals(depth, captures.intrinsics)[hand], LIGHT)  # as in the frames above
    wanted = 255 * np.clip(albedo[hand] * shading, 0, 1) ** (1 / semi_real.GAMMA)
    assert np.median(np.abs(drawn.rgb[hand] - wanted)) < 10
    read = hand & (drawn.depth > 0)
    assert read.sum() > 0.5 * hand.sum()
    assert np.median(np.abs(drawn.depth - depth)[read]) < 0.01


def test_what_is_not_near_the_hand_stays_as_it_was_taken(bare, view):
    captures, pose = bare
    frame = captures.frames[0]
    drawn = semi_real.draw(view, frame, captures.joints[0], 0.4, pose, captures.intrinsics, 1)
    far = distance_transform_cdt(~hand_of(view, captures, pose)[1], "chessboard") > semi_real.SEAM_PX + 2
    np.testing.assert_array_equal(drawn.rgb[far], frame.rgb[far])
    np.testing.assert_array_equal(drawn.depth[far], frame.depth[far])


def test_a_thing_in_front_hides_the_hand(bare, view):
    captures, pose = bare
    depth, hand = hand_of(view, captures, pose)
    frame = captures.frames[0]
    nearer = np.where(hand, depth - 0.2, frame.depth).astype(np.float32)
    screened = Frame(frame.rgb, nearer, 0.0)
    drawn = semi_real.draw(view, screened, captures.joints[0], 0.4, pose, captures.intrinsics, 1)
    np.testing.assert_array_equal(drawn.rgb[hand], frame.rgb[hand])


def test_an_arm_that_is_not_where_the_pose_has_it_is_refused(bare, view):
    captures, pose = bare
    empty = Frame(captures.rgb[0], np.zeros_like(captures.depth[0]), 0.0)
    with pytest.raises(DataError, match="too few to measure its light"):
        semi_real.draw(view, empty, captures.joints[0], 0.4, pose, captures.intrinsics, 1)
    away = pose @ np.diag([-1.0, 1, -1, 1])
    with pytest.raises(DataError, match="not in view"):
        semi_real.draw(view, captures.frames[0], captures.joints[0], 0.4, away, captures.intrinsics, 1)


def test_the_default_estimator_finds_the_drawn_hand(bare, rig):
    captures, pose = bare
    found = semi_real.measure(load_estimator("models/estimator", rig), captures, pose, 0.0, draws=3)
    assert (found["n"], len(found["by_frame"])) == (6, 2)
    assert found["median_mm"] < 40  # no table, no room: harder than any training frame
    assert "simulated hand" in found["means"]


def test_an_estimator_of_another_tool_is_not_measured_on_the_drawn_hand(bare, rig):
    estimator = load_estimator("models/estimator", rig)
    estimator.rig = replace(rig, tool=replace(rig.tool, name="flange", tcp_offset_m=0.0))
    found = semi_real.measure(estimator, bare[0], bare[1], 0.0)
    assert (found["n"], "flange" in found["reason"]) == (0, True)
