r"""How much a depth camera's readings scatter and how far that is correlated, from frames of a scene that stands still.

Two frames of the same scene are subtracted, so that scene and camera's own error cancel; the remainder divided by root
two is the noise of one frame, as disparity :math:`d = f B / z` in px of the imager. The simulation's noise
(:mod:`datasets.scene.depth_sensor`) has one parameter, its level: the variance at a distance z is

.. math:: \sigma^2(z) = (l\, \sigma_1(z))^2 + q_d^2 / 12 + (q_z\, f B / z^2)^2 / 12

with :math:`\sigma_1` of a D435 as measured, and the steps :math:`q_d` of disparity and :math:`q_z` of what is stored.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from datasets.common.errors import DataError
from datasets.rig.projection import Array
from datasets.scene.depth_sensor import (
    BASELINE_M,
    CORRELATION_PX,
    CORRELATION_SHARE,
    DISPARITY_STEP_PX,
    IMAGER_FOCAL_PX,
    NOISE_PX,
)

RANGES_M = (0.3, 0.5, 0.7, 0.9, 1.1, 1.4, 1.8, 2.3, 3.0)
LAGS_PX = (1, 2, 4, 8, 12)
FEWEST = 2000
"""Least number of pixels of a range of distances that is used."""
MOST_STEP = 0.02
"""Largest relative step of depth from a pixel to the next; beyond it is an edge, where readings jump."""
MOST_LEVEL = 5.0
_STRETCHES = np.geomspace(0.25, 4, 81)


@dataclass(frozen=True)
class DepthNoise:
    """The noise of a depth camera, measured from frames at rest.

    Attributes:
        level: of the simulation's noise; 1 is a D435 on a plain wall.
        interval: two standard errors to either side of the level, by the pairs of frames.
        stretch: the range of the noise's correlation, relative to that of the simulation's noise.
        by_range: standard deviation of disparity, px, measured and by the model at this level, by range in m.
        correlation: the same for the correlation at a distance in px of the image.
        pairs: number of pairs of frames that were compared.
    """

    level: float
    interval: tuple[float, float]
    stretch: float
    by_range: dict[str, tuple[float, float]]
    correlation: dict[str, tuple[float, float]]
    pairs: int


def measure_noise(depth_m: NDArray[np.float32], scenes: ArrayLike, focal_px: float, unit_m: float) -> DepthNoise:
    """Compare the frames of each scene that stood still.

    Args:
        depth_m: ``(N, H, W)`` as read, 0 where nothing was.
        scenes: ``(N,)`` number of the scene that a frame shows; frames of a scene follow one another.
        focal_px: of these images.
        unit_m: what depth is rounded to.

    Raises:
        DataError: no scene has two frames, too little is read, or something moved between them.
    """
    scenes = np.asarray(scenes)
    pairs = [(a, b) for a, b in pairwise(range(len(depth_m))) if scenes[a] == scenes[b]]
    if not pairs:
        raise DataError("depth noise needs two frames or more of a scene at rest; capture with --frames 2 or more")
    middles = np.array([(low + high) / 2 for low, high in pairwise(RANGES_M)])
    counts, squares = np.zeros((len(pairs), len(middles))), np.zeros((len(pairs), len(middles)))
    plain, products, whole = squares.copy(), np.zeros((len(pairs), len(LAGS_PX))), np.zeros(len(pairs))
    for row, (first, second) in enumerate(pairs):
        noise, distance = _noise(depth_m[first], depth_m[second])
        ranges = np.digitize(distance, RANGES_M) - 1
        for index in range(len(middles)):
            values = noise[np.isfinite(noise) & (ranges == index)]
            if len(values) < FEWEST:
                continue
            values = _within(values)
            at = distance[np.isfinite(noise) & (ranges == index)]
            counts[row, index], squares[row, index] = len(values), np.sum(values**2)
            plain[row, index] = len(values) * np.mean(_steps(at, unit_m))
        if not counts[row].any():
            continue
        relative = noise / _sigma(distance)
        relative[np.abs(relative) > 4 * np.nanmedian(np.abs(relative)) * 1.4826] = np.nan
        whole[row] = np.nanmean(relative**2)
        for column, lag in enumerate(LAGS_PX):
            both = relative[:, lag:] * relative[:, :-lag], relative[lag:] * relative[:-lag]
            products[row, column] = np.nanmean(np.concatenate([each[np.isfinite(each)] for each in both]))
    seen, used = counts.any(axis=1), counts.any(axis=0)
    if not seen.any():
        raise DataError(f"depth is read on fewer than {FEWEST} smooth pixels of every range; look at the camera")
    if any(np.array_equal(depth_m[first], depth_m[second]) for first, second in pairs):
        raise DataError(
            "two frames of a scene have the same depth in every pixel: a copy, or a filter that holds pictures back; "
            "switch temporal filters off and capture anew"
        )
    level = _level(counts, squares, plain, middles)
    if not level > 0:
        raise DataError("depth scatters no more than its unit's steps; switch temporal filters off and capture anew")
    without = []
    for row in range(len(pairs)):
        kept = np.arange(len(pairs)) != row
        without.append(_level(counts[kept], squares[kept], plain[kept], middles))
    spread = np.sqrt((len(pairs) - 1) * np.var(without)) if len(pairs) > 1 else np.inf
    if not level <= MOST_LEVEL:
        raise DataError(f"depth scatters {level:.1f} times as much as a D435's: something moved, or the light flickers")
    correlation, fraction = products[seen].mean(axis=0) / whole[seen].mean(), level**2 / whole[seen].mean()
    stretch, modelled = _stretch(correlation, focal_px / IMAGER_FOCAL_PX, min(float(fraction), 1.0))
    measured = np.sqrt(squares.sum(axis=0)[used] / counts.sum(axis=0)[used])
    steps = plain.sum(axis=0)[used] / counts.sum(axis=0)[used]
    model = np.sqrt((level * _sigma(middles[used])) ** 2 + steps)
    names = np.array([f"{low:g}-{high:g} m" for low, high in pairwise(RANGES_M)])[used]
    return DepthNoise(
        level,
        (max(level - 2 * float(spread), 0.0), min(level + 2 * float(spread), MOST_LEVEL)),
        stretch,
        _side_by_side(names, measured, model),
        _side_by_side([f"{lag} px" for lag in LAGS_PX], correlation, modelled),
        len(pairs),
    )


def told(noise: DepthNoise) -> str:
    """What was measured, as lines of text."""
    low, high = noise.interval
    lines = [
        f"noise of depth: {noise.level:.2f} ({low:.2f} to {high:.2f}) times a D435's as simulated, correlated over "
        f"{noise.stretch:.2f} times its distance; {noise.pairs} pairs of frames"
    ]
    for what, figures in (("disparity, px", noise.by_range), ("correlation", noise.correlation)):
        lines.append(f"{what}, measured and model: {_words(figures)}")
    return "\n".join(lines)


def _words(figures: Mapping[str, tuple[float, float]]) -> str:
    return ", ".join(f"{name} {measured:.3f} {model:.3f}" for name, (measured, model) in figures.items())


def _noise(first: NDArray[np.float32], second: NDArray[np.float32]) -> tuple[Array, Array]:
    """Noise of one picture, px of disparity, and distance, m, both ``(H, W)``; NaN at edges and without a reading."""
    smooth = (first > 0) & (second > 0)
    mean = np.where(smooth, (first + second) / 2, 0).astype(np.float32)
    low, high = cv2.erode(mean, np.ones((5, 5))), cv2.dilate(mean, np.ones((5, 5)))
    smooth &= high - low < MOST_STEP * 4 * mean
    with np.errstate(divide="ignore", invalid="ignore"):
        noise = IMAGER_FOCAL_PX * BASELINE_M * (1 / first.astype(float) - 1 / second.astype(float)) / np.sqrt(2)
    return np.where(smooth, noise, np.nan), np.where(smooth, mean, np.nan)


def _within(values: Array) -> Array:
    """The values without outliers of a Gaussian of their width: readings that flicker between two surfaces."""
    return values[np.abs(values) < 4 * 1.4826 * np.median(np.abs(values)) + DISPARITY_STEP_PX]


def _sigma(distance_m: Array) -> Array:
    """Standard deviation of disparity at level 1, px."""
    return np.interp(distance_m, [*NOISE_PX], [*NOISE_PX.values()])


def _steps(distance_m: Array, unit_m: float) -> Array:
    """Variance that rounding adds, px squared."""
    return (DISPARITY_STEP_PX**2 + (unit_m * IMAGER_FOCAL_PX * BASELINE_M / distance_m**2) ** 2) / 12


def _level(counts: Array, squares: Array, plain: Array, middles_m: Array) -> float:
    """The level by least squares over all ranges, each weighted by its number of pixels."""
    weight = counts.sum(axis=0)
    return float(np.sqrt(max((squares - plain).sum(), 0.0) / max(weight @ _sigma(middles_m) ** 2, 1e-12)))


def _stretch(measured: Array, pixel: float, fraction: float) -> tuple[float, Array]:
    """The stretch that fits best, and the model's correlations with it; rounding makes up all but ``fraction``."""
    lags, s = np.array(LAGS_PX)[:, None], np.array(CORRELATION_PX)
    curves = np.array(
        [
            fraction * np.exp(-((lags / pixel / each) ** 2) / (4 * s**2)) @ np.array(CORRELATION_SHARE)
            for each in _STRETCHES
        ]
    )
    best = int(np.argmin(np.sum((curves - measured) ** 2, axis=1)))
    return float(_STRETCHES[best]), curves[best]


def _side_by_side(names: ArrayLike, measured: Array, model: Array) -> dict[str, tuple[float, float]]:
    rows = zip(np.asarray(names).tolist(), measured.tolist(), model.tolist(), strict=True)
    return {name: (a, b) for name, a, b in rows}
