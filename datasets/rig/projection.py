r"""Pinhole projection, camera poses, and the windows that both looks cut from an image.

Camera frame: the optical convention of OpenCV and librealsense, x right, y down, z forward.
Pixels: integer coordinates are pixel *centres*, as in librealsense, so an image of width :math:`w` covers
:math:`[-\tfrac12, w - \tfrac12]`:

.. math:: u = f_x \frac{x}{z} + c_x, \qquad v = f_y \frac{y}{z} + c_y

Depth is the distance along z, not along the ray.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from datasets.common.errors import ConfigError, DataError

Array = NDArray[np.floating]

FRAMING_MARGIN = 0.05
FRAMING_LEAST_PX = 84
FRAMING_NEAREST_M = 0.15
"""Points nearer to the camera's plane, or behind it, are taken to be this far in front."""


@dataclass(frozen=True)
class Intrinsics:
    """A pinhole camera without distortion; focal lengths and principal point in px."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    def __post_init__(self) -> None:
        if min(self.width, self.height) <= 0:
            raise ConfigError(f"camera image must have a positive size, got {self.width}x{self.height} px")
        if not (self.fx > 0 and self.fy > 0):
            raise ConfigError(f"camera focal lengths must be positive px, got fx={self.fx}, fy={self.fy}")
        if not np.isfinite([self.fx, self.fy, self.cx, self.cy]).all():
            raise ConfigError(f"camera intrinsics must be finite px, got {self.as_array().tolist()}")

    @classmethod
    def from_array(cls, fxfycxcy: ArrayLike, width: int, height: int) -> "Intrinsics":
        """Build from ``(fx, fy, cx, cy)`` px."""
        fx, fy, cx, cy = (float(value) for value in np.asarray(fxfycxcy))
        return cls(width, height, fx, fy, cx, cy)

    def as_array(self) -> Array:
        """``(fx, fy, cx, cy)`` px, shape ``(4,)``."""
        return np.array([self.fx, self.fy, self.cx, self.cy])


@dataclass(frozen=True)
class Window:
    """A rectangle of an image in px, by its outer edges (so the whole image starts at -0.5, -0.5)."""

    left: float
    top: float
    width: float
    height: float

    @classmethod
    def central_square(cls, intrinsics: Intrinsics, side_px: int) -> "Window":
        """The square of ``side_px`` in the middle of the image: the glance's view."""
        return cls(
            (intrinsics.width - side_px) / 2 - 0.5,
            (intrinsics.height - side_px) / 2 - 0.5,
            float(side_px),
            float(side_px),
        )

    @classmethod
    def around(cls, uv: ArrayLike, side_px: int, intrinsics: Intrinsics) -> "Window":
        """The square of ``side_px`` centred on pixel ``uv``, aligned to whole pixels, moved to lie inside the image.

        A square larger than the image begins at its upper left corner and reaches beyond the others.

        Raises:
            DataError: the pixel is not a number.
        """
        u, v = (float(value) for value in np.asarray(uv))
        if not np.isfinite([u, v]).all():
            raise DataError(f"no window can be cut about pixel ({u}, {v}): the estimate is not a number")
        left = np.clip(np.floor(u - side_px / 2 + 0.5), 0, max(intrinsics.width - side_px, 0))
        top = np.clip(np.floor(v - side_px / 2 + 0.5), 0, max(intrinsics.height - side_px, 0))
        return cls(float(left) - 0.5, float(top) - 0.5, float(side_px), float(side_px))

    @classmethod
    def framing(cls, points_camera: ArrayLike, intrinsics: Intrinsics) -> "Window":
        """The smallest square that holds what the image shows of camera-frame points ``(N, 3)`` m.

        Whole pixels, 5 % wider than the points on each side and never narrower than ``FRAMING_LEAST_PX``; it lies in
        the image where it fits, else it reaches beyond the image's shorter sides.
        """
        points = np.array(points_camera, dtype=float)
        points[:, 2] = np.maximum(points[:, 2], FRAMING_NEAREST_M)
        uv = project(points, intrinsics)
        margin = FRAMING_MARGIN * np.ptp(uv, axis=0).max()
        size = np.array([intrinsics.width, intrinsics.height])
        low, high = (uv.min(0) - margin).clip(-0.5, size - 0.5), (uv.max(0) + margin).clip(-0.5, size - 0.5)
        side = int(np.ceil(max((high - low).max(), FRAMING_LEAST_PX)))
        left, top = np.round((low + high - side) / 2 + 0.5)
        left = np.clip(left, 0, size[0] - side) if side <= size[0] else (size[0] - side) // 2
        top = np.clip(top, 0, size[1] - side) if side <= size[1] else (size[1] - side) // 2
        return cls(float(left) - 0.5, float(top) - 0.5, float(side), float(side))

    def as_array(self) -> Array:
        """``(left, top, width, height)`` px, shape ``(4,)``: the stores' ``window``."""
        return np.array([self.left, self.top, self.width, self.height])

    def contains(self, uv: ArrayLike) -> bool:
        """Whether pixel ``uv`` lies in the window."""
        u, v = (float(value) for value in np.asarray(uv))
        return self.left <= u <= self.left + self.width and self.top <= v <= self.top + self.height

    def sample_pixels(self, size_px: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Source columns and rows, each ``(size_px,)``, of the nearest pixel to each output pixel's centre."""
        centres = (np.arange(size_px) + 0.5) / size_px
        columns = np.rint(self.left + centres * self.width)
        rows = np.rint(self.top + centres * self.height)
        return columns.astype(np.intp), rows.astype(np.intp)

    def sample_coordinates(self, size_px: int) -> tuple[Array, Array]:
        """Native coordinates of a rendered window's columns and rows, each ``(size_px,)`` px.

        A window of fewer pixels than ``size_px`` repeats the camera's own pixels; a larger one is a regular grid.
        """
        if self.width < size_px:
            columns, rows = self.sample_pixels(size_px)
            return columns.astype(float), rows.astype(float)
        centres = (np.arange(size_px) + 0.5) / size_px
        return self.left + centres * self.width, self.top + centres * self.height


def window_intrinsics(intrinsics: Intrinsics, window: Window, size_px: int) -> Intrinsics:
    """The camera that sees ``window`` alone, resampled to ``size_px`` x ``size_px``."""
    sx, sy = size_px / window.width, size_px / window.height
    return Intrinsics(
        width=size_px,
        height=size_px,
        fx=intrinsics.fx * sx,
        fy=intrinsics.fy * sy,
        cx=(intrinsics.cx - window.left) * sx - 0.5,
        cy=(intrinsics.cy - window.top) * sy - 0.5,
    )


def project(points_camera: ArrayLike, intrinsics: Intrinsics) -> Array:
    """Pixels ``(..., 2)`` of camera-frame points ``(..., 3)`` m."""
    x, y, z = np.moveaxis(np.asarray(points_camera, dtype=float), -1, 0)
    return np.stack([intrinsics.fx * x / z + intrinsics.cx, intrinsics.fy * y / z + intrinsics.cy], axis=-1)


def backproject(uv: ArrayLike, depth_m: ArrayLike, intrinsics: Intrinsics) -> Array:
    """Camera-frame points ``(..., 3)`` m of pixels ``(..., 2)`` at ``depth_m`` ``(...)`` along z."""
    u, v = np.moveaxis(np.asarray(uv, dtype=float), -1, 0)
    z = np.asarray(depth_m, dtype=float)
    return np.stack([(u - intrinsics.cx) / intrinsics.fx * z, (v - intrinsics.cy) / intrinsics.fy * z, z], axis=-1)


def transform(t_a_b: ArrayLike, points_b: ArrayLike) -> Array:
    """Points ``(..., 3)`` given in frame b, in frame a, by the 4x4 pose ``t_a_b``."""
    t = np.asarray(t_a_b, dtype=float)
    return np.asarray(points_b, dtype=float) @ t[:3, :3].T + t[:3, 3]


def invert(t_a_b: ArrayLike) -> Array:
    """``T_b_a``, the inverse of a rigid 4x4 transform."""
    t = np.asarray(t_a_b, dtype=float)
    inverse = np.eye(4)
    inverse[:3, :3] = t[:3, :3].T
    inverse[:3, 3] = -t[:3, :3].T @ t[:3, 3]
    return inverse


def look_at(position_m: ArrayLike, target_m: ArrayLike) -> Array:
    """``T_base_camera`` (4x4) of a level camera at ``position_m`` whose optical axis meets ``target_m``.

    Raises:
        ConfigError: the axis is undefined (same points) or vertical (the camera's roll is then undefined).
    """
    position = np.asarray(position_m, dtype=float)
    forward = np.asarray(target_m, dtype=float) - position
    right = np.cross(forward, [0.0, 0.0, 1.0])
    if np.linalg.norm(right) < 1e-9:
        raise ConfigError(
            f"camera at {position.tolist()} cannot look straight up, down or at itself; move look_at_m aside"
        )
    forward, right = forward / np.linalg.norm(forward), right / np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    pose[:3, 3] = position
    return pose
