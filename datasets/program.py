"""Digests of parts of the program: what must not change in the middle of a run."""

import ast
import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import mujoco

DRAWING_FILES = (
    "arm_model.py",
    "arm_shapes.py",
    "arm_shapes.yaml",
    "depth_sensor.py",
    "drawing.py",
    "kinematics.py",
    "look.py",
    "official_arm.py",
    "projection.py",
    "randomization.py",
    "render.py",
    "rig.py",
    "scene.py",
    "splits.py",
    "store.py",
    "studio.py",
    "world.py",
    "xarm7.xml",
)
"""The files that shape a frame's bytes; also what the stage depends on in ``dvc.yaml``."""


def drawing_digest() -> str:
    """Twelve hexadecimal digits that change with the code, shapes or MuJoCo that draw the frames, not with comments."""
    digest = hashlib.sha256(mujoco.__version__.encode())
    for name in DRAWING_FILES:
        content = Path(__file__).with_name(name).read_text()
        digest.update((code_only(content) if name.endswith(".py") else content).encode())
    return digest.hexdigest()[:12]


def modules_digest(modules: Mapping[ModuleType, str]) -> str:
    """Twelve hexadecimal digits that change with the code of the modules named for each package, not with comments."""
    digest = hashlib.sha256()
    for package, names in modules.items():
        assert package.__file__ is not None
        for name in names.split():
            digest.update(code_only(Path(package.__file__).with_name(f"{name}.py").read_text()).encode())
    return digest.hexdigest()[:12]


def code_only(source: str) -> str:
    """Python source as its syntax tree, without comments and docstrings: what changes only when the program does."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [s for s in body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]  # type: ignore[attr-defined]
    return ast.dump(tree)
