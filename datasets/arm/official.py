"""The official xArm7 of MuJoCo Menagerie (BSD-3), read where the user already has it; nothing is ever downloaded.

Its meshes have 86 000 faces. Welded and decimated at load they have an eighth of that and look the same from the rig's
camera (mask IoU above 0.99), which makes frames several times as fast to draw.
"""

import os
from functools import cache
from pathlib import Path

import mujoco
import numpy as np

from datasets.arm.shapes import Triangles
from datasets.common.errors import DataError
from datasets.common.files import location

ROBOT = "ufactory_xarm7"
HOW_TO_GET = (
    f"run 'mujoco-menagerie path {ROBOT}' once (package mujoco-menagerie), "
    f"or set MENAGERIE_ROOT to a folder that holds {ROBOT}/xarm7.xml"
)
WELD_M = 1e-3
FACES_PER_MESH = 600
AGGRESSIVENESS = 2
"""Setting of fast-simplification; its default, 7, collapses a link of this arm into a cone."""


def menagerie_available() -> str | None:
    """None when the official model is at hand, else the reason why not and how to get it."""
    found = _folder()
    return None if isinstance(found, Path) else found


def official_spec(decimate: bool = True) -> mujoco.MjSpec:
    """The official arm with its base frame at the origin, for its look: no actuators, contacts or closed loops.

    Raises:
        DataError: the model is not at hand (the message says how to get it), or cannot be decimated or read.
    """
    folder = _folder()
    if not isinstance(folder, Path):
        raise DataError(folder)
    try:
        spec = mujoco.MjSpec.from_file(str(folder / "xarm7.xml"))
    except ValueError as error:
        raise DataError(f"{folder / 'xarm7.xml'}: not a MuJoCo model: {error}") from error
    base = spec.body("link_base")
    if base is None:
        raise DataError(f"{folder / 'xarm7.xml'} has no body link_base, so it is not the official xArm7; {HOW_TO_GET}")
    base.pos = [0.0, 0.0, 0.0]
    for element in (*spec.keys, *spec.actuators, *spec.equalities, *spec.tendons, *spec.excludes):
        spec.delete(element)
    for geom in spec.geoms:
        if geom.type != mujoco.mjtGeom.mjGEOM_MESH:
            spec.delete(geom)
    for material in spec.materials:
        old, material.name = material.name, f"arm_{material.name}"
        for geom in spec.geoms:
            if geom.material == old:
                geom.material = material.name
    for geom in spec.geoms:
        geom.name, geom.contype, geom.conaffinity, geom.group = geom.meshname, 0, 0, 2
    for mesh in spec.meshes:
        stl = folder / spec.meshdir / mesh.file
        if not stl.is_file():
            raise DataError(f"{stl} is missing from the official model; {HOW_TO_GET}")
        mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL
        if decimate:
            vertices, faces = _decimated(stl)
            mesh.file = ""
            mesh.uservert, mesh.userface = vertices.ravel().tolist(), faces.ravel().tolist()
    return spec


@cache
def _decimated(stl: Path) -> Triangles:
    try:
        import fast_simplification
        import trimesh
    except ImportError as error:
        raise DataError(
            f"decimating the official meshes needs {error.name}: install the extra 'menagerie' of this project"
        ) from error
    mesh = trimesh.load_mesh(stl)
    corners = np.rint(mesh.vertices / WELD_M).astype(np.int64)
    _, first, welded = np.unique(corners, axis=0, return_index=True, return_inverse=True)
    faces = welded.reshape(-1)[mesh.faces]
    faces = faces[(faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])]
    vertices = np.asarray(mesh.vertices)[first]
    if len(faces) > FACES_PER_MESH:
        vertices, faces = fast_simplification.simplify(
            vertices.astype(np.float32), faces.astype(np.int32), target_count=FACES_PER_MESH, agg=AGGRESSIVENESS
        )
    return np.asarray(vertices, dtype=float), np.asarray(faces, dtype=np.int32)


def _folder() -> Path | str:
    """The model's folder, or why there is none."""
    root = location(os.environ.get("MENAGERIE_ROOT", ""))
    if root:
        folder = Path(root) / ROBOT
        if (folder / "xarm7.xml").is_file():
            return folder
        return f"MENAGERIE_ROOT is {root}, which holds no {ROBOT}/xarm7.xml; {HOW_TO_GET}"
    try:
        import mujoco_menagerie
    except ImportError:
        return f"the official model is not at hand and mujoco-menagerie is not installed; {HOW_TO_GET}"
    store, robot = mujoco_menagerie.Cache(), mujoco_menagerie.get(ROBOT)
    if not store.is_cached(robot):
        return f"the official model is not in the cache of mujoco-menagerie; {HOW_TO_GET}"
    return Path(store.model_path(robot))
