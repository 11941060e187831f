"""Draws the results of perception into the camera's own image."""

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from datasets.rig.projection import Intrinsics, invert, project, transform
from pipelines.runtime.tick import Tick

GOAL, ESTIMATE = (255, 176, 0), (0, 200, 255)
"""RGB that people with red-green blindness can distinguish (Okabe and Ito's palette, brightened)."""
SIGMAS = 2.0


def draw_tick(
    rgb: NDArray[np.uint8], tick: Tick, t_base_camera: ArrayLike, intrinsics: Intrinsics, caption: str = ""
) -> NDArray[np.uint8]:
    """A copy of the image ``(H, W, 3)`` with goal (cross), estimate (dot) and its two-sigma ellipse.

    The ellipse is the estimate's covariance, projected to first order: :math:`J \\, diag(\\sigma^2) \\, J^T`.
    """
    picture = rgb.copy()
    pose = invert(t_base_camera)
    u, v = project(transform(pose, tick.goal), intrinsics)
    cv2.drawMarker(picture, (round(u), round(v)), GOAL, cv2.MARKER_CROSS, 22, 2, cv2.LINE_AA)
    if not tick.held:
        centre = project(transform(pose, tick.estimate), intrinsics)
        step = 1e-4
        ahead = project(transform(pose, tick.estimate + step * np.eye(3)), intrinsics)
        jacobian = (ahead - centre).T / step
        values, vectors = np.linalg.eigh(jacobian @ np.diag(tick.sigma**2) @ jacobian.T)
        axes = np.maximum(SIGMAS * np.sqrt(np.maximum(values, 0.0)), 2.0)
        angle = float(np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])))
        place = (round(centre[0]), round(centre[1]))
        cv2.line(picture, place, (round(u), round(v)), GOAL, 1, cv2.LINE_AA)
        cv2.ellipse(picture, place, (round(axes[1]), round(axes[0])), angle, 0, 360, ESTIMATE, 2, cv2.LINE_AA)
        cv2.circle(picture, place, 2, ESTIMATE, -1, cv2.LINE_AA)
    if caption:
        cv2.rectangle(picture, (0, 0), (picture.shape[1], 30), (0, 0, 0), -1)
        cv2.putText(picture, caption, (10, 21), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (255, 255, 255), 1, cv2.LINE_AA)
    return picture
