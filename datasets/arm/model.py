"""The xArm7 with its gripper as a MuJoCo specification: the project's own, or the official meshes when at hand."""

from pathlib import Path
from typing import Literal

import mujoco
import numpy as np

from datasets.arm.official import menagerie_available, official_spec
from datasets.arm.shapes import Colour, Triangles, joined, load_shapes, mirrored
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
GRIPPER_CLOSED_RAD = 0.85
ARM_ACTUATORS = tuple(f"act{i}" for i in range(1, 8))
"""Position servos of the own arm's joints, rad."""
GRIPPER_ACTUATOR = "gripper"
"""Position servo of the own arm's gripper, 0 .. ``GRIPPER_CLOSED_RAD``; the other five joints follow."""
TCP_SITE = "link_tcp"
COLOURS: dict[Colour, tuple[float, float, float]] = {
    "white": (1.0, 1.0, 1.0),
    "gray": (0.753, 0.753, 0.753),
    "black": (0.149, 0.149, 0.149),
}
"""Names and linear values of the official model's three materials; a geom's material is ``arm_<name>``."""

_OWN_XML = Path(__file__).with_name("xarm7.xml")


def arm_spec(arm: ArmName = "own", *, shapes: bool = True, decimate: bool = True) -> mujoco.MjSpec:
    """The arm alone, its base frame at the origin; joints ``ARM_JOINTS`` and ``GRIPPER_JOINTS``, site ``TCP_SITE``.

    The own arm can be simulated: masses, inertias, joint friction and damping, position servos with force limits, the
    gripper's linkage, and gravity compensated as the controller does. Not modelled: contact of any kind, gear backlash
    and elasticity, the controller's trajectory planning. The official arm serves for its look alone.

    Args:
        arm: "own", needing nothing but this package, or "menagerie", the official meshes where the user has them.
        shapes: False leaves out of the own arm what is only seen: enough for kinematics.
        decimate: False keeps the official meshes at their full 86 000 faces.

    Raises:
        ConfigError: no arm of that name.
        DataError: the official model is not at hand; the message says how to get it.
    """
    if arm == "menagerie":
        return official_spec(decimate)
    if arm != "own":
        raise ConfigError(f"arm must be 'own' or 'menagerie', got {arm!r}")
    spec = mujoco.MjSpec.from_file(str(_OWN_XML))
    if shapes:
        add_materials(spec)
        for body, colour, triangles in own_surfaces():
            add_surface(spec, body, colour, triangles)
    return spec


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


def add_surface(spec: mujoco.MjSpec, body: str, colour: Colour, triangles: Triangles) -> None:
    """Give ``body`` a visible surface that neither collides nor weighs."""
    name = f"{body}_{colour}"
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
        material=f"arm_{colour}",
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
