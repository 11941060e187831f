"""What an end-to-end network sees: one square of the camera's image, and how a pixel of it lies in space."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from datasets.common.config import Checked, Within
from datasets.common.errors import DataError
from datasets.rig.projection import Array, Intrinsics, Window, invert, project, transform, window_intrinsics
from datasets.rig.rig import Rig
from perception.estimator.estimator import Photograph

NEAREST_M = 0.5
"""The depth channel begins here; nearer readings count as none."""
DEPTH_STEP_M = 0.004
"""One step of the depth channel, about the sensor's own noise at the arm: 8 bits reach from 0.5 to 1.5 m."""
CAMERA_SIZE = 16


@dataclass(frozen=True)
class PictureParams(Checked):
    """Which square of the image is seen, and what of it.

    Attributes:
        side_m: width of the square at the distance of the workspace's middle, which is its centre; 0: the rig's own
            central square of ``glance_side_px``, as the original saw it.
        depth: whether depth is a fourth channel.
        pose: of the camera, from which the square and its rays follow: ``told``, as it was measured, or the ``rig``'s
            own, wherever the camera stands.
    """

    PART = "picture."

    side_m: Annotated[float, Within(0, 2, "m")] = 0.59
    depth: bool = False
    pose: Literal["rig", "told"] = "rig"

    @property
    def channels(self) -> int:
        """Of the image."""
        return 4 if self.depth else 3


def take_picture(
    params: PictureParams, rig: Rig, photograph: Photograph, t_base_camera_told: Array, intrinsics: Intrinsics
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The network's two inputs: ``image (C, S, S)`` and ``camera (16,)``.

    The fourth channel is depth: 0 where there is no reading between 0.5 and 1.516 m, else the whole steps of 4 mm from
    0.5 m, and one. ``camera`` is the first three rows of the pose (12), then ``fx, fy, cx, cy`` of the square in its
    own pixels.

    Args:
        params: which square.
        rig: whose input size, and whose camera with ``pose: rig``.
        photograph: gives a window's colour, and its depth where that is a channel.
        t_base_camera_told: where the camera is said to stand (4x4).
        intrinsics: of the native image.

    Raises:
        DataError: the workspace's middle is not before the camera.
    """
    pose, seen = (rig.t_base_camera, rig.camera) if params.pose == "rig" else (t_base_camera_told, intrinsics)
    window = _window(params, rig, pose, seen)
    rgb, depth = photograph(window, rig.input_px)
    channels = [rgb.transpose(2, 0, 1)]
    if params.depth:
        channels.append(_depth_steps(depth)[None])
    square = window_intrinsics(seen, window, rig.input_px)
    return np.concatenate(channels), np.concatenate([pose[:3].ravel(), square.as_array()], dtype=np.float32)


def _window(params: PictureParams, rig: Rig, pose: Array, intrinsics: Intrinsics) -> Window:
    if params.side_m == 0:
        return rig.picture_window
    middle = transform(invert(pose), (np.array(rig.workspace.low) + rig.workspace.high) / 2)
    if middle[2] <= NEAREST_M:
        raise DataError(
            f"the workspace's middle lies {middle[2]:.2f} m before the camera; at least {NEAREST_M} m needed"
        )
    return Window.around(project(middle, intrinsics), round(params.side_m * intrinsics.fx / middle[2]), intrinsics)


def _depth_steps(depth: NDArray[np.float32]) -> NDArray[np.uint8]:
    steps = 1 + np.floor((depth - NEAREST_M) / DEPTH_STEP_M)
    return np.where((steps >= 1) & (steps <= 255), steps, 0).astype(np.uint8)
