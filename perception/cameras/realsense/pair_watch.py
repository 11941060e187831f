"""Checks whether a pair of images is new, to distinguish a live stream from one that repeats its last image."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# A first look at one pixel in 17 x 17 (a stride that lines up with no texture of even period) settles nearly
# every comparison of two images; only where it finds no difference are all pixels compared.
_STRIDE = 17


@dataclass(frozen=True)
class Stamp:
    """What a stream says of one of its images: its running number and its time, ms on the device's clock."""

    number: int
    time_ms: float


class PairWatch:
    """Remembers the last accepted pair of images, and reports why the next one is not new.

    A pipeline keeps delivering fresh depth beside the same old colour image after the colour stream has died
    (and the other way round), so each stream is judged on its own.
    """

    def __init__(self, max_skew_s: float, min_depth_fraction: float) -> None:
        self._max_skew_ms = max_skew_s * 1e3
        self._min_depth_fraction = min_depth_fraction
        self._stamps: tuple[Stamp, Stamp] | None = None
        self._images: tuple[NDArray, NDArray] | None = None

    def reject_stamps(self, colour: Stamp, depth: Stamp, one_clock: bool) -> str | None:
        """Why this pair is not newer than the last accepted one, or None; cheap, before any pixel is touched.

        Args:
            colour: of the colour image.
            depth: of the depth image.
            one_clock: both times are on the same clock, so that their difference means something.
        """
        if self._stamps is not None:
            for name, new, old in zip(("colour", "depth"), (colour, depth), self._stamps, strict=True):
                if new.number == old.number:
                    other = "depth" if name == "colour" else "colour"
                    return f"the {name} stream repeats frame {old.number} beside {other} (is the {name} stream dead?)"
                if new.time_ms <= old.time_ms:
                    back_ms = old.time_ms - new.time_ms
                    return (
                        f"the clock of the {name} stream went back by {back_ms:.0f} ms (librealsense's global time may "
                        "be wrong for a second every 72 minutes; no cable is at fault)"
                    )
        skew_ms = abs(colour.time_ms - depth.time_ms)
        if one_clock and skew_ms > self._max_skew_ms:
            return f"colour and depth were taken {skew_ms:.0f} ms apart (at most {self._max_skew_ms:.0f} ms is allowed)"
        return None

    def reject_images(self, colour: NDArray[np.uint8], depth: NDArray[np.uint16]) -> str | None:
        """Why these images are not a new look at the world, or None.

        A living sensor has noise: two images equal in every bit are one image sent twice, even if their numbers differ.
        """
        if self._images is not None:
            for name, same in (
                ("colour", _identical(colour, self._images[0])),
                ("depth", _identical(depth, self._images[1])),
            ):
                if same:
                    return f"the {name} image is frozen: the same in every bit as the one before (lens covered?)"
        fraction = np.count_nonzero(depth) / depth.size
        if fraction < self._min_depth_fraction:
            return (
                f"only {fraction:.1%} of the pixels have a depth, at least {self._min_depth_fraction:.1%} is expected "
                "(lens covered, projector off, or nothing within range?)"
            )
        return None

    def accept(self, stamps: tuple[Stamp, Stamp], images: tuple[NDArray[np.uint8], NDArray[np.uint16]]) -> None:
        """Remember this pair (colour, depth) as the newest; the arrays must not be changed afterwards."""
        self._stamps, self._images = stamps, images


def _identical(a: NDArray, b: NDArray) -> bool:
    return np.array_equal(a[::_STRIDE, ::_STRIDE], b[::_STRIDE, ::_STRIDE]) and np.array_equal(a, b)
