"""What the registration rests on: edges where they are, a background that is never read, honest deviations, spread."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.rig.frame import Frame
from perception.calibration.registration.background import UNREAD_M, moving, see_background
from perception.calibration.registration.fit import _jackknife  # 1000 times: a registration takes many seconds
from perception.calibration.registration.posture import Posture, apart

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


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 1000))
def test_the_deviation_holds_what_whole_postures_and_links_err_by(seed):
    """One unknown, measured by every posture and link with errors of their own that all their pixels share."""
    rng = np.random.default_rng(seed)
    deviations, errors = [], []
    for _ in range(200):
        away = rng.normal(0, 1, (10, 1)) + rng.normal(0, 1, (1, 9)) + rng.normal(0, 0.3, (10, 9))
        hessians, prior = np.full((10, 9, 1, 1), 50.0), np.zeros(1)
        estimate = away.mean()
        deviations.append(_jackknife(hessians, 50.0 * (away - estimate)[..., None], prior)[0, 0])
        errors.append(estimate)
    assert 0.8 < np.sqrt(np.mean(deviations)) / np.std(errors) < 1.6


def test_postures_are_as_far_apart_as_the_nearest_of_those_that_differ_most(rig):
    home = np.asarray(rig.home_joints_rad)
    turned = [home + angle * np.eye(7)[0] for angle in (0.0, 0.01, 0.5, 1.0)]
    three, four = apart(turned, 3), apart(turned, 4)
    assert four < 0.01 < 0.1 < three
    assert apart([home] * 5, 5) == 0
    assert three == pytest.approx(apart(turned[::-1], 3))
