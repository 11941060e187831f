"""Draws the results of perception into the camera's own image."""

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from datasets.rig.projection import Array, Intrinsics, invert, project, transform
from pipelines.runtime.tick import Tick

GOAL, ESTIMATE, DOUBTED = (255, 176, 0), (0, 200, 255), (240, 140, 200)
"""RGB that people with red-green blindness can distinguish (Okabe and Ito's palette, brightened)."""
SIGMAS = 2.0
_LARGEST_PX = 10_000.0
"""An estimate whose pixel has a coordinate beyond this is not drawn, and no axis of an ellipse is longer."""


def draw_tick(
    rgb: NDArray[np.uint8], tick: Tick, t_base_camera: ArrayLike, intrinsics: Intrinsics, caption: str = ""
) -> NDArray[np.uint8]:
    """A copy of the image ``(H, W, 3)`` with goal (cross), estimate (dot) and its two-sigma ellipse.

    The ellipse is the estimate's covariance, projected to first order: :math:`J \\, diag(\\sigma^2) \\, J^T`. An
    estimate that was not acted on has the colour ``DOUBTED``, and no line to the goal.
    """
    picture = rgb.copy()
    pose = invert(t_base_camera)
    u, v = project(transform(pose, tick.goal), intrinsics)
    goal = (round(u), round(v))
    cv2.drawMarker(picture, goal, GOAL, cv2.MARKER_CROSS, 22, 2, cv2.LINE_AA)
    if tick.is_estimated:
        _draw_estimate(picture, tick, pose, intrinsics, goal)
    if caption:
        cv2.rectangle(picture, (0, 0), (picture.shape[1], 30), (0, 0, 0), -1)
        cv2.putText(picture, caption, (10, 21), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (255, 255, 255), 1, cv2.LINE_AA)
    return picture


def _draw_estimate(
    picture: NDArray[np.uint8], tick: Tick, pose: Array, intrinsics: Intrinsics, goal: tuple[int, int]
) -> None:
    seen = transform(pose, tick.estimate)
    if seen[2] <= 0 or np.abs(centre := project(seen, intrinsics)).max() > _LARGEST_PX:
        return
    step = 1e-4
    ahead = project(transform(pose, tick.estimate + step * np.eye(3)), intrinsics)
    jacobian = (ahead - centre).T / step
    values, vectors = np.linalg.eigh(jacobian @ np.diag(tick.sigma**2) @ jacobian.T)
    axes = np.clip(SIGMAS * np.sqrt(np.maximum(values, 0.0)), 2.0, _LARGEST_PX)
    angle = float(np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])))
    place = (round(centre[0]), round(centre[1]))
    colour = DOUBTED if tick.held else ESTIMATE
    if not tick.held:
        cv2.line(picture, place, goal, GOAL, 1, cv2.LINE_AA)
    cv2.ellipse(picture, place, (round(axes[1]), round(axes[0])), angle, 0, 360, colour, 2, cv2.LINE_AA)
    cv2.circle(picture, place, 2, colour, -1, cv2.LINE_AA)
