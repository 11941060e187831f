"""Convex pieces that hold every link, the gripper at any opening and the tool: inflated hulls of our arm model's lofts.

In places our own arm model is a few millimetres coarser than the official meshes, so each piece is thickened by what is
missing (``inflation.yaml``, made and explained by :mod:`control.clearance.inflation`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import mujoco
import numpy as np
import yaml
from scipy.spatial import ConvexHull

from control.clearance.params import Obstacle
from datasets.arm.model import GRIPPER_CLOSED_RAD, GRIPPER_JOINTS, arm_spec
from datasets.arm.shapes import load_shapes, mirrored
from datasets.arm.tools import ToolParams
from datasets.common.errors import ConfigError
from datasets.rig.projection import Array

INFLATION_PATH = Path(__file__).with_name("inflation.yaml")
LINKS = ("link_base", *(f"link{i}" for i in range(1, 8)))
GRIPPER, FLANGE = "xarm_gripper_base_link", "link7"
GRIPPER_NAME = "gripper"
OPENINGS = 8
"""Number of openings whose common hull stands for the gripper's whole travel. Between them a finger moves on an arc of
55 mm, which leaves the hull by less than 0.1 mm (part of the inflation)."""


@dataclass(frozen=True)
class Piece:
    """A convex part: the hull of ``vertices`` (V, 3) m in the frame of ``LINKS[link]``, thickened all round.

    Attributes:
        name: name used in messages: the link, "gripper", or the tool's own name.
        key: name of the piece among those of the arm, for ``inflation.yaml``.
    """

    name: str
    link: int
    vertices: Array
    inflation_m: float = 0.0
    key: str = ""


@cache
def arm_pieces() -> tuple[Piece, ...]:
    """All pieces of the arm and of its gripper at any opening.

    Raises:
        ConfigError: ``inflation.yaml`` was made for another set of pieces; make it again.
    """
    bare = bare_pieces()
    inflation = yaml.safe_load(INFLATION_PATH.read_text())
    if list(inflation) != [piece.key for piece in bare]:
        raise ConfigError(
            f"{INFLATION_PATH.name} does not name the pieces of the arm's shapes; "
            "run python -m control.clearance.inflation where the official meshes are at hand"
        )
    return tuple(replace(piece, inflation_m=inflation[piece.key] / 1000) for piece in bare)


def pieces_with(tool: ToolParams) -> tuple[Piece, ...]:
    """The arm's pieces with a tool: the gripper's if it has one, and the hull of each part that its file describes.

    These parts are not thickened: the file must already include the uncertainty of its measures.
    """
    arm = [piece for piece in arm_pieces() if piece.name != GRIPPER_NAME or tool.opening_rad is not None]
    parts = [Piece(name, LINKS.index(FLANGE), _hull(vertices)) for name, (vertices, _) in tool.parts()]
    return (*arm, *parts)


def tool_pieces(boxes: Sequence[Obstacle]) -> tuple[Piece, ...]:
    """Pieces of what is held, given as boxes in the flange's frame, z away from the arm."""
    return tuple(Piece(box.name, LINKS.index(FLANGE), box.corners) for box in boxes)


@cache
def bare_pieces() -> tuple[Piece, ...]:
    """The pieces of our own arm model, not thickened."""
    pieces = []
    for body, solids in _solids().items():
        if body in LINKS:
            for number, vertices in enumerate(solids):
                pieces.append(Piece(body, LINKS.index(body), _hull(vertices), key=f"{body}.{number}"))
    in_flange = _gripper_in_flange()
    for body, poses in in_flange.items():
        # A part that moves becomes one hull over all openings; of a part that stands still, each solid has its own.
        solids = _solids()[body]
        for number, solid in enumerate(solids if body == GRIPPER else [np.concatenate(solids)]):
            swept = np.concatenate([solid @ pose[:3, :3].T + pose[:3, 3] for pose in poses])
            pieces.append(Piece(GRIPPER_NAME, LINKS.index(FLANGE), _hull(swept), key=f"{body}.{number}"))
    return tuple(pieces)


def _solids() -> dict[str, list[Array]]:
    """Vertices of each body's convex solids in its own frame, the right hand mirrored from the left."""
    solids: dict[str, list[Array]] = {}
    for body, lofts in load_shapes().items():
        for loft in lofts:
            one = replace(loft, mirror=None).triangles()
            copies = [one] if loft.mirror is None else [one, mirrored(one, loft.mirror)]
            solids.setdefault(body, []).extend(vertices for vertices, _ in copies)
    for body in [body for body in solids if body.startswith("left_")]:
        solids[body.replace("left_", "right_")] = [vertices * (1, -1, 1) for vertices in solids[body]]
    return solids


def _gripper_in_flange() -> dict[str, list[Array]]:
    """``T_flange_body`` (4x4) of each of the gripper's bodies, at every opening."""
    model = arm_spec("own", shapes=False).compile()
    data = mujoco.MjData(model)
    joints = [model.joint(name).qposadr[0] for name in GRIPPER_JOINTS]
    bodies = [body for body in _solids() if body not in LINKS]
    poses: dict[str, list[Array]] = {body: [] for body in bodies}
    for angle in np.linspace(0, GRIPPER_CLOSED_RAD, OPENINGS):
        data.qpos[joints] = angle
        mujoco.mj_kinematics(model, data)
        flange = data.body(FLANGE)
        turn = flange.xmat.reshape(3, 3).T
        for body in bodies:
            pose = np.eye(4)
            pose[:3, :3] = turn @ data.body(body).xmat.reshape(3, 3)
            pose[:3, 3] = turn @ (data.body(body).xpos - flange.xpos)
            poses[body].append(pose)
    return poses


def _hull(points: Array) -> Array:
    return points[ConvexHull(points).vertices]
