"""What stands still is told from what moves, and edges by evidence."""

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.rig.frame import Frame
from perception.calibration.registration.background import UNREAD_M, moving, see_background
from perception.calibration.registration.posture import Posture


def test_what_moves_is_the_arm(capture, view, rig):
    true = rig.t_base_camera
    postures = capture(true)
    background = see_background(postures)
    for posture in postures:
        view.place(posture.joints_rad, posture.gripper_rad)
        arm = view.draw(true, rig.camera)[0] > 0
        seen = moving(background, posture)
        assert seen.sum() > 0.15 * arm.sum()
        assert (seen & arm).sum() > 0.97 * seen.sum()


def test_edges_of_the_arm_are_told_by_evidence(capture, view, rig):
    postures = capture(rig.t_base_camera)
    arms = []
    for posture in postures:
        view.place(posture.joints_rad, posture.gripper_rad)
        arms.append(view.draw(rig.t_base_camera, rig.camera)[0] > 0)
    background = see_background(postures, arms)
    for posture, arm in zip(postures, arms, strict=True):
        evidence, known = background.evidence(posture), background.seen > 0
        assert np.mean(evidence[arm & known] > 0) > 0.9
        assert np.mean(evidence[~arm & known] < 0.5) > 0.98


def test_a_given_mask_is_believed(capture, rig):
    posture = capture(rig.t_base_camera)[0]
    mask = np.zeros(posture.frame.depth.shape, dtype=bool)
    mask[100:200, 100:200] = True
    masked = Posture(posture.frame, posture.joints_rad, mask=mask)
    background = see_background([masked])
    assert np.array_equal(background.evidence(masked) > 0, mask)
    assert not moving(background, masked)[~mask].any()


SIZE = 48, 64


EDGE = 32


def posture(rgb, depth):
    return Posture(Frame(rgb.astype(np.uint8), depth.astype(np.float32), 0.0), np.zeros(7))


def bar(grey, behind, sigma_px):
    """A frame whose right half is an arm, blurred as a lens does, at 1 m before a wall at 1.5 m that is not read."""
    rgb = np.full((*SIZE, 3), float(behind))
    rgb[:, EDGE:] = grey
    if sigma_px:
        rgb = cv2.GaussianBlur(rgb, (0, 0), sigma_px)
    return posture(rgb, np.zeros(SIZE))


@settings(max_examples=30, deadline=None)
@given(grey=st.integers(120, 255), behind=st.integers(0, 60), sigma_px=st.sampled_from([0.0, 0.5, 1.0]))
def test_a_blurred_edge_is_seen_where_it_is_whatever_the_contrast(grey, behind, sigma_px):
    empty = posture(np.full((*SIZE, 3), behind), np.zeros(SIZE))
    evidence = see_background([empty] * 4).evidence(bar(grey, behind, sigma_px))
    np.testing.assert_array_equal(evidence[24, 8:EDGE] < 0, True)
    np.testing.assert_array_equal(evidence[24, EDGE : EDGE + 24] > 0, True)


def test_what_is_read_where_nothing_was_read_before_moves():
    nothing, there = np.zeros(SIZE), np.zeros(SIZE)
    there[10:40, 20:40] = 1.0
    grey = np.full((*SIZE, 3), 100)
    postures = [posture(grey, nothing)] * 3 + [posture(grey, there)]
    background = see_background(postures)
    assert np.all(background.depth == UNREAD_M)
    np.testing.assert_array_equal(moving(background, postures[-1]), there > 0)
    assert not moving(background, postures[0]).any()
