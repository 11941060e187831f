r"""What a stereo depth camera (Intel RealSense D435) makes of a clean depth image.

The sensor measures disparity :math:`d = f B / z`, px of its own imager. Its errors are errors of d, so that they grow
with the square of distance when seen as depth:

.. math:: \sigma_z = \frac{z^2}{f B} \sigma_d

*Errors of one camera*, which no average over pixels removes (:class:`DepthError`): scale and offset (vendor's bound:
2 % at 2 m; one D435 out of its box read 980.7 mm at 1000 mm), and a slow warp, a smooth error of disparity
(*assumed: depth-noise* in shape and size).

*Errors of one picture*, with their sources. "Fitted" means: to the difference of two successive raw frames of a D435 in
the unit tests of librealsense (``single_depth_color_640x480.bag``, f 390 px, B 50.2 mm).

- *Noise by range*: :data:`NOISE_PX`; fitted.
- *Correlation*: a mixture of Gaussian correlations, :data:`CORRELATION_PX` with :data:`CORRELATION_SHARE`; fitted.
- *Flicker*: readings come and go beside pixels that never have one, and seldom elsewhere; fitted.
- *Quantization*: disparity in steps of 1/32 px (Intel, D400 series datasheet: 5 fractional bits).
- *Shadow*: what the left imager sees and the right does not has no match; the region's geometry follows from B
  (Intel, "Depth post-processing for RealSense D400": the invalid band on the left of near objects).
- *Never valid at edges*: a patch across a depth step often finds no match; 40 % of such pixels
  (*assumed: depth-noise*).
- *Flying pixels*: a patch across a depth step that finds a match reads a depth between both; 30 % of such pixels
  (*assumed: depth-noise*).
- *Fattening*: a patch that holds a near edge and a wall without texture matches by the edge, so a near surface reads
  some pixels wider than it is, in places (Scharstein and Szeliski, IJCV 47, 2002, on windows of block matching; how
  far, and in how many places, *assumed: depth-fattening*). Only where a randomization asks for it.
- *Waves*: where a surface has little texture a match slides to and fro slowly, so that what is smooth reads wavy
  (height and length *assumed: depth-waves*). Only where a randomization asks for it.
- *Never valid on black and on white gloss*: the projected pattern is absorbed or drowned; 30 % of such pixels
  (*assumed: depth-noise*).
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from datasets.rig.projection import Array, Intrinsics
from datasets.scene.randomization import CALIBRATED_DEPTH, DepthErrorRandomization

IMAGER_FOCAL_PX = 385.0
BASELINE_M = 0.050
DISPARITY_STEP_PX = 1 / 32
NOISE_PX = {0.4: 0.092, 0.6: 0.065, 0.8: 0.067, 1.0: 0.098, 1.25: 0.107, 1.6: 0.123, 2.0: 0.127, 2.6: 0.195}
"""Standard deviation of disparity, px, at distances in m; linear between them."""
CORRELATION_PX = (0.4, 3.5, 5.0, 10.0)
CORRELATION_SHARE = (0.06, 0.36, 0.53, 0.05)
r"""Share of the variance whose correlation over r px is :math:`e^{-r^2 / 4 s^2}`, s of ``CORRELATION_PX``."""
WAVE_CORRELATION_PX = 20.0
"""s of the waves' correlation, as above: a wave is as long as an arm's link is wide in the image."""
EDGE_STEP_FRACTION = 0.02
EDGE_LOSS = 0.4
FLYING = 0.3
DARK_OR_SHINING_LOSS = 0.3
FLICKER_BESIDE_LOST = 0.3
FLICKER_ELSEWHERE = 0.003
DARK, SHINING = 11, 251  # at most and at least, in all three colours

_POWERS_X, _POWERS_Y = [1, 0, 2, 1, 0, 3, 2, 1, 0], [0, 1, 0, 1, 2, 0, 1, 2, 3]  # of the warp's terms
_RAY_LIMIT = 0.85  # the edge of the widest image: 320 px of a focal length of 380 px
_POOL_PX = (1024, 1536)
_POOL_STEP = 1.2  # ratio of the sizes of pixels for which there are pools
_BESIDE = np.ones((3, 3), np.uint8)
_TINY_M = np.float32(1e-3)
_RANGE_STEPS = 32  # per metre
_NOISE_TABLE = np.interp(np.arange(8 * _RANGE_STEPS + 1) / _RANGE_STEPS, [*NOISE_PX], [*NOISE_PX.values()]).astype("f4")


@dataclass(frozen=True)
class DepthError:
    r"""The error that one camera makes in all its pictures: z is read as :math:`z + s z + o + z^2 w(x, y)`.

    Attributes:
        scale: s; 0.01 reads one hundredth too far.
        offset_m: o.
        warp_m: coefficients, m, of w: those of x, y, x², xy, y², x³, x²y, xy² and y³, where x and y of the ray
            (x, y, 1) are divided by 0.85, their value at the image's edge. w is the error at 1 m. Empty: no warp.
    """

    scale: float = 0.0
    offset_m: float = 0.0
    warp_m: tuple[float, ...] = ()


NO_ERROR = DepthError()


def sample_depth_error(rng: np.random.Generator, ranges: DepthErrorRandomization) -> DepthError:
    """One camera's error; its warp reaches at most ``ranges.warp_m`` within the image, at 1 m."""
    bounds = np.array([ranges.scale_fraction, ranges.offset_m, ranges.warp_m])
    if rng.random() >= ranges.share:
        bounds = np.minimum(bounds, CALIBRATED_DEPTH)
    scale, offset, warp = bounds
    warp_m = sample_warp(rng, warp)
    return DepthError(
        scale=float(rng.uniform(-scale, scale)), offset_m=float(rng.uniform(-offset, offset)), warp_m=warp_m
    )


def sample_warp(rng: np.random.Generator, limit_m: float) -> tuple[float, ...]:
    """A slow warp, :attr:`DepthError.warp_m`, of less than ``limit_m`` within the widest image, at 1 m."""
    terms, edge = rng.uniform(-1, 1, len(_POWERS_X)), np.linspace(-1, 1, 9)
    largest = np.abs(_polynomial(terms, edge, edge)).max()
    terms *= limit_m * rng.random() / largest
    return tuple(terms.tolist())


def warp_of_size(rng: np.random.Generator, size_m: float, k: Intrinsics) -> tuple[float, ...]:
    """A slow warp whose largest size within the image of a camera ``k`` is ``size_m``, at 1 m."""
    terms = rng.uniform(-1, 1, len(_POWERS_X))
    largest = np.abs(_polynomial(terms, *_rays(k))).max()
    return tuple((terms * size_m / largest).tolist())


def measured_depth(
    depth_m: NDArray[np.float32],
    rgb: NDArray[np.uint8],
    intrinsics: Intrinsics,
    level: float,
    error: DepthError,
    rng: np.random.Generator,
    fattening_px: float = 0.0,
    waves_px: float = 0.0,
) -> NDArray[np.float32]:
    """A depth image ``(H, W)`` m as the sensor would give it; 0 where there is no reading.

    Args:
        depth_m: clean depth, 0 where there is none.
        rgb: the colours ``(H, W, 3)`` that decide what is dark or shining.
        intrinsics: of this image, which may be a window of the camera's at any resolution.
        level: scales noise and losses; with 0 only the camera's own error remains, 1 is a D435 as measured.
        error: the camera's own error.
        rng: source of all randomness.
        fattening_px: how far near surfaces read beyond their edges, pixels of the imager.
        waves_px: standard deviation of the slow waves' disparity, pixels of the imager.
    """
    depth_m = _misread(depth_m, intrinsics, error)
    if level <= 0:
        return depth_m
    scale = intrinsics.fx / IMAGER_FOCAL_PX  # pixels of this image per pixel of the imager
    if fattening_px > 0:
        depth_m = _fattened(depth_m, fattening_px * scale, _pool_index(scale), rng)
    fine = min(scale, 1.0)  # a coarse pixel holds more than its edge
    seen = depth_m > 0
    disparity: NDArray[np.float32] = (
        np.float32(IMAGER_FOCAL_PX * BASELINE_M) / np.maximum(depth_m, _TINY_M) * seen
    ).astype(np.float32, copy=False)

    shape = depth_m.shape
    corners = rng.integers(0, np.array(_POOL_PX) - shape + 1, size=(4, 2))
    edges = _edges(disparity)
    chance = _crop(_uniform_pool(), shape, corners[0])
    lost = edges & (chance < EDGE_LOSS * min(level, 1.5) * fine)
    dark, shining = cv2.inRange(rgb, (0, 0, 0), (DARK,) * 3), cv2.inRange(rgb, (SHINING,) * 3, (255,) * 3)
    fickle = cv2.bitwise_or(dark, shining).view(bool)
    lost |= fickle & (_crop(_uniform_pool(), shape, corners[1]) < DARK_OR_SHINING_LOSS * level)
    lost |= _shadow(disparity * np.float32(scale))
    chance_of_flicker = _crop(_uniform_pool(), shape, corners[2])
    beside = cv2.dilate(lost.view(np.uint8), _BESIDE).view(bool)
    lost |= beside & (chance_of_flicker < FLICKER_BESIDE_LOST * fine * level)
    lost |= chance_of_flicker < FLICKER_ELSEWHERE * level

    np.copyto(disparity, cv2.blur(disparity, (3, 3)), where=edges & (chance > 1 - FLYING * min(level, 1.5)))
    sigma = _NOISE_TABLE.take((depth_m * np.float32(_RANGE_STEPS)).astype(np.int32), mode="clip")
    sigma *= _crop(_noise_pool(_pool_index(scale)), shape, corners[3])
    sigma *= np.float32(level)
    disparity += sigma
    if waves_px > 0:
        corner = rng.integers(0, np.array(_POOL_PX) - shape + 1)
        disparity += np.float32(waves_px) * _crop(_wave_pool(_pool_index(scale)), shape, corner)
    disparity *= np.float32(1 / DISPARITY_STEP_PX)
    np.rint(disparity, out=disparity)
    seen &= ~lost
    seen &= disparity > 1
    noisy = np.float32(IMAGER_FOCAL_PX * BASELINE_M / DISPARITY_STEP_PX) / np.maximum(disparity, 1) * seen
    return noisy.astype(np.float32, copy=False)


def seen_at(point_camera: Array, error: DepthError) -> Array:
    """Where a camera with this error sees a camera-frame point ``(3,)`` m: nearer or farther along its ray."""
    x, y, z = (float(value) for value in point_camera)
    pixel = Intrinsics(1, 1, 1.0, 1.0, -x / z, -y / z)
    misread = _misread(np.full((1, 1), z, np.float32), pixel, error)[0, 0]
    return np.asarray(point_camera, dtype=float) * float(misread) / z


def _misread(depth_m: NDArray[np.float32], k: Intrinsics, error: DepthError) -> NDArray[np.float32]:
    if error == NO_ERROR:
        return depth_m
    misread = depth_m * np.float32(1 + error.scale)
    if error.warp_m:
        misread += depth_m * depth_m * _polynomial(error.warp_m, *_rays(k))
    misread += np.float32(error.offset_m)
    return (np.maximum(misread, 0) * (depth_m > 0)).astype(np.float32, copy=False)


def _rays(k: Intrinsics) -> tuple[Array, Array]:
    """The warp's x ``(W,)`` and y ``(H,)`` of an image's columns and rows."""
    return (np.arange(k.width) - k.cx) / (_RAY_LIMIT * k.fx), (np.arange(k.height) - k.cy) / (_RAY_LIMIT * k.fy)


def _polynomial(coefficients: ArrayLike, x: Array, y: Array) -> NDArray[np.float32]:
    """The sum of ``coefficients`` by the warp's terms on the grid of ``x`` ``(W,)`` and ``y`` ``(H,)``: ``(H, W)``."""
    square = np.zeros((4, 4), np.float32)
    square[_POWERS_Y, _POWERS_X] = coefficients
    return (_powers(y).T @ square @ _powers(x)).astype(np.float32, copy=False)


def _powers(values: Array) -> NDArray[np.float32]:
    """The powers 0 to 3 of ``N`` values, ``(4, N)``."""
    powers = np.ones((4, len(values)), np.float32)
    powers[1] = values
    np.multiply(values, values, out=powers[2], casting="same_kind")
    np.multiply(powers[2], powers[1], out=powers[3])
    return powers


def _edges(disparity_px: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Pixels beside a step in depth of more than 2 %.

    The second difference of disparity vanishes on every plane, however steeply it is seen.
    """
    bend = np.abs(cv2.Laplacian(disparity_px, cv2.CV_32F, borderType=cv2.BORDER_REPLICATE))
    return bend > EDGE_STEP_FRACTION * disparity_px


def _fattened(
    depth_m: NDArray[np.float32], reach_px: float, pool: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """What lies behind a nearer surface and within ``reach_px`` of it reads as that surface, in about half the places.

    Places are patches as wide as the noise is correlated; their share is drawn for each picture.
    """
    size = 2 * round(reach_px) + 1
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    nearness = 1 / np.maximum(depth_m, _TINY_M) * (depth_m > 0)
    nearest = cv2.dilate(nearness, disk, borderType=cv2.BORDER_REPLICATE)
    corner = rng.integers(0, np.array(_POOL_PX) - depth_m.shape + 1)
    patches = _crop(_noise_pool(pool), depth_m.shape, corner) > rng.uniform(-1, 1)
    grown = patches & (nearest * (1 - EDGE_STEP_FRACTION) > nearness)
    return np.where(grown, 1 / np.maximum(nearest, np.float32(1e-6)), depth_m).astype(np.float32, copy=False)


def _shadow(disparity_px: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Pixels of the left view that a nearer surface hides from the right one; disparity in px of this image."""
    columns = np.arange(disparity_px.shape[1], dtype=np.float32)
    right_column = columns - disparity_px
    nearest_from_right = np.minimum.accumulate(right_column[:, ::-1], axis=1)[:, ::-1]
    return nearest_from_right < right_column - 0.5


def _crop(pool: NDArray[np.float32], shape: tuple[int, ...], corner: NDArray[np.int64]) -> NDArray[np.float32]:
    row, column = corner
    return pool[row : row + shape[0], column : column + shape[1]]


def _pool_index(scale: float) -> int:
    return round(math.log(scale, _POOL_STEP))


@lru_cache(maxsize=1)
def _uniform_pool() -> NDArray[np.float32]:
    return np.random.default_rng(0).random(_POOL_PX, dtype=np.float32)


@lru_cache(maxsize=24)
def _noise_pool(index: int) -> NDArray[np.float32]:
    """Unit-variance noise with the sensor's correlation, where a pixel of the imager is ``1.2 ** index`` of these."""
    return _correlated(1, index, CORRELATION_PX, CORRELATION_SHARE)


@lru_cache(maxsize=24)
def _wave_pool(index: int) -> NDArray[np.float32]:
    """Unit-variance waves, in pixels of the same size as :func:`_noise_pool`'s."""
    return _correlated(2, index, (WAVE_CORRELATION_PX,), (1.0,))


def _correlated(seed: int, index: int, lengths_px: tuple[float, ...], shares: tuple[float, ...]) -> NDArray[np.float32]:
    spectrum = np.fft.rfft2(np.random.default_rng(seed).standard_normal(_POOL_PX, dtype=np.float32))
    frequency = np.hypot(np.fft.fftfreq(_POOL_PX[0])[:, None], np.fft.rfftfreq(_POOL_PX[1]))
    power = np.zeros_like(frequency)
    for correlation_px, share in zip(lengths_px, shares, strict=True):
        component = np.exp(-((2 * np.pi * correlation_px * _POOL_STEP**index * frequency) ** 2))
        power += share * component / component.mean()
    noise = np.fft.irfft2(spectrum * np.sqrt(power), s=_POOL_PX).astype(np.float32)
    return noise / noise.std()
