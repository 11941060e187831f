"""Compares the depth sensor's model with two raw frames of a real one: noise by range, and how far it is correlated.

Both are measured alike: two pictures of the same still scene are subtracted, so that scene and camera's own error
cancel; the remainder divided by root two is the noise of one picture, in px of disparity. The model gets the mean of
the two real frames as its scene. Its constants are fitted to these very frames (:mod:`datasets.scene.depth_sensor`):
the comparison shows that they describe these frames, not that other cameras are alike.
"""

import argparse
import json
import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from numpy.typing import NDArray

from datasets.common.cli import CommandParser, command_line, require_writable_folder
from datasets.common.errors import DataError
from datasets.common.files import write_whole
from datasets.rig.projection import Intrinsics
from datasets.scene.depth_sensor import NO_ERROR, measured_depth

matplotlib.use("Agg")

VARIABLE = "REAL_FRAMES"
BAG = "single_depth_color_640x480.bag"
BASELINE_M = 0.0502
RANGES_M = (0.3, 0.5, 0.7, 0.9, 1.1, 1.4, 1.8, 2.3)
LAGS_PX = (1, 2, 3, 4, 6, 8, 10, 12)
FEWEST = 500
_ROBUST = 1.4826
_SILENCE_MS = 1500

Depth = NDArray[np.float32]


def read_bag(path: Path) -> tuple[list[Depth], Intrinsics]:
    """The raw depth frames ``(H, W)`` m of a recording by librealsense, and the imager's intrinsics.

    Raises:
        DataError: the recording is missing, or holds fewer than two depth frames.
    """
    import pyrealsense2 as rs  # here, because only this comparison needs it

    if not path.is_file():
        raise DataError(f"{path}: no such recording; {VARIABLE} must name the folder that holds {BAG}")
    device = rs.context().load_device(str(path))
    device.as_playback().set_real_time(False)
    sensor, queue = device.first_depth_sensor(), rs.frame_queue(50, keep_frames=True)
    profile = next(each for each in sensor.get_stream_profiles() if each.stream_type() == rs.stream.depth)
    stream, unit, frames = profile.as_video_stream_profile().get_intrinsics(), sensor.get_depth_scale(), []
    sensor.open(profile)
    sensor.start(queue)
    try:
        while (answer := queue.try_wait_for_frame(_SILENCE_MS))[0]:
            counts = np.asanyarray(answer[1].as_video_frame().get_data())
            frames.append(counts.astype(np.float32) * np.float32(unit))
    finally:
        sensor.stop()
        sensor.close()
    if len(frames) < 2:
        raise DataError(f"{path}: {len(frames)} depth frames, where two are needed")
    k = Intrinsics(stream.width, stream.height, stream.fx, stream.fy, stream.ppx, stream.ppy)
    return frames[:2], k


def noise_px(first: Depth, second: Depth, focal_px: float) -> tuple[Depth, Depth]:
    """Noise of one picture in px of disparity, and the distance in m, both ``(H, W)``; NaN where either has no reading.

    Differences beyond 1 px are other surfaces, seen at an edge, and are left out.
    """
    both = (first > 0) & (second > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = focal_px * BASELINE_M * (1 / first - 1 / second) / np.sqrt(2)
        distance = np.where(both, (first + second) / 2, np.nan)
    noise = np.where(both & (np.abs(difference) < 1), difference, np.nan)
    return noise.astype(np.float32), distance.astype(np.float32)


def sigma_by_range(noise: Depth, distance: Depth) -> dict[str, float]:
    """Robust standard deviation, px, in each of ``RANGES_M`` that holds enough pixels."""
    found = {}
    for low, high in pairwise(RANGES_M):
        values = noise[np.isfinite(noise) & (distance >= low) & (distance < high)]
        if len(values) >= FEWEST:
            found[f"{low}-{high} m"] = float(_ROBUST * np.median(np.abs(values - np.median(values))))
    return found


def autocorrelation(noise: Depth) -> dict[str, float]:
    """Correlation of pixels by their distance in columns or rows, without a smooth background of 48 px."""
    seen = np.isfinite(noise)
    filled = np.where(seen, noise, 0).astype(np.float32)
    share = cv2.blur(seen.astype(np.float32), (48, 48)).clip(1e-3)
    rest = np.where(seen & (np.abs(filled) < 0.5), filled - cv2.blur(filled, (48, 48)) / share, np.nan)
    variance = np.nanmean(rest**2)
    return {
        f"{lag} px": float(
            np.nanmean([np.nanmean(rest[:, lag:] * rest[:, :-lag]), np.nanmean(rest[lag:] * rest[:-lag])]) / variance
        )
        for lag in LAGS_PX
    }


def compare(frames: Sequence[Depth], k: Intrinsics) -> dict[str, dict[str, dict[str, float]]]:
    """Measured and modelled figures of both kinds."""
    both = (frames[0] > 0) & (frames[1] > 0)
    scene = np.where(both, cv2.medianBlur(((frames[0] + frames[1]) / 2).astype(np.float32), 5), 0).astype(np.float32)
    grey = np.full((*scene.shape, 3), 128, np.uint8)
    drawn = [measured_depth(scene, grey, k, 1.0, NO_ERROR, np.random.default_rng(seed)) for seed in (1, 2)]
    figures: dict[str, dict[str, dict[str, float]]] = {"sigma_px": {}, "autocorrelation": {}}
    for name, pair in (("measured", frames), ("model", drawn)):
        noise, distance = noise_px(pair[0], pair[1], k.fx)
        figures["sigma_px"][name] = {key: round(value, 4) for key, value in sigma_by_range(noise, distance).items()}
        figures["autocorrelation"][name] = {key: round(value, 3) for key, value in autocorrelation(noise).items()}
    return figures


def draw(figures: dict[str, dict[str, dict[str, float]]], path: Path) -> None:
    """Both kinds of figures, model beside measurement."""
    from matplotlib import pyplot

    titles = {"sigma_px": "standard deviation of disparity, px", "autocorrelation": "correlation at a distance"}
    figure, panels = pyplot.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    for panel, (kind, title) in zip(panels, titles.items(), strict=True):
        for name, mark in (("measured", "o"), ("model", "x--")):
            panel.plot([*figures[kind][name]], [*figures[kind][name].values()], mark, label=name)
        panel.set(title=title, ylim=(0, None))
        panel.tick_params(axis="x", rotation=30)
        panel.legend()
    figure.savefig(path, dpi=110, metadata={"Software": None})
    pyplot.close(figure)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = CommandParser(
        prog="python -m datasets.depth_likeness",
        description=(__doc__ or "").split("\n")[0],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--frames", type=Path, help=f"folder of {BAG} (default: the variable {VARIABLE})")
    parser.add_argument(
        "--out", type=Path, default=Path("results/depth"), help="folder to write to (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    with command_line("datasets.depth_likeness", options):
        folder = options.frames or (Path(os.environ[VARIABLE]) if VARIABLE in os.environ else None)
        if folder is None:
            print(f"n = 0: {VARIABLE} names no folder of real frames; {options.out} stays as it is")
            return
        require_writable_folder(options.out, "--out")
        figures = compare(*read_bag(folder / BAG))
        options.out.mkdir(parents=True, exist_ok=True)
        draw(figures, options.out / "likeness.png")
        write_whole(options.out / "metrics.json", json.dumps({"n": 2, **figures}, indent=2) + "\n")
        for kind, found in figures.items():
            for key, value in found["measured"].items():
                print(f"{kind} {key}: measured {value:.3f}, model {found['model'].get(key, float('nan')):.3f}")


if __name__ == "__main__":
    main()
