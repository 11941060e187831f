r"""The cameras that an estimator serves: where they stand relative to the workspace, and how wide they see.

A camera at :math:`c` sees a point :math:`p` of the base frame from the direction :math:`d = (c - p) / |c - p|`; with
the front of the arm along x, its angle to the side and its elevation are

.. math:: \psi = \operatorname{atan2}(d_y, d_x), \qquad \epsilon = \arcsin d_z
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from datasets.common.config import Checked, Within
from datasets.rig.projection import Array, Intrinsics

Range = tuple[float, float]
FOCAL_WIDTH_PX = 640
"""Focal lengths are scaled to an image of this width and height (4:3); one of 16:9 is scaled by its height."""


@dataclass(frozen=True)
class CameraEnvelope(Checked):
    """Ranges of cameras.

    Attributes:
        distance_m: from the camera to the gripper.
        side_deg: largest angle to either side of the arm's front.
        elevation_deg: above the horizontal plane through the gripper.
        roll_deg: largest turn about the optical axis, away from level.
        focal_px: focal length, scaled to an image of 640x480 px.
    """

    PART = "envelope."

    distance_m: Annotated[Range, Within(0.2, 5.0, "m", rising=True)] = (0.6, 1.8)
    side_deg: Annotated[float, Within(0, 90, "deg")] = 80.0
    elevation_deg: Annotated[Range, Within(-80, 80, "deg", rising=True)] = (-20.0, 60.0)
    roll_deg: Annotated[float, Within(0, 45, "deg")] = 10.0
    focal_px: Annotated[Range, Within(100, 3000, "px", rising=True)] = (380.0, 950.0)

    def faults(self, t_base_camera: Array, intrinsics: Intrinsics, point_m: Array) -> list[str]:
        """Values of a camera at a pose (4x4) that lie outside, in words, seen from ``point_m`` ``(3,)``."""
        distance = float(np.linalg.norm(np.asarray(t_base_camera, dtype=float)[:3, 3] - point_m))
        side, elevation = direction_deg(t_base_camera, point_m)
        found = {
            "distance": (distance, self.distance_m, "m"),
            "angle to the side": (side, (-self.side_deg, self.side_deg), "deg"),
            "elevation": (elevation, self.elevation_deg, "deg"),
            "roll": (roll_deg(t_base_camera), (-self.roll_deg, self.roll_deg), "deg"),
            "focal length at 640x480": (focal_640_px(intrinsics), self.focal_px, "px"),
        }
        return [
            f"{name} {value:.4g} {unit}, where {low:g} to {high:g} {unit} are served"
            for name, (value, (low, high), unit) in found.items()
            if not low <= value <= high
        ]


def direction_deg(t_base_camera: Array, point_m: Array) -> tuple[float, float]:
    """The camera's angle to the side and its elevation, deg, seen from ``point_m`` ``(3,)``."""
    x, y, z = np.asarray(t_base_camera, dtype=float)[:3, 3] - point_m
    return float(np.degrees(np.arctan2(y, x))), float(np.degrees(np.arctan2(z, np.hypot(x, y))))


def focal_640_px(intrinsics: Intrinsics) -> float:
    """The focal length, px, of the image scaled to 480 px in height."""
    return intrinsics.fx * FOCAL_WIDTH_PX * 3 / 4 / intrinsics.height


def roll_deg(t_base_camera: Array) -> float:
    """Angle of the image's rows to the horizontal plane, deg; positive turns the camera clockwise, seen from behind."""
    right, down = np.asarray(t_base_camera, dtype=float)[2, :2]
    return float(-np.degrees(np.arctan2(right, -down)))
