"""Fit the dimensions in ``shapes.yaml`` to depth images of the official arm, one link at a time.

Each link stands alone before cameras on all sides. The residual is the difference of the two depths, cut off at
``CUT_OFF_M`` so that an error of the silhouette counts the same however far the background; Levenberg-Marquardt moves
the numbers of the link's lofts. A number that is 0 in the file stays 0 (that is how symmetry is kept); which solids and
stations there are is the author's choice. Nothing of the official meshes is kept but these dimensions.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
from tqdm import tqdm

from datasets.arm.model import add_materials, add_surface
from datasets.arm.official import official_spec
from datasets.arm.shapes import SHAPES_PATH, Loft, Triangles, joined, load_shapes, save_shapes
from datasets.common.cli import CommandParser, command_line, require_writable
from datasets.common.errors import ConfigError, DataError
from datasets.rig.projection import Array, Intrinsics, look_at
from datasets.scene.renderer import Renderer

VIEWS = 16
IMAGE_PX = 128
DISTANCE_M = 2.0
CUT_OFF_M = 0.008
BACKGROUND_M = 10.0
PROBE = 1.0
"""Step of the difference quotients, mm and degrees; a tenth of it for corners, which are fractions."""


class Numbers:
    """The numbers of one link's lofts that may move, as a vector."""

    def __init__(self, lofts: tuple[Loft, ...]) -> None:
        self._lofts = lofts
        self._places: list[tuple[int, str, int, int]] = []
        for i, loft in enumerate(lofts):
            for j, station in enumerate(loft.stations):
                self._places += [(i, "stations", j, k) for k, value in enumerate(station) if value]
            self._places += [(i, "ends", 0, k) for k, value in enumerate(loft.ends) if value]
            self._places += [(i, "angle", 0, 0)] if loft.angle else []
        self.probes = np.array([PROBE / 10 if key == "stations" and k == 5 else PROBE for _, key, _, k in self._places])

    def values(self) -> Array:
        """The vector of the lofts as they were given."""
        return np.array([self._get(place) for place in self._places])

    def lofts(self, values: Array) -> tuple[Loft, ...]:
        """The lofts with these numbers.

        Raises:
            DataError: the numbers make no solid.
        """
        stations = [[list(station) for station in loft.stations] for loft in self._lofts]
        ends = [list(loft.ends) for loft in self._lofts]
        angles = [loft.angle for loft in self._lofts]
        for (i, key, j, k), value in zip(self._places, values.tolist(), strict=True):
            if key == "stations":
                stations[i][j][k] = float(np.clip(value, 0.01, 2)) if k == 5 else value
            elif key == "ends":
                ends[i][k] = max(value, 0.5)
            else:
                angles[i] = value
        return tuple(
            replace(loft, stations=stations[i], ends=ends[i], angle=angles[i]) for i, loft in enumerate(self._lofts)
        )

    def _get(self, place: tuple[int, str, int, int]) -> float:
        i, key, j, k = place
        loft = self._lofts[i]
        return float(loft.stations[j][k] if key == "stations" else loft.ends[k] if key == "ends" else loft.angle)


class Turntable:
    """Depth images of surfaces that stand alone at one place."""

    def __init__(self, centre_m: Array, extent_m: float) -> None:
        focal_px = IMAGE_PX / extent_m * DISTANCE_M
        middle = (IMAGE_PX - 1) / 2
        self._intrinsics = Intrinsics(IMAGE_PX, IMAGE_PX, focal_px, focal_px, middle, middle)
        golden = np.pi * (3 - np.sqrt(5))
        height = 1 - (np.arange(VIEWS) + 0.5) * 2 / VIEWS
        radius, turn = np.sqrt(1 - height**2), np.arange(VIEWS) * golden
        sides = np.stack([radius * np.cos(turn), radius * np.sin(turn), height], axis=1)
        self._cameras = [look_at(centre_m + DISTANCE_M * side, centre_m) for side in sides]

    def depths(self, surfaces: list[Triangles]) -> Array:
        """``(surfaces, views * px * px)`` m."""
        spec = mujoco.MjSpec()
        spec.stat.extent = 1.0
        spec.visual.map.znear, spec.visual.map.zfar = 0.5, 5.0
        add_materials(spec)
        for i, surface in enumerate(surfaces):
            spec.worldbody.add_body(name=f"variant{i}")
            add_surface(spec, f"variant{i}", "white", surface)
        model = spec.compile()
        data = mujoco.MjData(model)
        mujoco.mj_kinematics(model, data)
        renderer = Renderer(model, IMAGE_PX, IMAGE_PX)
        images = []
        for i in range(len(surfaces)):
            model.geom_group[:] = 5  # a group that is not drawn
            model.geom_group[i] = 0
            renderer.update(data)
            views = [renderer.render(pose, self._intrinsics)[1].ravel() for pose in self._cameras]
            images.append(np.concatenate(views))
        renderer.close()
        depths = np.array(images, dtype=float)
        depths[depths == 0] = BACKGROUND_M
        return depths


def fit_link(
    lofts: tuple[Loft, ...], official: Triangles, rounds: int, report: Callable[[str], None]
) -> tuple[tuple[Loft, ...], list[float]]:
    """The lofts moved to where the link's depth images are most like the official ones, and the residual's rms, mm.

    The list starts with the residual of the lofts as given and falls with every step taken.
    """
    low, high = official[0].min(axis=0), official[0].max(axis=0)
    turntable = Turntable((low + high) / 2, float(np.linalg.norm(high - low)) * 1.05)
    target = turntable.depths([official])[0]
    seen = int((target < BACKGROUND_M).sum())
    numbers = Numbers(lofts)
    count, probes = len(numbers.probes), np.diag(numbers.probes)
    best, damping = numbers.values(), 1e-2

    def residuals(vectors: list[Array]) -> Array:
        surfaces = [joined([loft.triangles() for loft in numbers.lofts(vector)]) for vector in vectors]
        return np.clip(turntable.depths(surfaces) - target, -CUT_OFF_M, CUT_OFF_M) * 1000

    at = residuals([best])[0]
    rms = [float(np.sqrt(at @ at / seen))]
    for _ in range(rounds):
        report(f"rms {rms[-1]:.2f} mm")
        moved = residuals([*(best + probes), *(best - probes)])
        jacobian = (moved[:count] - moved[count:]) / (2 * numbers.probes[:, None])
        hessian, gradient = jacobian @ jacobian.T, jacobian @ at
        for _ in range(5):
            step = np.linalg.solve(hessian + damping * np.diag(np.diag(hessian) + 1.0), gradient)
            try:
                trial = residuals([best - step])[0]
            except DataError:  # for example stations in the wrong order: the worst possible step
                trial = np.full_like(at, np.inf)
            if trial @ trial < at @ at:
                best, at, damping = best - step, trial, damping / 5
                rms.append(float(np.sqrt(at @ at / seen)))
                break
            damping *= 5
        else:
            break
    return numbers.lofts(best), rms


def official_surfaces() -> dict[str, Triangles]:
    """Each body's official surface, in the body's frame."""
    model = official_spec(decimate=False).compile()
    surfaces = {}
    for geom in range(model.ngeom):
        mesh = model.geom_dataid[geom]
        first, count = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
        face, faces = model.mesh_faceadr[mesh], model.mesh_facenum[mesh]
        rotation = np.empty(9)
        mujoco.mju_quat2Mat(rotation, model.geom_quat[geom])
        vertices = model.mesh_vert[first : first + count] @ rotation.reshape(3, 3).T + model.geom_pos[geom]
        name = model.body(model.geom_bodyid[geom]).name
        surfaces[name] = (vertices, model.mesh_face[face : face + faces])
    return surfaces


def main(arguments: list[str] | None = None) -> None:
    """Fit the links named, or all, and write the file anew."""
    parser = CommandParser(prog="python -m datasets.arm_fitting.fit_shapes", description=__doc__.split("\n\n")[0])
    parser.add_argument("links", nargs="*", help="links to fit, as named in the file (default: all)")
    parser.add_argument("--rounds", type=int, default=10, help="Levenberg-Marquardt steps a link (default 10)")
    parser.add_argument("--shapes", type=Path, default=SHAPES_PATH, help="file to start from and to write")
    options = parser.parse_args(arguments)
    with command_line(parser.prog, options):
        shapes = dict(load_shapes(options.shapes))
        unknown = set(options.links) - set(shapes)
        if unknown:
            raise DataError(f"{options.shapes.name} has no link {sorted(unknown)}; it has {sorted(shapes)}")
        if options.rounds < 1:
            raise ConfigError(f"--rounds must be at least 1, got {options.rounds}")
        require_writable(options.shapes, "--shapes")
        official = official_surfaces()
        progress = tqdm(options.links or list(shapes))
        for link in progress:
            progress.set_description(link)
            shapes[link], rms = fit_link(shapes[link], official[link], options.rounds, progress.set_postfix_str)
            tqdm.write(f"{link}: rms {rms[0]:.2f} -> {rms[-1]:.2f} mm")
        save_shapes(shapes, options.shapes)


if __name__ == "__main__":
    main()
