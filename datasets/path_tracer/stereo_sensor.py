r"""An RGB-D camera of another make than training's: how it turns light and distance into images.

It was written independently of :mod:`datasets.scene.depth_sensor`, and differs on purpose. Every figure is invented,
except where a source is given here. Depth comes from disparity :math:`d = f B / z`, as in any stereo camera. Where
training's sensor has other errors, this one has:

- *Steps* of 1/16 px, the four fractional bits of semi-global matchers such as OpenCV's: twice as coarse.
- *Noise* of 0.10 px, as two raw frames of a real camera differ at 0.9 to 1.1 m, over windows of 7 px as a block matcher
  averages (training: a Gaussian of 1.5 px), and a quarter of its variance from pixel to pixel with heavy tails.
- *Calibration* as a careful laboratory leaves it: scale within 0.3 %, a bend of 0.6 mm over 40 px (drawn picture by
  picture).
- *Edges*: the matcher's window lets near surfaces grow by up to 2 px in a wavy line, and a fifth of what lies along it
  hangs between the surfaces (training: random holes).
- *Shadow* on the right of near surfaces: the second imager stands on the other side.
- *Holes* in patches of a few px, not single pixels, more of them where the pattern comes back faintly: dark, steep.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from datasets.rig.projection import Array, Intrinsics

IMAGER_FOCAL_PX = 400.0
BASELINE_M = 0.055
DISPARITY_STEP_PX = 1 / 16
DISPARITY_SIGMA_PX = 0.10
PIXEL_SHARE = 0.25
MATCH_WINDOW_PX = 7
SCALE_LIMIT = 0.003
BEND_M, BEND_PX = 0.0006, 40.0
GROWTH_PX = 2
FLYING_SHARE = 0.2
EDGE_STEP_FRACTION = 0.03
HOLE_PX = 2.0
HOLE_SHARE, FAINT_HOLE_SHARE = 0.01, 0.15
FAINT = 0.03
"""If a smaller share of the light comes back, the pattern is hardly seen."""
_LUMA = np.array([0.2126, 0.7152, 0.0722])

Image = NDArray[np.float32]


def develop(light: Array, exposure: float, camera: np.random.Generator, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The 8-bit picture ``(H, W, 3)`` of linear ``light``: lens, white balance, shot noise, tone, chroma at half width.

    Args:
        light: ``(H, W, 3)`` linear, any unit.
        exposure: factor that brings the scene's middle grey to 0.18.
        camera: decides what stays the same from picture to picture of this camera.
        rng: decides what changes from picture to picture.
    """
    balance = np.array([camera.uniform(0.9, 1.1), 1, camera.uniform(0.9, 1.1)])
    gain = exposure * np.exp2(camera.uniform(-0.7, 1.0)) * balance
    electrons = camera.uniform(500, 5000)  # at white
    linear = cv2.GaussianBlur(light * gain, (0, 0), 0.5).clip(0, 4)
    linear += np.sqrt(linear / electrons + 2e-6) * rng.standard_normal(linear.shape)
    linear = linear.clip(0, 1)
    tone = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-4) ** (1 / 2.4) - 0.055)
    rgb = np.rint(255 * tone).astype(np.uint8)
    luma, *chroma = cv2.split(cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb))
    height, width = luma.shape
    halved = [cv2.resize(c, (width // 2, height), interpolation=cv2.INTER_AREA) for c in chroma]
    chroma = [cv2.resize(c, (width, height), interpolation=cv2.INTER_NEAREST) for c in halved]
    return cv2.cvtColor(cv2.merge([luma, *chroma]), cv2.COLOR_YCrCb2RGB).astype(np.uint8)


def read_depth(
    depth_m: Image,
    rgb: NDArray[np.uint8],
    k: Intrinsics,
    level: float,
    camera: np.random.Generator,
    rng: np.random.Generator,
) -> Image:
    """A depth image ``(H, W)`` m as this sensor gives it; 0 where there is no reading.

    Args:
        depth_m: true depth, 0 where there is nothing.
        rgb: the colour image ``(H, W, 3)``, whose dark parts return the pattern faintly.
        k: intrinsics of this image.
        level: scales noise and losses; 0 returns the image unchanged, 1 is the sensor as described above.
        camera: decides what stays the same from picture to picture of this camera.
        rng: decides what changes from picture to picture.
    """
    if level <= 0:
        return depth_m
    scale = k.fx / IMAGER_FOCAL_PX
    shape = depth_m.shape
    stretch = 1 + level * camera.uniform(-SCALE_LIMIT, SCALE_LIMIT)
    knots = [int(np.ceil(side / (BEND_PX * scale))) + 1 for side in shape]
    bend = level * BEND_M * cv2.resize(rng.standard_normal(knots), shape[::-1], interpolation=cv2.INTER_CUBIC)
    depth, edge = _grown(depth_m, scale, level, rng)
    seen = depth > 0
    constant = IMAGER_FOCAL_PX * BASELINE_M
    disparity = constant / np.where(seen, depth * stretch + bend, np.inf)

    lost = _hidden_from_the_right(disparity * scale)
    normal_z = 1 / np.sqrt(1 + sum((k.fx * g / np.maximum(depth, 0.1)) ** 2 for g in np.gradient(depth)))
    faint = ((rgb / 255.0) ** 2.2 @ _LUMA) * normal_z < FAINT
    share = level * np.where(faint & ~edge, FAINT_HOLE_SHARE, HOLE_SHARE)
    lost |= _uniform(_lumps(rng, shape, HOLE_PX * scale)) < share

    window = max(1, round(MATCH_WINDOW_PX * scale))
    averaged = cv2.blur(rng.standard_normal(shape), (window, window), borderType=cv2.BORDER_REFLECT) * window
    single = rng.standard_t(4, shape) / np.sqrt(2)
    noise = np.sqrt(1 - PIXEL_SHARE) * averaged + np.sqrt(PIXEL_SHARE) * single
    disparity = disparity + level * DISPARITY_SIGMA_PX * noise
    disparity = np.rint(disparity / DISPARITY_STEP_PX) * DISPARITY_STEP_PX
    seen &= ~lost & (disparity > DISPARITY_STEP_PX)
    return np.divide(constant, disparity, out=np.zeros(shape), where=seen).astype(np.float32)


def _grown(
    depth: Image, scale: float, level: float, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Depth in which near surfaces have grown over far ones, with flying pixels; and where that has happened."""
    far = np.where(depth > 0, depth, 20.0).astype(np.float64)
    reach = GROWTH_PX * scale * min(level, 1.0) * _uniform(_lumps(rng, depth.shape, 3 * scale))
    grown = far.copy()
    for radius in range(1, int(np.ceil(GROWTH_PX * scale)) + 1):
        near = cv2.erode(far, np.ones((2 * radius + 1, 2 * radius + 1), np.uint8))
        grown = np.where(reach >= radius, near, grown)
    edge = far - grown > EDGE_STEP_FRACTION * grown
    grown = np.where(edge, grown, far)
    flying = edge & (rng.random(depth.shape) < FLYING_SHARE * level)
    grown = np.where(flying, grown + rng.random(depth.shape) * (np.minimum(far, 3.0) - grown).clip(0), grown)
    return np.where(grown < 19.0, grown, 0.0), edge


def _hidden_from_the_right(disparity_px: Array) -> NDArray[np.bool_]:
    """Pixels that a nearer surface to their left hides from an imager on the right; disparity in px of this image."""
    column = np.arange(disparity_px.shape[1]) + disparity_px
    return np.maximum.accumulate(column, axis=1) > column + 1.0


def _lumps(rng: np.random.Generator, shape: tuple[int, ...], sigma_px: float) -> Array:
    """Unit-variance noise that is smooth over ``sigma_px``."""
    sigma_px = max(sigma_px, 0.6)
    margin = int(np.ceil(3 * sigma_px))
    wide = rng.standard_normal((shape[0] + 2 * margin, shape[1] + 2 * margin))
    smooth = cv2.GaussianBlur(wide, (0, 0), sigma_px)[margin : margin + shape[0], margin : margin + shape[1]]
    return smooth * 2 * np.sqrt(np.pi) * sigma_px


def _uniform(normal: Array) -> Array:
    """Standard normal values as their quantiles 0..1 (logistic approximation, within 0.01)."""
    return 1 / (1 + np.exp(-1.702 * normal))
