"""Figures by which a registration is doubted."""

import cv2
import numpy as np
import pytest

from datasets.rig.frame import Frame
from perception.calibration.registration.doubts import camera_motion_px
from perception.calibration.registration.posture import Posture


def test_a_blank_picture_tells_no_motion():
    frame = Frame(np.zeros((48, 64, 3), np.uint8), np.ones((48, 64), np.float32), 0.0)
    assert not camera_motion_px([Posture(frame, np.zeros(7))] * 3).any()


@pytest.mark.parametrize("shift", [(0, 0), (3, 0), (0, -2), (2, 2)])
def test_a_camera_that_was_moved_is_told_by_how_far_its_picture_went(shift):
    rng = np.random.default_rng(0)
    blocks = np.kron(rng.integers(0, 256, (30, 40)), np.ones((8, 8))).astype(np.uint8)
    rgb = np.repeat(cv2.GaussianBlur(blocks, (0, 0), 1.0)[..., None], 3, axis=2)
    depth = np.ones(rgb.shape[:2], np.float32)
    pictures = (rgb, rgb, np.roll(rgb, shift, axis=(1, 0)))
    postures = [Posture(Frame(each, depth, 0.0), np.zeros(7)) for each in pictures]
    np.testing.assert_allclose(camera_motion_px(postures), [0, 0, np.hypot(*shift)], atol=0.1)
