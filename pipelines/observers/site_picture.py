"""Draws the site: fence, table, boxes to stay clear of, and the arm at home with the thing that is nearest to it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from mpl_toolkits.mplot3d import Axes3D
from mpl_toolkits.mplot3d.art3d import Poly3DCollection
from scipy.spatial import ConvexHull

from control.arms.fence import Fence
from control.clearance.arm_clearance import ArmClearance
from control.clearance.params import Clearance
from datasets.rig.projection import Array
from datasets.rig.rig import Box

ARM, KEEP_OUT, FREE, NEAREST, _TABLE = "#b0b0b0", "#d55e00", "#0072b2", "#cc0000", "#b09060"
"""Colours that people with red-green blindness can distinguish (Okabe and Ito's palette)."""
_FACES = np.array([[0, 1, 3, 2], [4, 5, 7, 6], [0, 1, 5, 4], [2, 3, 7, 6], [0, 2, 6, 4], [1, 3, 7, 5]])
"""The faces of a box, as indices of its corners in the order of :func:`box_corners`."""
_MM, _ROOM_MM, _FARTHEST_MM = 1e3, 60.0, 1100.0
_HALO = [withStroke(linewidth=3, foreground="white")]


def box_corners(low: Array, high: Array) -> Array:
    """Corners ``(8, 3)`` of a box, z fastest."""
    return np.stack(np.meshgrid(*zip(low, high, strict=True), indexing="ij"), axis=-1).reshape(8, 3)


def outward_triangles(corners: Array) -> Array:
    """Triangles ``(T, 3, 3)`` of the convex hull of points ``(V, 3)``, anticlockwise as seen from outside."""
    hull = ConvexHull(corners)
    triangles = corners[hull.simplices]
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    inward = np.einsum("ti,ti->t", normals, hull.equations[:, :3]) < 0
    triangles[inward] = triangles[inward, ::-1]
    return triangles


def free_boxes(clearance: ArmClearance, fence: Fence) -> dict[str, tuple[Array, Array]]:
    """Low and high corners, m, of the boxes that the TCP stays in, by name; one box if the two are the same."""
    free: Box = clearance.rig.workspace
    if np.allclose(free.low, fence.low_m) and np.allclose(free.high, fence.high_m):
        return {"fence = keep_within": (fence.low_m, fence.high_m)}
    return {"keep_within": (free.low, free.high), "fence": (fence.low_m, fence.high_m)}


def draw_site(clearance: ArmClearance, fence: Fence, path: Path) -> None:
    """Write a PNG with the site from above, from the side and in perspective; millimetres of the base frame."""
    site = _Site.of(clearance, fence)
    figure = Figure(figsize=(20, 7), layout="constrained")
    figure.suptitle(f"At home {site.nearest}; {1e3 * clearance.params.margin_m:.0f} mm are asked for")
    grid = figure.add_gridspec(1, 3, width_ratios=(1, 1, 1.2))
    _flat(figure.add_subplot(grid[0]), site, (0, 1))
    _flat(figure.add_subplot(grid[1]), site, (0, 2))
    _perspective(figure.add_subplot(grid[2], projection="3d"), site)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})


@dataclass(frozen=True)
class _Site:
    """The drawn shapes, mm: corners of each part, the line where the arm is nearest, and the ends of the axes."""

    arm: list[Array]
    keep_out: dict[str, Array]
    free: dict[str, Array]
    nearest: Clearance
    line: Array
    table: float
    low: Array
    high: Array

    @classmethod
    def of(cls, clearance: ArmClearance, fence: Fence) -> "_Site":
        home, shapes = np.asarray(clearance.rig.home_joints_rad), clearance.distance
        arm, keep_out = [], {}
        for piece, (name, corners) in zip(shapes.pieces, shapes.placed(home), strict=True):
            if piece.link < 0:
                keep_out[name] = _MM * corners
            else:
                arm.append(_MM * corners)
        free = {name: _MM * box_corners(*ends) for name, ends in free_boxes(clearance, fence).items()}
        nearest, table = clearance.nearest(home), _MM * clearance.table_z_m
        ends = np.concatenate([*arm, *keep_out.values(), *free.values()]).clip(-_FARTHEST_MM, _FARTHEST_MM)
        low, high = ends.min(axis=0) - _ROOM_MM, ends.max(axis=0) + _ROOM_MM
        low[2] = min(low[2], table - _ROOM_MM)
        return cls(arm, keep_out, free, nearest, _MM * shapes.closest_points(home, nearest.pair), table, low, high)


def _flat(axes: Axes, site: _Site, shown: tuple[int, int]) -> None:
    across, up = shown
    axes.set(xlabel=f"{'xyz'[across]} (mm)", ylabel=f"{'xyz'[up]} (mm)", aspect="equal")
    axes.set(xlim=(site.low[across], site.high[across]), ylim=(site.low[up], site.high[up]))
    axes.set_title("from the arm's right" if up == 2 else "from above")
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    if up == 2:
        axes.axhspan(site.low[2], site.table, color=_TABLE, alpha=0.5)
        axes.text(site.low[across], site.table, " the table", va="top")
    outlines = [(name, corners, KEEP_OUT, 0.3) for name, corners in site.keep_out.items()]
    outlines += [("", corners, ARM, 0.3) for corners in site.arm]
    outlines += [(name, corners, FREE, 0.0) for name, corners in site.free.items()]
    for name, corners, colour, filled in outlines:
        points = corners[:, shown]
        hull = points[ConvexHull(points).vertices]
        axes.fill(*hull.T, facecolor=to_rgba(colour, filled), edgecolor=colour)
        x, y = points.mean(axis=0) if filled else points.min(axis=0)
        text = axes.text(x, y, name, color=colour, path_effects=_HALO, clip_on=True, zorder=4)
        if filled:
            text.set(ha="center", va="center")
    axes.plot(*site.line[:, shown].T, "o-", color=NEAREST, ms=4, lw=2, zorder=3)
    x, y = site.line[:, shown].mean(axis=0)
    axes.text(x, y, f" {_MM * site.nearest.distance_m:.0f} mm", color=NEAREST, path_effects=_HALO, zorder=4)


def _perspective(axes: Axes3D, site: _Site) -> None:
    table = box_corners(np.append(site.low[:2], site.table - 5), np.append(site.high[:2], site.table))
    solids = [(table, _TABLE, 0.15)] + [(corners, KEEP_OUT, 0.2) for corners in site.keep_out.values()]
    for corners, colour, filled in [*solids, *((corners, FREE, 0.0) for corners in site.free.values())]:
        faces = corners[_FACES]
        axes.add_collection3d(Poly3DCollection(faces, facecolor=to_rgba(colour, filled), edgecolor=colour))
    triangles = np.concatenate([outward_triangles(corners) for corners in site.arm])
    axes.add_collection3d(Poly3DCollection(triangles, facecolors=ARM, shade=True))
    for name, corners in site.keep_out.items():
        axes.text(*corners.mean(axis=0), name, color=KEEP_OUT, path_effects=_HALO, ha="center", zorder=4)
    for name, corners in site.free.items():
        axes.text(*corners[-1], name, color=FREE, path_effects=_HALO, ha="right", va="bottom", zorder=4)
    axes.plot(*site.line.T, "o-", color=NEAREST, ms=4, lw=2, zorder=3)
    axes.set(xlim=(site.low[0], site.high[0]), ylim=(site.low[1], site.high[1]), zlim=(site.low[2], site.high[2]))
    axes.set(xlabel="x (mm)", ylabel="y (mm)", zlabel="z (mm)", title="in perspective", aspect="equal")
    axes.view_init(elev=24, azim=-52)
