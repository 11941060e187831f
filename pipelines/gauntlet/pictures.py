"""Draws the gauntlet's pictures: the heat map, how far the camera may be off, and what the gaps look like."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from control.arms.fence import Fence
from control.task.goals import GoalSampler
from datasets.rig.rig import Rig
from pipelines.gauntlet.cells import Cell
from pipelines.gauntlet.reading import LIMIT_MM, TOLERATED, Metrics, camera_line, gap_names, method_names
from pipelines.gauntlet.scenes import GapScenes

COLOURS = ("#d55e00", "#e69f00", "#0072b2", "#009e73", "#56b4e9", "#000000")
SHADES = "RdYlGn"
PICTURE_PX = 168
PER_ROW = 6


def draw_heat_map(metrics: Metrics, path: Path) -> None:
    """Draw the share of episodes within 20 mm by gap and method, with median and 95th percentile in mm, as PNG."""
    methods, gaps, about = method_names(metrics), gap_names(metrics), metrics["about"]
    shares = np.full((len(gaps), len(methods)), np.nan)
    figure, axes = plt.subplots(figsize=(2.4 + 1.35 * len(methods), 1.6 + 0.36 * len(gaps)), layout="constrained")
    for row, gap in enumerate(gaps):
        for column, method in enumerate(methods):
            cell = metrics[method].get(gap, {"n": 0})
            text, colour = "–", "0.5"
            if cell["n"]:
                share = shares[row, column] = cell[f"success_{LIMIT_MM}mm"]
                text = f"{100 * share:.0f} %  {cell['median_mm']:.1f} / {cell['p95_mm']:.0f}"
                colour = "white" if share < 0.15 or share > 0.9 else "black"
            axes.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)
    axes.imshow(shares, cmap=SHADES, vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(methods)), [_wrapped(about["methods"][name]) for name in methods], fontsize=8)
    axes.set_yticks(range(len(gaps)), [about["gaps"][gap]["title"] for gap in gaps], fontsize=8)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    groups = [about["gaps"][gap]["group"] for gap in gaps]
    for row in range(1, len(gaps)):
        if groups[row] != groups[row - 1]:
            axes.axhline(row - 0.5, color="white", lw=3)
    caption = f"share of episodes that end within {LIMIT_MM} mm; median / 95th percentile of the distance, mm"
    axes.set_xlabel(textwrap.fill(caption, 18 * len(methods)))
    _save(figure, path)


def draw_camera_maps(metrics: Metrics, path: Path) -> None:
    """Draw success over how far the camera was moved and turned, unnoticed: a line per method, and the grid of both.

    Draws nothing, and deletes the picture of an earlier run, if no gap moves the camera unnoticed.
    """
    if not any(any(gap.get("camera_off", ())) for gap in metrics["about"]["gaps"].values()):
        path.unlink(missing_ok=True)  # the page would show it beside other figures
        return
    mapped = [name for name in method_names(metrics) if len(_grid(metrics, name)[0]) > 1]
    figure, every = plt.subplots(
        1, 2 + len(mapped), figsize=(5.2 + 3.4 * (1 + len(mapped)), 4.2), layout="constrained", squeeze=False
    )
    offset, turn, *maps = every[0]
    _draw_lines(offset, metrics, 0, "camera moved, mm")
    _draw_lines(turn, metrics, 1, "camera turned, °")
    offset.set_ylabel(f"share of episodes within {LIMIT_MM} mm")
    handles, labels = offset.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    for axes, name in zip(maps, mapped, strict=True):
        _draw_grid(axes, metrics, name)
    _save(figure, path)


def draw_gaps(cells: Sequence[Cell], seed: int, rig: Rig, path: Path) -> None:
    """Draw the glance's view of home in each gap that changes the picture, all of one seed.

    Draws nothing, and deletes the picture of an earlier run, if there are no such gaps.
    """
    shown = [cell for cell in cells if cell.gap.group in ("nominal", "camera", "picture")]
    if not shown:
        path.unlink(missing_ok=True)  # the page would show it beside other figures
        return
    rows = -(-len(shown) // PER_ROW)
    figure, every = plt.subplots(
        rows, PER_ROW, figsize=(2.1 * PER_ROW, 2.35 * rows), layout="constrained", squeeze=False
    )
    for axes in every.flat:
        axes.axis("off")
    home = GoalSampler(rig, Fence.from_rig(rig), 0.01).home
    for axes, cell in zip(every.flat, shown, strict=False):
        scenes = GapScenes(cell.rooms, cell.gap, rig)
        scenes.draw(seed)
        frames = round(scenes.crosses_s * rig.rate_hz) if cell.gap.passing_bar else 1
        for _ in range(frames):
            photograph = scenes.camera(home)
        rgb, depth = photograph(rig.picture_window, PICTURE_PX)
        scenes.close()
        if cell.gap.changes_depth:  # the colours do not show it
            axes.imshow(np.where(depth > 0, depth, np.nan), cmap="viridis", vmin=0.5, vmax=2.0)
            axes.set_facecolor("black")
        else:
            axes.imshow(rgb)
        axes.set_title(cell.gap.title, fontsize=8)
    _save(figure, path)


def _draw_lines(axes: Axes, metrics: Metrics, axis: int, label: str) -> None:
    for name, colour in zip(method_names(metrics), COLOURS, strict=False):
        amounts, cells = camera_line(metrics, name, axis)
        if len(amounts) < 2:
            continue
        share = np.array([cell[f"success_{LIMIT_MM}mm"] for cell in cells])
        low, high = np.array([cell[f"success_{LIMIT_MM}mm_ci"] for cell in cells]).T
        wide, front = (2.4, 3) if name == "default" else (1.2, 2)
        title = metrics["about"]["methods"][name]
        axes.plot(amounts, share, "o-", color=colour, ms=2 + wide, lw=wide, zorder=front, label=title)
        axes.fill_between(amounts, low, high, color=colour, alpha=0.12, lw=0)
    axes.axhline(TOLERATED, color="0.7", lw=0.8, zorder=0)
    axes.set(xlabel=label, ylim=(-0.02, 1.04))


def _grid(metrics: Metrics, method: str) -> tuple[list[float], list[float], np.ndarray]:
    """Offsets (mm), rotations (deg) and the shares ``(rotations, offsets)`` within 20 mm where both are off."""
    cells = {
        tuple(told["camera_off"]): metrics[method][gap][f"success_{LIMIT_MM}mm"]
        for gap, told in metrics["about"]["gaps"].items()
        if "camera_off" in told and metrics[method].get(gap, {"n": 0})["n"]
    }
    if not any(offset and turn for offset, turn in cells):
        return [], [], np.zeros((0, 0))
    offsets, turns = (sorted({key[axis] for key in cells}) for axis in (0, 1))
    shares = np.array([[cells.get((offset, turn), np.nan) for offset in offsets] for turn in turns])
    return offsets, turns, shares


def _draw_grid(axes: Axes, metrics: Metrics, method: str) -> None:
    offsets, turns, shares = _grid(metrics, method)
    axes.imshow(shares, cmap=SHADES, vmin=0, vmax=1, origin="lower", aspect="auto")
    for row, column in np.argwhere(np.isfinite(shares)):
        share = shares[row, column]
        colour = "white" if share < 0.15 or share > 0.9 else "black"
        axes.text(column, row, f"{100 * share:.0f} %", ha="center", va="center", fontsize=9, color=colour)
    axes.set_xticks(range(len(offsets)), [f"{offset:g}" for offset in offsets])
    axes.set_yticks(range(len(turns)), [f"{turn:g}" for turn in turns])
    axes.set(xlabel="camera moved, mm", ylabel="camera turned, °")
    axes.set_title(metrics["about"]["methods"][method], fontsize=9)


def _wrapped(title: str) -> str:
    half = title.rfind(" ", 0, len(title) // 2 + 4)
    return title if len(title) < 14 or half < 0 else title[:half] + "\n" + title[half + 1 :]


def _save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # No version in the file: the same episodes give the same bytes.
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)
