"""What depth has of the arm beside its outline is taken away, and nothing else."""

from dataclasses import replace

import cv2
import numpy as np

from perception.calibration.registration.arm_view import ArmView
from perception.real.fattening import REACH_PX, without_fattening

WALL_M = 3.0


def arm_depth(captures, pose):
    k = captures.intrinsics
    view, found = ArmView((k.width, k.height)), []
    try:
        for joints in captures.joints:
            view.place(joints)
            found.append(view.draw(pose, k)[0])
    finally:
        view.close()
    return np.stack(found)


def test_an_arm_read_wider_than_it_is_loses_what_it_gained(drawn):
    captures, pose = drawn
    drawn_m = arm_depth(captures, pose)
    arm = drawn_m > 0
    sharp = np.where(arm, drawn_m, WALL_M).astype(np.float32)
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (REACH_PX // 2 + 1,) * 2)
    wide = np.stack([cv2.erode(each, disk) for each in sharp])
    gained = ~arm & (wide < WALL_M)
    assert gained.sum() > 1000
    found = without_fattening(replace(captures, depth=wide), pose, bare=False).depth
    assert (found[gained] == 0).mean() > 0.95
    np.testing.assert_array_equal(found[arm], wide[arm])
    assert (found[~arm & ~gained] == WALL_M).all()


def test_a_sharp_picture_stays_as_it_is(drawn):
    captures, pose = drawn
    drawn_m = arm_depth(captures, pose)
    sharp = np.where(drawn_m > 0, drawn_m, WALL_M).astype(np.float32)
    np.testing.assert_array_equal(without_fattening(replace(captures, depth=sharp), pose, bare=False).depth, sharp)
