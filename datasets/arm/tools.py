"""Tools: what is mounted on the flange, described by one file each (``params/tools/NAME.yaml``).

A tool's frame is the flange's: z points away from the arm, along the axis of joint 7; lengths in metres. Its TCP lies
on that axis. ``docs/your_own_tool.md`` leads through a tool of one's own.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, ClassVar

import mujoco
import numpy as np

from datasets.arm.shapes import Colour, Loft, Triangles
from datasets.common.code_digest import ROOT, fingerprint
from datasets.common.config import Checked, Within, load_params, one_line
from datasets.common.errors import ConfigError
from datasets.rig.rig import Box, Interval, Tool

TOOLS_PATH = Path("params/tools")
OFFSET_TOLERANCE_M = 0.001
GRIPPER_CLOSED_RAD = 0.85
LEAST_PART_M, MOST_REACH_M = 0.005, 1.0
_SIDES = 24


@dataclass(frozen=True)
class Cylinder(Checked):
    """A cylinder whose axis is parallel to the flange's.

    Attributes:
        radius_m: radius of the cylinder.
        z_m: where it begins and ends along the flange's axis.
        x_m, y_m: place of its axis.
    """

    PART: ClassVar[str] = "cylinders."
    radius_m: Annotated[float, Within(0, 0.3, "m", above=True)]
    z_m: Interval
    x_m: Annotated[float, Within(-0.5, 0.5, "m")] = 0.0
    y_m: Annotated[float, Within(-0.5, 0.5, "m")] = 0.0


@dataclass(frozen=True)
class Mesh(Checked):
    """A surface in an STL file, drawn as it is; its convex hull is what must keep clear.

    Attributes:
        file: a name beside the tool's file, or an absolute path.
        unit_m: length of the file's unit, m: 0.001 for millimetres.
    """

    PART: ClassVar[str] = "mesh."
    file: str
    unit_m: Annotated[float, Within(0, 1, "m", above=True)] = 0.001


@dataclass(frozen=True)
class ToolParams(Checked):
    """One tool.

    Attributes:
        tcp_m: place of the TCP along the flange's axis. The controller is given this offset.
        mass_kg: with cables and screws; an xArm7 carries 3.5 kg at most (user manual, technical specifications).
        centre_m: place of the centre of mass along the flange's axis.
        collision_model: the tool's number in the controller's self-collision check (the SDK's
            ``set_collision_tool_model``); 0: none.
        opening_rad: range in which the xArm gripper of our arm model is open, 0 open .. 0.85 closed; None: the tool has
            no such gripper.
        boxes, cylinders: other parts, by name.
        mesh: a further part, None without.
        colour: of boxes, cylinders and mesh: one of the arm's three.
    """

    tcp_m: Annotated[float, Within(0, 0.5, "m")]
    mass_kg: Annotated[float, Within(0, 3.5, "kg")]
    centre_m: Annotated[float, Within(0, 0.5, "m")]
    collision_model: Annotated[int, Within(0, 255)] = 0
    opening_rad: Annotated[tuple[float, float], Within(0, GRIPPER_CLOSED_RAD, "rad", rising=True)] | None = None
    boxes: dict[str, Box] = field(default_factory=dict)
    cylinders: dict[str, Cylinder] = field(default_factory=dict)
    mesh: Mesh | None = None
    colour: Colour = "black"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, box in self.boxes.items():
            box.check(f"boxes.{name}")
        for name, cylinder in self.cylinders.items():
            Box((0.0, 1.0), (0.0, 1.0), cylinder.z_m).check(f"cylinders.{name}")
        names = [*self.boxes, *self.cylinders, *([Path(self.mesh.file).stem] if self.mesh is not None else [])]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ConfigError(f"two parts are called {', '.join(twice)}; rename one (a mesh has its file's name)")
        if self.tcp_m > 0 and not names and self.opening_rad is None:
            raise ConfigError(
                f"tcp_m is {self.tcp_m}, but there is no part that reaches there, which is drawn and kept clear of "
                "things; describe it by boxes, cylinders or mesh, or give opening_rad for an xArm gripper"
            )

    @classmethod
    def load(cls, tool: Tool | str) -> "ToolParams":
        """The tool with this name, or a rig's tool, whose TCP must be where the tool's file says.

        Raises:
            ConfigError: there is no such file, it does not fit, or the TCP is another; the message says what to do.
        """
        name = tool if isinstance(tool, str) else tool.name
        path = next((path for path in _places(name) if path.is_file()), None)
        if path is None:
            raise ConfigError(
                f"tool {name!r} is unknown; this project knows {', '.join(known_tools())}: describe it in "
                f"{TOOLS_PATH / name}.yaml as docs/your_own_tool.md shows"
            )
        found = load_params(path, cls)
        if found.mesh is not None:
            mesh = replace(found.mesh, file=str(path.parent / found.mesh.file))
            if not Path(mesh.file).is_file():
                raise ConfigError(f"{path}: mesh.file {mesh.file}: no such file; put the STL beside the tool's file")
            found = replace(found, mesh=mesh)
        found.check_parts(path)
        if isinstance(tool, Tool) and not abs(found.tcp_m - tool.tcp_offset_m) <= OFFSET_TOLERANCE_M:
            raise ConfigError(
                f"tool.tcp_offset_m is {tool.tcp_offset_m}, but the TCP of {name} lies {found.tcp_m} m along flange z "
                f"({path}); correct the rig"
            )
        return found

    def check_parts(self, path: Path) -> None:
        """Refuse parts of the wrong unit or in the wrong place, as an STL in another unit gives them.

        Raises:
            ConfigError: a part is smaller than ``LEAST_PART_M``, reaches beyond ``MOST_REACH_M``, or lies behind the
                flange; the message names ``path``, the tool's file.
        """
        for name, (vertices, _) in self.parts():
            size_m, reach_m = float(np.ptp(vertices, axis=0).max()), float(np.abs(vertices).max())
            if size_m < LEAST_PART_M or reach_m > MOST_REACH_M:
                raise ConfigError(
                    f"{path}: {name} is {size_m:.4g} m long and reaches {reach_m:.4g} m from the flange, where a part "
                    f"has {LEAST_PART_M} to {MOST_REACH_M} m; values are metres, those of an STL times mesh.unit_m"
                )
            if vertices[:, 2].max() <= 0:
                raise ConfigError(
                    f"{path}: {name} ends at z = {vertices[:, 2].max():.4g} m, behind the flange; z points away from it"
                )

    @property
    def below_m(self) -> float:
        """How far a part reaches beyond the TCP, away from the flange, m; 0 where none does."""
        ends = [float(vertices[:, 2].max()) for _, (vertices, _) in self.parts()]
        return max(0.0, max(ends, default=0.0) - self.tcp_m)

    def parts(self) -> Iterator[tuple[str, Triangles]]:
        """Name and surface, in the flange's frame, of every part but the gripper."""
        for name, box in self.boxes.items():
            half, middle = 500 * (box.high - box.low), 500 * (box.high + box.low)
            ends = 1000 * np.array(box.z_m)
            section = [float(ends[0]), *map(float, middle[:2]), *map(float, half[:2]), 0.0]
            yield name, Loft("z", [section, [float(ends[1])]], sides=4).triangles()
        for name, each in self.cylinders.items():
            radius = 1000 * each.radius_m / np.cos(np.pi / _SIDES)  # the polygon encloses the circle
            start, end = 1000 * each.z_m[0], 1000 * each.z_m[1]
            stations = [[start, 1000 * each.x_m, 1000 * each.y_m, float(radius)], [end]]
            yield name, Loft("z", stations, sides=_SIDES).triangles()
        if self.mesh is not None:
            yield Path(self.mesh.file).stem, _stl(self.mesh)


def tool_digest(tool: Tool) -> str:
    """Twelve hexadecimal digits of all that the file of a rig's tool decides, the content of its mesh included.

    Raises:
        ConfigError: as :meth:`ToolParams.load`.
    """
    params = ToolParams.load(tool)
    mesh = params.mesh
    files = [] if mesh is None else [Path(mesh.file)]
    values = asdict(replace(params, mesh=None))
    return fingerprint([values, None if mesh is None else mesh.unit_m], *files)


def known_tools() -> list[str]:
    """Names of the tools that have a file."""
    return sorted({path.stem for place in _places("*") for path in place.parent.glob(place.name)})


def _places(name: str) -> tuple[Path, Path]:
    """Where a tool's file may lie: in the working folder, or, for workers elsewhere, beside this package."""
    return TOOLS_PATH / f"{name}.yaml", ROOT / TOOLS_PATH / f"{name}.yaml"


def _stl(mesh: Mesh) -> Triangles:
    spec = mujoco.MjSpec()
    spec.add_mesh(
        name="tool", file=mesh.file, scale=[mesh.unit_m] * 3, inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL
    )
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname="tool")
    try:
        model = spec.compile()
    except ValueError as error:
        raise ConfigError(f"{mesh.file}: no binary STL file ({one_line(error)}); export it as a binary STL") from error
    turn = np.zeros(9)
    mujoco.mju_quat2Mat(turn, model.mesh_quat[0])  # MuJoCo keeps a mesh about its centre, along its inertia's axes
    return model.mesh_vert @ turn.reshape(3, 3).T + model.mesh_pos[0], model.mesh_face.copy()
