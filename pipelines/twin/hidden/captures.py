"""Captures of a hidden twin, drawn without its real-time loop; and spoiled captures, to be refused."""

from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike

from datasets.arm.kinematics import Kinematics
from datasets.arm.model import ArmName
from datasets.common.errors import ConfigError
from datasets.rig.projection import Array
from datasets.rig.rig import Rig
from datasets.scene.photographer import Photographer
from perception.calibration.captures import Captures, Setting
from pipelines.twin.hidden.truth import Truth
from pipelines.twin.hidden.world import DEPTH_UNIT_M, Sensor, hidden_scene


class Spoil(StrEnum):
    """Defects of captures; each is a reason to refuse them."""

    TOO_FEW = "too_few_postures"
    ONE_SIDE = "all_from_one_side"
    HIDDEN = "arm_hidden"
    MOVED = "camera_moved_by_5_mm"
    TOOL = "tool_off_by_10_mm"
    TCP = "tcp_off_by_10_mm"
    MIRRORED = "joints_mirrored"
    SWAPPED = "joints_swapped"
    NO_DEPTH = "depth_missing"
    OTHER_ROBOT = "another_robot"


def hidden_captures(
    seed: int,
    postures: ArrayLike,
    *,
    rig: Rig | None = None,
    arm: ArmName = "own",
    frames: int = 3,
    joint_offsets: bool = False,
    intrinsics_error: float = 0.0,
    spoil: Spoil | None = None,
) -> tuple[Captures, Truth]:
    """The captures that a hidden twin's camera gives of an arm at rest, and the truth of that twin.

    A 640x480 frame takes some 30 ms. The tools that are judged may be given the captures, never the truth.

    Args:
        seed: the seed of all hidden values.
        postures: ``(P, 7)`` rad, as the encoders report them.
        rig: gives image size, workspace and tool; default: the repository's.
        arm: the shapes that are drawn.
        frames: number of frames of each posture, which differ by their noise.
        joint_offsets, intrinsics_error: as in :meth:`Truth.draw`.
        spoil: the defect of the captures, if any.
    """
    rig = rig or Rig.load()
    postures = np.asarray(postures, dtype=float)
    if spoil is Spoil.ONE_SIDE:  # the arm hardly moves; the nearest of a plan would not do, they are spread as all are
        postures = np.asarray(postures[0] + (postures - postures[0]) / 3)
    truth = Truth.draw(seed, rig, joint_offsets=joint_offsets, intrinsics_error=intrinsics_error)
    shown = postures + truth.joint_offsets
    scene, numbers = hidden_scene(truth, rig, arm), np.repeat(np.arange(len(postures)), frames)
    photographer = _PHOTOGRAPHERS.get(spoil, Photographer)(rig, arm)
    sensor = Sensor(truth)
    try:
        pictures = []
        for i, posture in enumerate(numbers.tolist()):
            moved = scene.t_base_camera.copy()
            if spoil is Spoil.MOVED and 2 * posture >= len(postures):
                moved[:3, 3] += 0.005 * np.array([-np.sin(seed), np.cos(seed), 0.0])
            there = replace(scene, joints_rad=shown[posture], t_base_camera=moved)
            pictures.append(sensor.read(photographer.photograph_native(there, i)))
    finally:
        photographer.close()
    kinematics = Kinematics(rig.tool.tcp_offset_m)
    joints = postures[numbers]
    captures = Captures(
        rgb=np.stack([rgb for rgb, _ in pictures]),
        depth=np.stack([depth for _, depth in pictures]),
        joints=joints,
        tcp=np.array([kinematics.tcp(each) for each in joints]),
        timestamps=np.arange(len(numbers)) / 15,
        postures=numbers.astype(np.int64),
        intrinsics=truth.told_camera,
        setting=Setting(camera="hidden twin", depth_unit_m=DEPTH_UNIT_M, tool=rig.tool.name, planned=len(postures)),
    )
    return (captures if spoil is None else _spoiled(captures, spoil)), truth


class _LongArm(Photographer):
    """Draws a robot with upper arm and forearm a seventh longer."""

    def __init__(self, rig: Rig, arm: ArmName = "own") -> None:
        super().__init__(rig, arm)
        for link in ("link3", "link5"):
            self._model.body_pos[self._model.body(link).id] *= 8 / 7


class _LongTool(Photographer):
    """Draws the tool 10 mm farther from the flange than the given offset."""

    def __init__(self, rig: Rig, arm: ArmName = "own") -> None:
        super().__init__(rig, arm)
        self._model.body_pos[self._model.body("xarm_gripper_base_link").id][2] += 0.01


class _NoArm(Photographer):
    """Draws the room without the arm."""

    def __init__(self, rig: Rig, arm: ArmName = "own") -> None:
        super().__init__(rig, arm)
        self._model.geom_pos[self._arm] += 100.0


_PHOTOGRAPHERS: dict[Spoil | None, type[Photographer]] = {
    Spoil.OTHER_ROBOT: _LongArm,
    Spoil.TOOL: _LongTool,
    Spoil.HIDDEN: _NoArm,
}


def spoiled(kind: Spoil | str, seed: int, postures: ArrayLike, *, rig: Rig | None = None, frames: int = 3) -> Captures:
    """Captures of a hidden twin that must be refused; raises ConfigError if there is no such kind of defect."""
    try:
        spoil = Spoil(kind)
    except ValueError:
        raise ConfigError(f"no captures are spoiled by {kind!r}; there are {', '.join(Spoil)}") from None
    return hidden_captures(seed, postures, rig=rig, frames=frames, spoil=spoil)[0]


def _few(captures: Captures) -> Captures:
    return captures.select(captures.postures < 2)


def _told_joints(turn: Callable[[Array], Array]) -> Callable[[Captures], Captures]:
    """Create an edit that keeps the pictures but reports other joints, and the TCP that belongs to them."""

    def told(captures: Captures) -> Captures:
        joints = np.asarray(turn(captures.joints), dtype=float)
        kinematics = Kinematics()
        return replace(captures, joints=joints, tcp=np.array([kinematics.tcp(each) for each in joints]))

    return told


def _tcp_off(captures: Captures) -> Captures:
    kinematics = Kinematics()
    along = np.array([kinematics.tcp_pose(joints)[:3, 2] for joints in captures.joints])
    return replace(captures, tcp=captures.tcp + 0.01 * along)


_EDITS: dict[Spoil, Callable[[Captures], Captures]] = {
    Spoil.TOO_FEW: _few,
    Spoil.TCP: _tcp_off,
    Spoil.MIRRORED: _told_joints(lambda joints: joints * np.array([-1.0, 1, -1, 1, -1, 1, -1])),
    Spoil.SWAPPED: _told_joints(lambda joints: joints[:, [0, 1, 4, 3, 2, 5, 6]]),
    Spoil.NO_DEPTH: lambda captures: replace(captures, depth=np.zeros_like(captures.depth)),
}
"""Defects that are made by editing good captures; the others are drawn."""


def _spoiled(captures: Captures, spoil: Spoil) -> Captures:
    edit = _EDITS.get(spoil)
    return captures if edit is None else edit(captures)
