"""What the fovea starts from in training: the truth with an error like the glance's."""

from dataclasses import dataclass

import torch
from torch import Tensor

from datasets.common.errors import ConfigError

BESIDE = 0.25
"""How far beside the image, in its widths and heights, a coarse estimate may lie."""


@dataclass(frozen=True)
class GlanceError:
    """How the glance errs: a mixture of two Gaussians, the second one rare and wide.

    Attributes:
        distance_m: standard deviation of its distance.
        tail_distance_m: the same of the rare, bad estimates.
        tail_share: how many are bad.
        turn_deg: standard deviation, about each axis, of the given rotation of a camera that may have been knocked.
        across_m: standard deviation across the view, where it does not follow from the window (at the image's edge).
    """

    distance_m: float = 0.012
    tail_distance_m: float = 0.04
    tail_share: float = 0.1
    across_m: float = 0.008
    turn_deg: float = 0.6

    def __post_init__(self) -> None:
        if min(self.distance_m, self.tail_distance_m, self.across_m) < 0 or not 0 <= self.tail_share <= 1:
            raise ConfigError(
                f"glance_error needs sizes >= 0 and a tail_share in [0, 1], got {self.distance_m}, "
                f"{self.tail_distance_m}, {self.across_m} and {self.tail_share}"
            )


def project(points: Tensor, intrinsics: Tensor) -> Tensor:
    """Pixels ``(B, 2)`` of camera-frame points ``(B, 3)`` m; intrinsics ``(B, 4)``."""
    return points[:, :2] / points[:, 2:] * intrinsics[:, :2] + intrinsics[:, 2:]


def backproject(pixel: Tensor, distance: Tensor, intrinsics: Tensor) -> Tensor:
    """Camera-frame points ``(B, 3)`` m of pixels ``(B, 2)`` at ``distance`` ``(B, 1)`` m along the optical axis."""
    return torch.cat([(pixel - intrinsics[:, 2:]) / intrinsics[:, :2] * distance, distance], dim=1)


def transform(pose: Tensor, points: Tensor) -> Tensor:
    """Points ``(B, 3)`` moved by ``pose`` ``(B, 4, 4)``."""
    return torch.einsum("bij,bj->bi", pose[:, :3, :3], points) + pose[:, :3, 3]


def inverse_transform(pose: Tensor, points: Tensor) -> Tensor:
    """Points ``(B, 3)`` moved by the inverse of a rigid ``pose`` ``(B, 4, 4)``."""
    return torch.einsum("bji,bj->bi", pose[:, :3, :3], points - pose[:, :3, 3])


def turned(pose: Tensor, spread_rad: float) -> Tensor:
    """Poses ``(B, 4, 4)`` turned about random axes by small angles of ``spread_rad`` per axis."""
    angles = spread_rad * torch.randn(len(pose), 3, device=pose.device)
    x, y, z = angles.unbind(1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=1).view(-1, 3, 3)
    result = pose.clone()
    result[:, :3, :3] = torch.linalg.matrix_exp(cross) @ pose[:, :3, :3]
    return result


def draw_coarse_estimate(
    tcp_camera: Tensor, window: Tensor, intrinsics: Tensor, image_px: Tensor, error: GlanceError
) -> Tensor:
    """Camera-frame coarse estimates ``(B, 3)`` m that could have chosen the windows that were drawn.

    A window is centred on the estimate's whole pixel, so the estimate's pixel is known to half a pixel; but at the
    image's edge windows are pushed inwards, and say nothing about the pixel along that axis.

    Args:
        tcp_camera: ``(B, 3)`` m, the truth in the camera's frame.
        window: ``(B, 4)`` px.
        intrinsics: ``(B, 4)`` px.
        image_px: ``(B, 2)`` width and height of the native image.
        error: the glance's.
    """
    corner, extent = window[:, :2], window[:, 2:]
    pushed = (corner <= -0.5) | (corner + extent >= image_px - 0.5)
    centred = corner + extent / 2 + torch.rand_like(corner) - 0.5
    across_px = error.across_m * intrinsics[:, :2] / tcp_camera[:, 2:]
    guessed = project(tcp_camera, intrinsics) + across_px * torch.randn_like(corner)
    # No look answers metres beside its picture; the few estimates that far out would dominate the batch's statistics.
    guessed = torch.minimum(torch.maximum(guessed, -BESIDE * image_px), (1 + BESIDE) * image_px)
    pixel = torch.where(pushed, guessed, centred)
    bad = torch.rand(len(window), 1, device=window.device) < error.tail_share
    spread = torch.where(bad, error.tail_distance_m, error.distance_m)
    return backproject(
        pixel, tcp_camera[:, 2:] + spread * torch.randn(len(window), 1, device=window.device), intrinsics
    )
