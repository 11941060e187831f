r"""From a window's raw pixels to a network's input: one piece of code for training, evaluation and the exported graph.

A sample's ray is given by where it lies in the *native* image. A rendered window is a regular grid; a window cut from a
camera's frame holds the nearest whole pixels instead, up to half a pixel off that grid. Both are described by the
coordinates of their columns and rows, and back-projected along their own rays:

.. math:: p_c = z \left(\frac{u - c_x}{f_x}, \frac{v - c_y}{f_y}, 1\right)
"""

from typing import NamedTuple

import torch
from torch import Tensor

FARTHEST_M = 3.0
"""Readings beyond this are no part of the set-up; the D435's own range ends near there (Intel D400 data sheet)."""
REACH_CENTRE_M = (0.0, 0.0, 0.45)
REACH_RADIUS_M, REACH_HEIGHT_M = 0.95, 0.6
"""A cylinder about the base's axis, this far up and down from its centre: the arm, and what it could touch (0.7 m of
reach by the vendor's manual, the shoulder 0.267 m up)."""


class Pixels(NamedTuple):
    """A batch of windows as a camera or the renderer gives them.

    Attributes:
        rgb: ``(B, S, S, 3)`` uint8.
        depth: ``(B, S, S)`` float32 m, 0 = no reading.
        columns: ``(B, S)`` px, native coordinates of the columns.
        rows: ``(B, S)`` px, native coordinates of the rows.
        intrinsics: ``(B, 4)`` px, ``fx, fy, cx, cy`` of the native camera.
    """

    rgb: Tensor
    depth: Tensor
    columns: Tensor
    rows: Tensor
    intrinsics: Tensor


class View(NamedTuple):
    """What a network sees of a window.

    Attributes:
        image: ``(B, 7, S, S)``: colour in -1..1, the point map in units of the look, validity.
        points: ``(B, 3, S, S)`` m relative to the look's origin, 0 where invalid.
        valid: ``(B, 1, S, S)``, 1 where there is a usable reading.
    """

    image: Tensor
    points: Tensor
    valid: Tensor


def grid_coordinates(window: Tensor, size_px: int) -> tuple[Tensor, Tensor]:
    """Native columns and rows, each ``(B, size_px)`` px, of rendered windows ``(B, 4)`` (left, top, width, height).

    As :meth:`datasets.rig.projection.Window.sample_coordinates`.
    """
    centres = (torch.arange(size_px, device=window.device, dtype=window.dtype) + 0.5) / size_px
    columns, rows = window[:, :1] + centres * window[:, 2:3], window[:, 1:2] + centres * window[:, 3:4]
    coarse = window[:, 2:3] < size_px
    return torch.where(coarse, columns.round(), columns), torch.where(coarse, rows.round(), rows)


def point_map(pixels: Pixels) -> Tensor:
    """Camera-frame points ``(B, 3, S, S)`` m along each sample's own ray."""
    fx, fy, cx, cy = pixels.intrinsics[:, :, None].unbind(1)
    x = ((pixels.columns - cx) / fx)[:, None, :] * pixels.depth
    y = ((pixels.rows - cy) / fy)[:, :, None] * pixels.depth
    return torch.stack([x, y, pixels.depth], dim=1)


def facing(pose: Tensor) -> Tensor:
    r"""Turn ``(B, 3, 3)`` about the base frame's z axis after which a camera at ``pose`` ``(B, 4, 4)`` looks along x.

    The looks work in these axes: what they learn of one side of the arm holds for every other. With :math:`f` the
    camera's optical axis in the base frame, :math:`c = f_x / \sqrt{f_x^2 + f_y^2}` and :math:`s` likewise:

    .. math:: F = \begin{pmatrix} c & s & 0 \\ -s & c & 0 \\ 0 & 0 & 1 \end{pmatrix}
    """
    forward = pose[:, :2, 2]
    cosine, sine = (forward / forward.norm(dim=1, keepdim=True).clamp_min(1e-6)).unbind(1)
    zero, one = torch.zeros_like(sine), torch.ones_like(sine)
    return torch.stack([cosine, sine, zero, -sine, cosine, zero, zero, zero, one], dim=1).view(-1, 3, 3)


def glance_view(pixels: Pixels, pose: Tensor, origin: Tensor, unit_m: float) -> View:
    """The whole view about the camera-frame point ``origin`` ``(3,)`` m, along the axes of :func:`facing`.

    Of the ``pose`` ``(B, 4, 4)`` only the rotation is used: the vertical is known, but the camera's position must be
    found from the picture.
    """
    rotation = facing(pose) @ pose[:, :3, :3]
    points = torch.einsum("bij,bjhw->bihw", rotation, point_map(pixels) - origin[None, :, None, None])
    valid = (pixels.depth > 0) & (pixels.depth < FARTHEST_M)
    return _view(pixels.rgb, points, valid, unit_m)


def reach_view(pixels: Pixels, pose: Tensor, unit_m: float) -> View:
    """What lies within the arm's reach, about ``REACH_CENTRE_M``, along :func:`facing`'s axes; seen from ``pose``.

    The arm's place is known, and what cannot be the arm is left out, so that a look learns which end is which.
    """
    points = _points_about(pixels, pose, pose.new_tensor(REACH_CENTRE_M).expand(len(pose), 3))
    near = (points[:, :2].square().sum(1) < REACH_RADIUS_M**2) & (points[:, 2].abs() < REACH_HEIGHT_M)
    return _view(pixels.rgb, points, (pixels.depth > 0) & near, unit_m)


def fovea_view(pixels: Pixels, pose: Tensor, estimate: Tensor, unit_m: float, depth_m: float) -> View:
    """The window about ``estimate`` ``(B, 3)`` m, along :func:`facing`'s axes, seen from ``pose`` ``(B, 4, 4)``.

    What lies farther than ``depth_m`` from the estimate, along the view, is background.
    """
    points = _points_about(pixels, pose, estimate)
    distance = torch.einsum("bi,bi->b", estimate - pose[:, :3, 3], pose[:, :3, 2])[:, None, None]
    valid = (pixels.depth > 0) & ((pixels.depth - distance).abs() < depth_m)
    return _view(pixels.rgb, points, valid, unit_m)


def _points_about(pixels: Pixels, pose: Tensor, point: Tensor) -> Tensor:
    """What is seen from ``pose``, about the base-frame ``point`` ``(B, 3)`` m, along :func:`facing`'s axes."""
    turn = facing(pose)
    points = torch.einsum("bij,bjhw->bihw", turn @ pose[:, :3, :3], point_map(pixels))
    return points + torch.einsum("bij,bj->bi", turn, pose[:, :3, 3] - point)[:, :, None, None]


def _view(rgb: Tensor, points: Tensor, valid: Tensor, unit_m: float) -> View:
    mask = valid[:, None].to(points.dtype)
    points = points * mask
    colour = rgb.permute(0, 3, 1, 2).to(points.dtype) / 127.5 - 1.0
    return View(torch.cat([colour, points / unit_m, mask], dim=1), points, mask)
