"""Frames without the readings beside the arm by which stereo makes it wider than it is (docs/your_frames.md)."""

from dataclasses import replace

import cv2
import numpy as np

from datasets.rig.projection import Array
from perception.calibration.captures import Captures
from perception.calibration.registration.arm_view import ArmView

REACH_PX = 20
"""Readings this near to the arm are examined; the sensor's model fattens less (:mod:`datasets.scene.depth_sensor`)."""
NEAR_M = 0.15
"""Readings this close to the nearest part of the arm are taken for the arm's."""


def without_fattening(captures: Captures, pose: Array, *, bare: bool) -> Captures:
    """The captures, with no reading where the arm is read beside its own outline.

    Args:
        captures: the frames.
        pose: of the camera (4x4), by which the arm is drawn.
        bare: no gripper is mounted.
    """
    k = captures.intrinsics
    view, cleaned = ArmView((k.width, k.height), tool=not bare), []
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * REACH_PX + 1,) * 2)
    try:
        for joints, depth in zip(captures.joints, captures.depth, strict=True):
            view.place(joints)
            drawn, links = view.draw(pose, k)
            arm = links >= 0
            nearness = cv2.dilate(np.where(arm, 1 / np.maximum(drawn, 1e-3), 0).astype(np.float32), disk)
            beside = ~arm & (nearness > 0)
            as_near = np.abs(depth - 1 / np.maximum(nearness, np.float32(1e-3))) < NEAR_M
            cleaned.append(np.where(beside & as_near, 0, depth).astype(np.float32))
    finally:
        view.close()
    return replace(captures, depth=np.stack(cleaned))
