r"""What a colour camera makes of the light: exposure, white balance, vignetting, blur, noise, tone curve, chroma.

The steps follow the light's way (Karaimer & Brown 2016, "A software platform for manipulating the camera imaging
pipeline"): lens and sensor in linear intensity, then the camera's own processing,

.. math:: v = \big(g\, w_c\, (1 - a r^2)\, l + n\big)^{\gamma}

with the drawn colour :math:`l`, gain :math:`g`, white balance :math:`w_c`, vignetting :math:`a` at the radius :math:`r`
(1 at the image's corner), noise :math:`n` and the tone curve's :math:`\gamma`; what exceeds 1 is cut off.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from datasets.rig.projection import Intrinsics
from datasets.scene.randomization import ImageRandomization

_POOL_PX = 1536


@dataclass(frozen=True)
class ImageFormation:
    """How one camera turns light into a picture in one scene.

    Attributes:
        gain: exposure, relative to the drawn colours.
        balance: white balance ``(3,)``, factors on red, green and blue.
        vignetting: share of the light that is missing in the image's corner.
        gamma: exponent of the tone curve.
        blur_px: standard deviation of the lens's and the demosaicing's blur, native px.
        sharpening: of the camera's unsharp mask, 0 none.
        noise: standard deviation at full intensity, share of it; it falls with the root of the intensity.
        chroma_halved: colour at half the resolution of brightness (YUYV and JPEG, 4:2:x).
    """

    gain: float = 1.0
    balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    vignetting: float = 0.0
    gamma: float = 1.0
    blur_px: float = 0.0
    sharpening: float = 0.0
    noise: float = 0.0
    chroma_halved: bool = False


IDENTITY = ImageFormation()


def sample_image_formation(rng: np.random.Generator, ranges: ImageRandomization) -> ImageFormation:
    """Draw a camera's image formation; it leaves the share ``ranges.plain`` of scenes as they were drawn."""
    if rng.random() < ranges.plain:
        return IDENTITY
    red, blue = np.exp(rng.normal(0, ranges.balance, 2))
    return ImageFormation(
        gain=float(np.exp(rng.uniform(*np.log(ranges.gain)))),
        balance=(float(red), 1.0, float(blue)),
        vignetting=float(rng.uniform(*ranges.vignetting)),
        gamma=float(rng.uniform(*ranges.gamma)),
        blur_px=float(rng.uniform(*ranges.blur_px)),
        sharpening=float(rng.uniform(*ranges.sharpening)),
        noise=float(rng.uniform(*ranges.noise)),
        chroma_halved=bool(rng.random() < 0.5),
    )


def formed(
    rgb: NDArray[np.uint8], window: Intrinsics, native: Intrinsics, how: ImageFormation, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """The picture ``(H, W, 3)`` that the camera makes from the drawn colours.

    Args:
        rgb: colours as drawn.
        window: intrinsics of this picture, which may show a window of the image at any resolution.
        native: intrinsics of the camera's whole image.
        how: the camera's image formation; ``IDENTITY`` returns ``rgb`` itself.
        rng: source of the noise.
    """
    if how == IDENTITY:
        return rgb
    scale = window.fx / native.fx  # pixels of this picture per pixel of the camera
    light = rgb.astype(np.float32)
    light *= np.float32(how.gain / 255) * np.array(how.balance, np.float32)
    if how.vignetting:
        half = np.hypot(native.width, native.height) / 2
        x = ((np.arange(window.width) - window.cx) / scale / half).astype(np.float32)
        y = ((np.arange(window.height) - window.cy) / scale / half).astype(np.float32)
        light *= (1 - np.float32(how.vignetting) * (x[None] ** 2 + y[:, None] ** 2))[..., None]
    if how.noise:
        row, column = rng.integers(0, np.array([_POOL_PX, _POOL_PX]) - light.shape[:2] + 1)
        noise = _noise_pool()[row : row + light.shape[0], column : column + light.shape[1]]
        light += np.float32(how.noise) * np.sqrt(np.maximum(light, 0)) * noise
    np.clip(light, 0, 1, out=light)
    if how.gamma != 1:
        cv2.pow(light, how.gamma, dst=light)
    if how.blur_px * scale > 0.3:
        cv2.GaussianBlur(light, (0, 0), how.blur_px * scale, dst=light)
    if how.sharpening:
        cv2.addWeighted(light, 1 + how.sharpening, cv2.blur(light, (3, 3)), -how.sharpening, 0, dst=light)
    picture: NDArray[np.uint8] = (light * 255 + 0.5).clip(0, 255).astype(np.uint8)
    if how.chroma_halved and scale > 0.7:
        luma = cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb)
        luma[..., 1:] = cv2.blur(luma[..., 1:], (2, 2))
        picture = cv2.cvtColor(luma, cv2.COLOR_YCrCb2RGB).astype(np.uint8, copy=False)
    return picture


@lru_cache(maxsize=1)
def _noise_pool() -> NDArray[np.float32]:
    return np.random.default_rng(3).standard_normal((_POOL_PX, _POOL_PX, 3), dtype=np.float32)
