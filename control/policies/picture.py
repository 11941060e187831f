"""The input of an end-to-end network: one square of the camera's image, and the geometry of its pixels."""

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
"""Distance, m, at which the depth channel begins; nearer readings count as missing."""
DEPTH_STEP_M = 0.004
"""One step of the depth channel, m, about the sensor's own noise at the arm: 8 bits reach from 0.5 to 1.5 m."""
CAMERA_SIZE = 16


@dataclass(frozen=True)
class PictureParams(Checked):
    """Which square of the image the network sees, and which of its channels.

    Attributes:
        side_m: width of the square at the distance of the workspace's middle, which is its centre; 0: the rig's own
            central square of ``glance_side_px``, as the original saw it.
        depth: whether depth is a fourth channel.
        pose: the camera's pose from which the square and its rays follow: ``told``: the measured one; ``rig``: the
            rig's own, wherever the camera stands.
    """

    PART = "picture."

    side_m: Annotated[float, Within(0, 2, "m")] = 0.59
    depth: bool = False
    pose: Literal["rig", "told"] = "rig"

    @property
    def channels(self) -> int:
        """Number of channels of the image."""
        return 4 if self.depth else 3


def take_picture(
    params: PictureParams, rig: Rig, photograph: Photograph, t_base_camera_told: Array, intrinsics: Intrinsics
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Makes the network's two inputs: ``image (C, S, S)`` and ``camera (16,)``.

    The fourth channel is depth: 0 where there is no reading between 0.5 and 1.516 m, else one plus the number of whole
    4 mm steps from 0.5 m. ``camera`` is the first three rows of the pose (12), then ``fx, fy, cx, cy`` of the square
    in its own pixels.

    Args:
        params: which square and channels.
        rig: the rig that gives the input size and, with ``pose: rig``, the camera's pose.
        photograph: returns a window's colour, and its depth where that is a channel.
        t_base_camera_told: the camera's pose as given (4x4).
        intrinsics: the intrinsics of the native image.

    Raises:
        DataError: the workspace's middle is not in front of the camera.
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
