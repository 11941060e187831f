"""The xArm7 with its gripper as a MuJoCo specification: the project's own, or the official meshes when at hand."""

from pathlib import Path
from typing import Literal

import mujoco
import numpy as np

from datasets.arm.official import menagerie_available, official_spec
from datasets.arm.shapes import Colour, Triangles, joined, load_shapes, mirrored
from datasets.arm.tools import GRIPPER_CLOSED_RAD, ToolParams
from datasets.common.errors import ConfigError

__all__ = [
    "ARM_ACTUATORS",
    "ARM_JOINTS",
    "COLOURS",
    "GRIPPER_ACTUATOR",
    "GRIPPER_CLOSED_RAD",
    "GRIPPER_JOINTS",
    "TCP_SITE",
    "ArmName",
    "arm_spec",
    "colour_groups",
    "menagerie_available",
]

ArmName = Literal["own", "menagerie"]

ARM_JOINTS = tuple(f"joint{i}" for i in range(1, 8))
GRIPPER_JOINTS = tuple(
    f"{side}_{part}_joint" for side in ("left", "right") for part in ("driver", "finger", "inner_knuckle")
)
"""All six turn by the same angle: the gripper's linkage is a parallelogram (0 open at 85 mm .. 0.85 rad closed)."""
ARM_ACTUATORS = tuple(f"act{i}" for i in range(1, 8))
"""Position servos of the own arm's joints, rad."""
GRIPPER_ACTUATOR = "gripper"
"""Position servo of the own arm's gripper, 0 .. ``GRIPPER_CLOSED_RAD``; the other five joints follow."""
TCP_SITE = "link_tcp"
FLANGE = "link7"
"""The body whose frame is the flange's: tools are mounted on it."""
GRIPPER_LINKS = (
    "xarm_gripper_base_link",
    *(f"{side}_{part}" for side in ("left", "right") for part in ("outer_knuckle", "finger", "inner_knuckle")),
)
COLOURS: dict[Colour, tuple[float, float, float]] = {
    "white": (1.0, 1.0, 1.0),
    "gray": (0.753, 0.753, 0.753),
    "black": (0.149, 0.149, 0.149),
}
"""Names and linear values of the official model's three materials; a geom's material is ``arm_<name>``."""

_OWN_XML = Path(__file__).with_name("xarm7.xml")


def arm_spec(
    arm: ArmName = "own", tool: ToolParams | None = None, *, shapes: bool = True, decimate: bool = True
) -> mujoco.MjSpec:
    """The arm alone, its base frame at the origin; joints ``ARM_JOINTS`` and ``GRIPPER_JOINTS``, site ``TCP_SITE``.

    The own arm can be simulated: masses, inertias, joint friction and damping, position servos with force limits, the
    gripper's linkage, and gravity compensated as the controller does. Not modelled: contact of any kind, gear backlash
    and elasticity, the controller's trajectory planning. The official arm serves for its look alone.

    Args:
        arm: "own", needing nothing but this package, or "menagerie", the official meshes where the user has them.
        tool: mounted in the gripper's place, its parts fixed to body ``FLANGE``; None: the gripper at any opening.
        shapes: False leaves out the own arm's visible surfaces, which kinematics does not need.
        decimate: False keeps the official meshes at their full 86 000 faces.

    Raises:
        ConfigError: no arm of that name.
        DataError: the official model is not at hand; the message says how to get it.
    """
    if arm not in ("own", "menagerie"):
        raise ConfigError(f"arm must be 'own' or 'menagerie', got {arm!r}")
    spec = official_spec(decimate) if arm == "menagerie" else mujoco.MjSpec.from_file(str(_OWN_XML))
    if tool is not None:
        _mount(spec, tool)
    if arm == "own" and shapes:
        add_materials(spec)
        for body, colour, triangles in own_surfaces():
            if spec.body(body) is not None:
                add_surface(spec, body, colour, triangles)
    if tool is not None and (shapes or arm == "menagerie"):
        for name, triangles in tool.parts():
            add_surface(spec, FLANGE, tool.colour, triangles, f"tool {name}")
    return spec


def gripper_joints(model: mujoco.MjModel) -> np.ndarray:
    """Indices of the gripper's six joints in ``qpos``; empty for a tool without a gripper."""
    return np.array(
        [model.joint(name).qposadr[0] for name in GRIPPER_JOINTS] if model.njnt > len(ARM_JOINTS) else [], int
    )


def _mount(spec: mujoco.MjSpec, tool: ToolParams) -> None:
    """Put the TCP where the tool's is, and take the gripper off for a tool without it."""
    if tool.opening_rad is None:
        for element in (*spec.equalities, *(each for each in spec.actuators if each.name == GRIPPER_ACTUATOR)):
            spec.delete(element)
        spec.delete(spec.body(GRIPPER_LINKS[0]))
        # Turned by pi about the axis, as the gripper is mounted.
        spec.body(FLANGE).add_site(name=TCP_SITE, quat=[0.0, 0.0, 0.0, 1.0], size=[0.001] * 3, group=4)
    spec.site(TCP_SITE).pos = [0.0, 0.0, tool.tcp_m]


def own_surfaces() -> list[tuple[str, Colour, Triangles]]:
    """Body, colour and triangles of each visible part of the own arm; the right finger mirrors the left."""
    parts: list[tuple[str, Colour, Triangles]] = []
    for body, lofts in load_shapes().items():
        for colour in COLOURS:
            solids = [loft.triangles() for loft in lofts if loft.colour == colour]
            if not solids:
                continue
            surface = joined(solids)
            parts.append((body, colour, surface))
            if body.startswith("left_"):
                parts.append((body.replace("left_", "right_"), colour, mirrored(surface, "y")))
    return parts


def add_surface(spec: mujoco.MjSpec, body: str, colour: Colour | None, triangles: Triangles, name: str = "") -> None:
    """Give ``body`` a surface that neither collides nor weighs, by default called as body and colour.

    ``colour`` is None for a surface that is never visible.
    """
    name = name or f"{body}_{colour}"
    vertices, faces = triangles
    spec.add_mesh(
        name=name,
        uservert=vertices.ravel().tolist(),
        userface=faces.ravel().tolist(),
        inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL,
    )
    spec.body(body).add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_MESH,
        meshname=name,
        material=f"arm_{colour}" if colour else "",
        contype=0,
        conaffinity=0,
        mass=0,
        group=2,
    )


def colour_groups(model: mujoco.MjModel) -> dict[str, np.ndarray]:
    """Geom ids of the compiled arm by material, ``arm_white``, ``arm_gray`` and ``arm_black``; for either arm.

    The materials' ids are ``model.material(name).id``: setting ``model.mat_rgba`` there recolours a whole group.
    """
    groups = {}
    for colour in COLOURS:
        material = f"arm_{colour}"
        groups[material] = np.flatnonzero(model.geom_matid == model.material(material).id)
    return groups


def add_materials(spec: mujoco.MjSpec) -> None:
    """The three materials of the arm."""
    for colour, rgb in COLOURS.items():
        spec.add_material(name=f"arm_{colour}", rgba=[*rgb, 1.0])


def mesh_of(model: mujoco.MjModel, geom: int) -> Triangles:
    """Vertices ``(V, 3)`` m and faces ``(F, 3)`` of a geom's mesh, in the geom's own frame."""
    mesh = model.geom_dataid[geom]
    vertices = model.mesh_vert[model.mesh_vertadr[mesh] :][: model.mesh_vertnum[mesh]]
    return vertices, model.mesh_face[model.mesh_faceadr[mesh] :][: model.mesh_facenum[mesh]]
