"""Solids of the project's own arm: lofts through a few rounded cross-sections, made into triangles.

A link is a union of lofts (``shapes.yaml``). Each loft runs along one axis of its link's frame through sections
that are rounded rectangles, of which the circle is the limit: a bent tube takes three lofts, a finger's bar one.
"""

from dataclasses import asdict, dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import yaml
from numpy.typing import NDArray

from datasets.common.config import one_line
from datasets.common.errors import DataError
from datasets.common.files import write_whole
from datasets.rig.projection import Array

SHAPES_PATH = Path(__file__).with_name("shapes.yaml")

Axis = Literal["x", "y", "z"]
Colour = Literal["white", "gray", "black"]
Triangles = tuple[Array, NDArray[np.int32]]
"""Vertices ``(V, 3)`` m and faces ``(F, 3)``, outside counter-clockwise."""

_AXES: dict[str, tuple[int, int, int]] = {"x": (1, 2, 0), "y": (2, 0, 1), "z": (0, 1, 2)}
_RINGS_BETWEEN_STATIONS = 2
_RINGS_OF_ROUNDED_END = 3


@dataclass(frozen=True)
class Loft:
    """One solid of a link, in millimetres and degrees.

    Attributes:
        axis: direction along which the sections follow each other; the section's u, v are the next two axes cyclically.
        stations: ``[s, u, v, radius]`` (circle), ``[s, u, v, half_u, half_v, corner]`` (rounded rectangle) or ``[s]``
            (the section before it again), ``s`` ascending along the axis. ``corner`` is 0 for a rectangle, 1 where the
            corners' radius is the smaller half width (a stadium), 2 for an ellipse, and may lie between.
        ends: how the first and last edge are rounded, each by a quarter of an ellipse: length along the axis and inset
            of the first, then of the last.
        angle: turns every section about the axis.
        sides: corners of the polygon that stands for a section, a multiple of 4.
        mirror: axis; a second copy is mirrored across the plane where this axis is 0.
        colour: material of the solid.
    """

    axis: Axis
    stations: list[list[float]]
    ends: list[float] = field(default_factory=lambda: [0.0] * 4)
    angle: float = 0.0
    sides: int = 16
    mirror: Axis | None = None
    colour: Colour = "white"

    def __post_init__(self) -> None:
        lengths = [len(station) for station in self.stations]
        if len(lengths) < 2 or lengths[0] == 1 or not set(lengths) <= {1, 4, 6}:
            raise DataError(
                "a loft needs two or more stations of 4 values (circle), 6 (rounded rectangle) or, after the first, "
                f"1 (as before), got {self.stations}"
            )
        if any(b[0] <= a[0] for a, b in pairwise(self.stations)):
            raise DataError(f"stations of a loft must ascend along its axis, got {[s[0] for s in self.stations]} mm")
        if len(self.ends) != 4 or min(self.ends) < 0:
            raise DataError(f"ends of a loft must be four lengths that are not negative, got {self.ends} mm")
        if self.sides < 4 or self.sides % 4:
            raise DataError(f"sides of a loft must be a multiple of 4, got {self.sides}")

    def triangles(self) -> Triangles:
        """The solid's closed surface in the link's frame."""
        places, insets = self._rings()
        sections = self._sections(places)
        rings = np.stack(
            [self._outline(section, inset) for section, inset in zip(sections, insets, strict=True)]
        )  # (rings, sides, 2)
        vertices, faces = _closed_surface(rings, places)
        ordered = np.empty_like(vertices)
        ordered[:, list(_AXES[self.axis])] = vertices / 1000
        if self.mirror is None:
            return ordered, faces
        other, flipped = mirrored((ordered, faces), self.mirror)
        return np.concatenate([ordered, other]), np.concatenate([faces, flipped + len(ordered)])

    def _rings(self) -> tuple[Array, Array]:
        """Where the rings lie along the axis, and by how much each is inset by a rounded end."""
        s = np.array([station[0] for station in self.stations])
        lengths = np.minimum(self.ends[::2], (s[-1] - s[0]) / 2 * 0.98)
        inner = np.unique(
            np.concatenate(
                [
                    np.linspace(a[0], b[0], 2 if len(b) == 1 or len(s) == 2 else _RINGS_BETWEEN_STATIONS + 1)
                    for a, b in pairwise(self.stations)
                ]
            )
        )
        inner = inner[(inner > s[0] + lengths[0] * 1.05) & (inner < s[-1] - lengths[1] * 1.05)]
        first, last = (_rounding(*end) for end in zip(lengths, self.ends[1::2], strict=True))
        places = np.concatenate([s[0] + first[0], inner, (s[-1] - last[0])[::-1]])
        return places, np.concatenate([first[1], np.zeros(len(inner)), last[1][::-1]])

    def _sections(self, places: Array) -> Array:
        """``(rings, 6)``: centre, half widths and corner radii along u and v, smooth through the stations."""
        filled: list[list[float]] = []
        for station in self.stations:
            s, *section = station if len(station) > 1 else [station[0], *filled[-1][1:]]
            filled.append([s, *section] if len(section) == 5 else [s, *section, section[2], 1.0])
        rows = np.array(filled, dtype=float)
        half, corner = rows[:, 3:5], rows[:, 5:]
        smaller = half.min(axis=1, keepdims=True)
        radii = np.clip(corner, 0, 1) * smaller + np.clip(corner - 1, 0, 1) * (half - smaller)
        rows = np.concatenate([rows[:, :5], radii], axis=1)
        if len(rows) == 2:
            return np.stack([np.interp(places, rows[:, 0], column) for column in rows[:, 1:].T], axis=1)
        from scipy.interpolate import PchipInterpolator  # late, for a quick --help

        return np.asarray(PchipInterpolator(rows[:, 0], rows[:, 1:])(places))

    def _outline(self, section: Array, inset: float) -> Array:
        """The section's polygon, ``(sides, 2)``, counter-clockwise."""
        centre, half, radii = section[:2], section[2:4], section[4:]
        inset = min(inset, 0.97 * half.min())
        half, radii = half - inset, np.clip(radii - inset, 0, half - inset)
        turn = (np.arange(self.sides) + 0.5) * 2 * np.pi / self.sides
        circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
        points = circle * radii + np.sign(circle) * (half - radii)
        c, s = np.cos(np.radians(self.angle)), np.sin(np.radians(self.angle))
        return points @ np.array([[c, s], [-s, c]]) + centre


def _rounding(length: float, inset: float) -> Array:
    """``(2, rings)``: distances from a loft's end, rising, and how far the section is inset there."""
    if not length:
        return np.zeros((2, 1))
    turn = np.linspace(0, np.pi / 2, _RINGS_OF_ROUNDED_END)
    return np.stack([length * (1 - np.cos(turn)), inset * (1 - np.sin(turn))])


def mirrored(triangles: Triangles, axis: Axis) -> Triangles:
    """The surface reflected across the plane where ``axis`` is 0."""
    vertices, faces = triangles
    sign = np.where(np.arange(3) == "xyz".index(axis), -1.0, 1.0)
    return vertices * sign, faces[:, ::-1]


def joined(solids: list[Triangles]) -> Triangles:
    """Several surfaces as one."""
    offsets = np.cumsum([0, *(len(vertices) for vertices, _ in solids[:-1])])
    faces = [faces + offset for (_, faces), offset in zip(solids, offsets, strict=True)]
    return np.concatenate([vertices for vertices, _ in solids]), np.concatenate(faces).astype(np.int32)


@cache
def load_shapes(path: Path = SHAPES_PATH) -> dict[str, tuple[Loft, ...]]:
    """Lofts of every link in the file, by link name.

    Raises:
        DataError: the file is missing or does not describe lofts; the message names the link.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file of shapes; the project's own is {SHAPES_PATH.name} of this package")
    shapes = {}
    try:
        found = dict(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise DataError(f"{path}: no file of shapes, or damaged ({one_line(error)})") from error
    for link, lofts in found.items():
        try:
            shapes[link] = tuple(Loft(**loft) for loft in lofts)
        except (TypeError, DataError) as error:
            raise DataError(f"{path.name}: {link}: {error}") from error
    return shapes


def save_shapes(shapes: dict[str, tuple[Loft, ...]], path: Path) -> None:
    """Write the lofts one a line, to a tenth of a millimetre, under the comment that heads the file."""
    heading = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    lines = list(heading)
    plain = asdict(Loft("z", [[0, 0, 0, 1], [1]]))
    for link, lofts in shapes.items():
        lines.append(f"{link}:")
        for loft in lofts:
            entry = {
                key: value for key, value in asdict(loft).items() if key in ("axis", "stations") or value != plain[key]
            }
            entry["stations"] = [[*np.round(s[:5], 1).tolist(), *np.round(s[5:], 2).tolist()] for s in loft.stations]
            if "ends" in entry:
                entry["ends"] = np.round(loft.ends, 1).tolist()
            if "angle" in entry:
                entry["angle"] = round(loft.angle, 1)
            flow = yaml.safe_dump(entry, default_flow_style=True, sort_keys=False, width=10_000)
            lines.append(f"- {flow.strip()}")
    write_whole(path, "\n".join(lines) + "\n")


def _closed_surface(rings: Array, places: Array) -> Triangles:
    """Side walls between rings, and a flat cap with vertices of its own (a sharp edge) at either end."""
    count, sides, _ = rings.shape
    walls = np.concatenate([rings, np.broadcast_to(places[:, None, None], (count, sides, 1))], axis=2)
    j = np.arange(sides)
    following = (j + 1) % sides
    quads = []
    for i in range(count - 1):
        a, b, c, d = i * sides + j, i * sides + following, (i + 1) * sides + following, (i + 1) * sides + j
        quads += [np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)]
    low, high = count * sides, (count + 1) * sides
    fan = np.stack([np.zeros(sides - 2, dtype=int), j[1:-1], j[2:]], axis=1)
    vertices = np.concatenate([walls.reshape(-1, 3), walls[0], walls[-1]])
    return vertices, np.concatenate([*quads, fan[:, ::-1] + low, fan + high]).astype(np.int32)
