"""What stands still behind the arm, according to all captures together, and where the arm hides it."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from datasets.rig.projection import Array
from perception.calibration.registration.posture import Posture

FARTHER_SHARE = 0.7
"""Quantile of depth that counts as background. The arm is always nearer than what it hides, so a far quantile stays
right where the arm hides a pixel too often for the median."""
NEARER_M = 0.02
NEARER_PER_M = 0.025
"""A reading is nearer if it is so by 20 mm + 25 mm x (distance / m)^2: about five deviations of a D435's noise."""
UNREAD_M, SELDOM = 20.0, 0.2
"""The distance given to pixels that have a reading in less than this share of their frames: sky, black, far away."""
SMALLEST_PIECE, ARM_DEPTH_M = 0.03, 1.0
"""A moving piece below this share of the largest one, or farther from it than an arm is long (m), is not the arm."""
LEAST_COLOUR_STEP = 18.0
"""Grey levels, root sum of squares over the channels; fainter differences are light and noise as often as the arm."""

_NEARBY = np.ones((9, 9), np.uint8)


@dataclass(frozen=True)
class Background:
    """What stands still in the captures.

    Attributes:
        depth: ``(H, W)`` m, 0 where unknown, ``UNREAD_M`` where nothing is read.
        rgb: ``(H, W, 3)``.
        seen: ``(H, W)``, in how many frames.
    """

    depth: NDArray[np.float32]
    rgb: NDArray[np.float32]
    seen: NDArray[np.intp]

    def nearer(self, depth: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Where a frame's depth ``(H, W)`` m is surely nearer than the background."""
        return (depth > 0) & (self.depth > 0) & (depth < self.depth - nearer_by(self.depth))

    def evidence(self, posture: Posture) -> NDArray[np.float32]:
        """How surely each pixel is arm ``(H, W)``, -1 background .. 1 arm, 0 where nothing is known.

        Colour shows edges exact to the pixel. Depth decides where the colours are alike and so show no edges.
        """
        if posture.mask is not None:
            return np.where(posture.mask, np.float32(1), np.float32(-1))
        depth, rgb = posture.frame.depth, posture.frame.rgb.astype(np.float32)
        step = rgb - self.rgb
        there, known = _inner_mean(rgb, np.linalg.norm(step, axis=2) > 2 * LEAST_COLOUR_STEP)
        # Along the step from the background to the arm nearby: a blurred edge lies at half of this step.
        whole = np.where(known[..., None], there - self.rgb, step)
        height = np.linalg.norm(whole, axis=2)
        along = np.einsum("hwc,hwc->hw", step, whole) / np.maximum(height, 1)
        by_colour = np.clip(along / np.maximum(np.where(known, height / 2, 0), LEAST_COLOUR_STEP) - 1, -0.35, 1)
        both = (depth > 0) & (self.depth > 0)
        nearest = cv2.erode(np.where(depth > 0, depth, self.depth), _NEARBY)
        half = np.maximum(self.depth - nearest, nearer_by(self.depth)) / 2
        by_depth = np.where(both, np.clip((self.depth - depth) / np.maximum(half, 1e-3) - 1, -1, 1), 0)
        evidence = np.where(np.abs(by_colour) > 0.5, by_colour, np.clip(by_colour + by_depth, -1, 1))
        return np.where(self.seen > 0, evidence, 0).astype(np.float32)


def _inner_mean(rgb: NDArray[np.float32], arm: NDArray[np.bool_]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The mean colour ``(H, W, 3)`` of what is surely arm nearby, less its blurred rim, and where there is any."""
    inner = cv2.erode(arm.astype(np.float32), np.ones((3, 3)))
    count = cv2.boxFilter(inner, -1, _NEARBY.shape, normalize=False)
    mean = cv2.boxFilter(rgb * inner[..., None], -1, _NEARBY.shape, normalize=False) / np.maximum(count, 1)[..., None]
    return mean.astype(np.float32), count > 0


def nearer_by(depth_m: NDArray[np.float32]) -> NDArray[np.float32]:
    """The least step in depth that is not noise, m."""
    return np.asarray(NEARER_M + NEARER_PER_M * depth_m**2, dtype=np.float32)


def see_background(postures: Sequence[Posture], arms: Sequence[NDArray[np.bool_]] | None = None) -> Background:
    """What lies behind the arm.

    Args:
        postures: of one camera that stood still.
        arms: where the arm is in each frame ``(H, W)``, with a margin; unknown at first.
    """
    depth = np.stack([posture.frame.depth for posture in postures])
    rgb = np.stack([posture.frame.rgb for posture in postures])
    free = np.ones(depth.shape, dtype=bool) if arms is None else ~np.stack(arms)
    read = free & (depth > 0)
    behind = _quantile(depth, read, FARTHER_SHARE if arms is None else 0.5)
    seldom = read.sum(axis=0) < (0.5 if arms is None else SELDOM) * free.sum(axis=0)
    behind = np.where(seldom, UNREAD_M, behind)
    if arms is None:
        free = ~((depth > 0) & (depth < behind - nearer_by(behind)))
    colour = np.stack([_quantile(rgb[..., channel], free, 0.5) for channel in range(3)], axis=-1)
    return Background(behind.astype(np.float32), colour.astype(np.float32), free.sum(axis=0))


def moving(background: Background, posture: Posture) -> NDArray[np.bool_]:
    """Where the arm hides the background by depth alone ``(H, W)``, or where its mask has a reading.

    Of all that moved, it keeps the largest piece, and pieces that are large and near enough to be another part of the
    arm: the readings' noise makes far walls seem to move in specks.
    """
    depth = posture.frame.depth
    if posture.mask is not None:
        return posture.mask & (depth > 0)
    near = cv2.morphologyEx(background.nearer(depth).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, pieces, figures, _ = cv2.connectedComponentsWithStats(near)
    area = figures[:, cv2.CC_STAT_AREA].copy()
    area[0] = 0
    largest = int(np.argmax(area))
    if not area[largest]:
        return near > 0
    distance = np.bincount(pieces.ravel(), depth.ravel(), count) / np.maximum(figures[:, cv2.CC_STAT_AREA], 1)
    kept = (area > SMALLEST_PIECE * area[largest]) & (np.abs(distance - distance[largest]) < ARM_DEPTH_M)
    return kept[pieces]


def _quantile(values: NDArray[np.generic], kept: NDArray[np.bool_], share: float) -> Array:
    """Quantile over the first axis, of the kept values alone; 0 where there are none."""
    ordered = np.sort(np.where(kept, values, np.inf).astype(np.float32), axis=0)
    count = kept.sum(axis=0)
    index = np.ceil(share * np.maximum(count - 1, 0) - 1e-9).astype(np.intp)
    return np.where(count > 0, np.take_along_axis(ordered, index[None], axis=0)[0], 0)
