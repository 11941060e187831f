"""One aligned RGB-D image with the time of its capture."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datasets.common.errors import DataError
from datasets.rig.projection import Window


@dataclass(frozen=True)
class Frame:
    """One RGB-D image.

    Attributes:
        rgb: ``(H, W, 3)`` uint8.
        depth: ``(H, W)`` float32, metres along the optical axis, aligned to colour; 0 means no reading.
        timestamp: when it was taken, s, on the clock of ``time.monotonic``.
    """

    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    timestamp: float

    def __post_init__(self) -> None:
        if self.rgb.ndim != 3 or self.rgb.shape[2] != 3 or self.rgb.dtype != np.uint8:
            raise DataError(f"frame.rgb must be (H, W, 3) uint8, got {self.rgb.shape} {self.rgb.dtype}")
        if self.depth.shape != self.rgb.shape[:2] or self.depth.dtype != np.float32:
            raise DataError(
                f"frame.depth must be {self.rgb.shape[:2]} float32 metres to fit its colour image, "
                f"got {self.depth.shape} {self.depth.dtype}"
            )

    def cut(self, window: Window, size_px: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """The window resampled to ``size_px`` squared by nearest pixel: ``rgb`` and ``depth``.

        Nearest, not averaged: the simulation's renderer also samples one ray a pixel, and averaging depth
        across an edge would make points that lie on neither side of it. Outside the image there is nothing: black, and
        no reading.
        """
        columns, rows = window.sample_pixels(size_px)
        height, width = self.depth.shape
        inside_rows, inside_columns = rows.clip(0, height - 1), columns.clip(0, width - 1)
        rgb, depth = (image[inside_rows][:, inside_columns] for image in (self.rgb, self.depth))
        outside_rows, outside_columns = (rows < 0) | (rows >= height), (columns < 0) | (columns >= width)
        rgb[outside_rows], depth[outside_rows] = 0, 0
        rgb[:, outside_columns], depth[:, outside_columns] = 0, 0
        return rgb, depth
