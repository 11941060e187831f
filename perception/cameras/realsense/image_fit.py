"""Images of another size than the rig's: scaled to its height, and cut to its width around their middle."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from datasets.common.errors import DeviceError
from datasets.rig.projection import Intrinsics


@dataclass(frozen=True)
class ImageFit:
    """How a stream's images become ones of the rig's size; those that have it stay as they are.

    Attributes:
        scaled: width and height after scaling, px.
        left: first of the columns that are then cut out, px.
        intrinsics: those of the resulting images.
    """

    scaled: tuple[int, int]
    left: int
    intrinsics: Intrinsics

    @classmethod
    def of(cls, reported: Any, rig: Intrinsics) -> "ImageFit":
        """The fit for a stream that reports ``rs.intrinsics``.

        Raises:
            DeviceError: its images are smaller than the rig's, or narrower for their height.
        """
        across, down = round(reported.width * rig.height / reported.height), rig.height
        if reported.height < rig.height or across < rig.width:
            raise DeviceError(
                f"the camera's images are {reported.width}x{reported.height} px, the rig's {rig.width}x{rig.height} "
                "px: ones that are as high, and as wide for their height, are scaled and cut to fit; open such a "
                "resolution (640x480, 848x480, 1280x720), or describe this camera in params/rig.yaml and retrain"
            )
        x, y, left = across / reported.width, down / reported.height, (across - rig.width) // 2
        # A pixel's centre is at a whole number, its corner half a pixel before.
        centre = (reported.ppx + 0.5) * x - 0.5 - left, (reported.ppy + 0.5) * y - 0.5
        return cls((across, down), left, Intrinsics(rig.width, rig.height, reported.fx * x, reported.fy * y, *centre))

    def colour(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The colour image ``(H, W, 3)``, each pixel the mean of those it covers."""
        return self._fit(rgb, cv2.INTER_AREA)

    def depth(self, counts: NDArray[np.uint16]) -> NDArray[np.uint16]:
        """The depth image ``(H, W)``, each pixel the nearest one's reading: no depth is made up at an edge."""
        return self._fit(counts, cv2.INTER_NEAREST_EXACT)

    def _fit(self, image: NDArray, interpolation: int) -> NDArray:
        if image.shape[1::-1] != self.scaled:
            image = cv2.resize(image, self.scaled, interpolation=interpolation)
        return np.ascontiguousarray(image[:, self.left : self.left + self.intrinsics.width])
