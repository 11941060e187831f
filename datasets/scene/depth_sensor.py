r"""Noise of a stereo depth camera (Intel RealSense D435) on a clean depth image.

The sensor measures disparity :math:`d = f B / z`, px of its own imager. Its errors are errors of d, so that they grow
with the square of distance when seen as depth:

.. math:: \sigma_z = \frac{z^2}{f B} \sigma_d

Terms and their sources:

- *Subpixel noise*: :math:`\sigma_d = 0.08` px, :math:`f = 385` px at 640x480, :math:`B = 50` mm
  (Intel, "Tuning depth cameras for best performance": RMS error = distance^2 x subpixel / (focal length x baseline)).
- *Correlation*: matching compares patches, so neighbouring errors agree; a Gaussian of 1.5 px (*assumed: depth-noise*).
- *Quantization*: disparity in steps of 1/32 px (Intel, D400 series datasheet: 5 fractional bits).
- *Shadow*: what the left imager sees and the right does not has no match; the region's geometry follows from B
  (Intel, "Depth post-processing for RealSense D400": the invalid band on the left of near objects).
- *Holes at edges*: a patch across a depth step often finds no match; 40 % of such pixels (*assumed: depth-noise*).
- *Holes on dark and on shining surfaces*: the projected pattern is absorbed or drowned; 30 % of such pixels
  (*assumed: depth-noise*).
- *Isolated holes*: 0.5 % of all others (*assumed: depth-noise*).
"""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

IMAGER_FOCAL_PX = 385.0
BASELINE_M = 0.050
SUBPIXEL_PX = 0.08
DISPARITY_STEP_PX = 1 / 32
CORRELATION_PX = 1.5
EDGE_STEP_FRACTION = 0.02
EDGE_LOSS = 0.4
DARK_OR_SHINING_LOSS = 0.3
ISOLATED_LOSS = 0.005
DARK, SHINING = 11, 251  # at most and at least, in all three colours

_POOL_PX = 1024


def add_depth_noise(
    depth_m: NDArray[np.float32],
    rgb: NDArray[np.uint8],
    focal_px: float,
    level: float,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """A depth image ``(H, W)`` m as the sensor would give it; 0 where there is no reading.

    Args:
        depth_m: clean depth, 0 where there is none.
        rgb: the colour image ``(H, W, 3)`` that decides what is dark or shining.
        focal_px: focal length of this image, px: tells how its pixels relate to the imager's.
        level: scales noise and losses; 0 returns the image unchanged, 1 is the sensor as documented.
        rng: source of all randomness.
    """
    if level <= 0:
        return depth_m
    scale = np.float32(focal_px / IMAGER_FOCAL_PX)
    seen = depth_m > 0
    disparity = np.divide(IMAGER_FOCAL_PX * BASELINE_M, depth_m, out=np.zeros_like(depth_m), where=seen)

    shape = depth_m.shape
    corners = rng.integers(0, _POOL_PX - np.array(shape) + 1, size=(4, 2))
    edge_loss = EDGE_LOSS * min(level, 1.5) * min(float(scale), 1.0)  # a coarse pixel holds more than its edge
    lost = _edges(disparity) & (_crop(_uniform_pool(), shape, corners[0]) < edge_loss)
    dark, shining = cv2.inRange(rgb, (0, 0, 0), (DARK,) * 3), cv2.inRange(rgb, (SHINING,) * 3, (255,) * 3)
    fickle = cv2.bitwise_or(dark, shining) > 0
    lost |= fickle & (_crop(_uniform_pool(), shape, corners[1]) < DARK_OR_SHINING_LOSS * level)
    lost |= _crop(_uniform_pool(), shape, corners[2]) < ISOLATED_LOSS * level
    lost |= _shadow(disparity * scale)

    sigma_px = round(CORRELATION_PX * float(scale), 1)
    disparity += level * SUBPIXEL_PX * _crop(_noise_pool(sigma_px), shape, corners[3])
    disparity = np.rint(disparity / DISPARITY_STEP_PX) * DISPARITY_STEP_PX
    seen &= ~lost & (disparity > DISPARITY_STEP_PX)
    noisy = np.divide(IMAGER_FOCAL_PX * BASELINE_M, disparity, out=np.zeros_like(disparity), where=seen)
    return noisy.astype(np.float32, copy=False)


def _edges(disparity_px: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Pixels beside a step in depth of more than 2 %.

    The second difference of disparity vanishes on every plane, however steeply it is seen.
    """
    bend = np.abs(cv2.Laplacian(disparity_px, cv2.CV_32F, borderType=cv2.BORDER_REPLICATE))
    return bend > EDGE_STEP_FRACTION * disparity_px


def _shadow(disparity_px: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Pixels of the left view that a nearer surface hides from the right one; disparity in px of this image."""
    columns = np.arange(disparity_px.shape[1], dtype=np.float32)
    right_column = columns - disparity_px
    nearest_from_right = np.minimum.accumulate(right_column[:, ::-1], axis=1)[:, ::-1]
    return nearest_from_right < right_column - 0.5


def _crop(pool: NDArray[np.float32], shape: tuple[int, ...], corner: NDArray[np.int64]) -> NDArray[np.float32]:
    row, column = corner
    return pool[row : row + shape[0], column : column + shape[1]]


@lru_cache(maxsize=1)
def _uniform_pool() -> NDArray[np.float32]:
    return np.random.default_rng(0).random((_POOL_PX, _POOL_PX), dtype=np.float32)


@lru_cache(maxsize=16)
def _noise_pool(sigma_px: float) -> NDArray[np.float32]:
    """Unit-variance noise whose neighbours agree over ``sigma_px``; white below half a pixel."""
    noise = np.random.default_rng(1).standard_normal((_POOL_PX, _POOL_PX), dtype=np.float32)
    if sigma_px >= 0.5:
        cv2.GaussianBlur(noise, (0, 0), sigma_px, dst=noise)
    return noise / noise.std()
