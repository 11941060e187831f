r"""Semi-real frames: a real room, a real arm, and a simulated gripper drawn onto its flange, in depth and light.

The gripper hides and is hidden as its depth says. Its light is the real arm's: with first-order spherical harmonics
(Ramamoorthi & Hanrahan 2001, "An efficient representation for irradiance environment maps") the linear colour of a
surface with albedo :math:`a` and normal :math:`n` is :math:`a\,(c + b \cdot n)`, whose :math:`c` and :math:`b` are
fitted, channel by channel, to what the frame shows of the arm. There is no gloss and no shadow. Its depth has the noise
and the losses of the simulated sensor; the rest of the frame stays as it was taken.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from datasets.arm.model import GRIPPER_CLOSED_RAD
from datasets.common.errors import DataError
from datasets.rig.frame import Frame
from datasets.rig.projection import Array, Intrinsics
from datasets.scene.depth_sensor import NO_ERROR, measured_depth
from perception.calibration.captures import Captures
from perception.calibration.registration.arm_view import TOOL, ArmView
from perception.calibration.registration.register import KNOWN_TOOL
from perception.estimator.estimator import PositionEstimator
from perception.estimator.table_plane import seen_from_table
from perception.evaluation.metrics import summarize
from perception.real.judge import LEAST_SEEN, references
from perception.real.likeness import end_seen

DRAWS = 8
"""Grippers drawn on each frame, each turned about the flange's axis and opened at random."""
MEANS = "real room, real arm, simulated hand drawn onto it; its posture and place are the frames', not the envelope's"
GAMMA = 2.2
IN_FRONT_M = 0.03
"""Real depth must be this much nearer than the gripper to hide it: noise and flying pixels are not objects."""
SEAM_PX = 9
"""This near to the gripper, depth is the simulated sensor's, since its errors reach beyond an edge."""
MARGIN_PX = 60
BLUR_PX, NOISE_GREY = 0.7, 2.0
SATURATED, LEAST_LIT, MOST_LIT = 250, 200, 5000
REWEIGHTINGS, ROBUST = 10, 0.1


@dataclass(frozen=True)
class SemiReal:
    """One drawn frame.

    Attributes:
        frame: the picture.
        index: of the real frame.
        tcp: ``(3,)`` m in the base frame, of the drawn gripper.
        seen: how much of the gripper is in view.
    """

    frame: Frame
    index: int
    tcp: Array
    seen: float


def draw(
    view: ArmView, frame: Frame, joints: Array, gripper_rad: float, pose: Array, k: Intrinsics, seed: int
) -> Frame:
    """The frame with a gripper on its flange.

    Args:
        view: the arm with the gripper.
        frame: real, of a bare flange; its depth without the camera's own errors.
        joints: ``(7,)`` rad of the frame; the last one turns the gripper.
        gripper_rad: 0 open.
        pose: of the camera, 4x4.
        k: of the frame.
        seed: of the noise.

    Raises:
        DataError: too little of the arm is in view to determine its light.
    """
    view.place(joints, gripper_rad)
    depth, links, albedo = view.paint(pose, k)
    box, k_box = _box(links >= 0, k)
    depth, links, albedo = depth[box], links[box], albedo[box]
    real, read = frame.rgb[box], frame.depth[box]
    normals = _normals(depth, k_box)
    light = fit_light(real, albedo, normals, (links >= 0) & (links != TOOL) & (np.abs(read - depth) < IN_FRONT_M))
    hand = (links == TOOL) & ((read == 0) | (read > depth - IN_FRONT_M))
    rng = np.random.default_rng(seed)
    lit = albedo[hand] * np.clip(_basis(normals[hand]) @ light, 0, None)
    colour = real.astype(np.float32)
    colour[hand] = 255 * np.clip(lit, 0, 1) ** (1 / GAMMA) + rng.normal(0, NOISE_GREY, (int(hand.sum()), 1))
    near = _grown(hand, 3)
    colour[near] = cv2.GaussianBlur(colour, (0, 0), BLUR_PX)[near]
    rgb, whole = frame.rgb.copy(), frame.depth.copy()
    rgb[box] = np.rint(colour.clip(0, 255))
    both = np.where(hand, depth, read).astype(np.float32)
    sensed = measured_depth(both, rgb[box], k_box, 1.0, NO_ERROR, rng)
    whole[box] = np.where(_grown(hand, SEAM_PX), sensed, read)
    return Frame(rgb, whole, frame.timestamp)


def fit_light(rgb: NDArray[np.uint8], albedo: Array, normals: Array, arm: NDArray[np.bool_]) -> Array:
    """Light ``(4, 3)``: ambient and three directional coefficients of each channel, by robust least squares.

    Args:
        rgb: ``(H, W, 3)`` of the frame.
        albedo: ``(H, W, 3)``, linear, of the drawn arm.
        normals: ``(H, W, 3)`` of its surface.
        arm: ``(H, W)``, which pixels show it.
    """
    chosen = arm & (rgb.max(axis=2) < SATURATED) & (albedo.min(axis=2) > 0)
    if chosen.sum() < LEAST_LIT:
        raise DataError(f"{int(chosen.sum())} pixels show the arm where the pose has it: too few to measure its light")
    part = slice(None, None, max(int(chosen.sum()) // MOST_LIT, 1))
    basis, paint = _basis(normals[chosen][part]), albedo[chosen][part]
    seen = (rgb[chosen][part] / 255.0) ** GAMMA
    light = np.empty((4, 3))
    for channel in range(3):
        rows, weight = basis * paint[:, channel : channel + 1], np.ones(len(basis))
        for _ in range(REWEIGHTINGS):
            weighted = rows * weight[:, None]
            light[:, channel] = np.linalg.solve(weighted.T @ rows + 1e-6 * np.eye(4), weighted.T @ seen[:, channel])
            weight = 1 / (1 + ((rows @ light[:, channel] - seen[:, channel]) / ROBUST) ** 2)
    return light


def drawn_frames(captures: Captures, pose: Array, tcp_offset_m: float, draws: int = DRAWS) -> Iterator[SemiReal]:
    """Each frame with grippers drawn onto it, ``draws`` of each, the same ones every time.

    Args:
        captures: of a bare flange.
        pose: of the camera (4x4), the best that is known: the drawn hand is where the real arm seems to be.
        tcp_offset_m: of the gripper's TCP along the flange's axis.
        draws: of each frame.
    """
    k = captures.intrinsics
    view = ArmView((k.width, k.height))
    try:
        for index, frame in enumerate(captures.frames):
            for number in range(draws):
                rng = np.random.default_rng([index, number])
                joints = captures.joints[index] + np.eye(7)[6] * rng.uniform(-np.pi, np.pi)
                gripper_rad, seed = rng.uniform(0, GRIPPER_CLOSED_RAD), int(rng.integers(2**32))
                picture, tcp = (
                    draw(view, frame, joints, gripper_rad, pose, k, seed),
                    references(joints[None], tcp_offset_m)[0],
                )
                yield SemiReal(picture, index, tcp, end_seen(view, pose, k, frame.depth, tcp))
    finally:
        view.close()


def measure(
    estimator: PositionEstimator, captures: Captures, pose: Array, table_z_m: float, draws: int = DRAWS
) -> dict[str, Any]:
    """Errors of an estimator of the gripper on semi-real frames: count, median, 95th percentile, and each frame's."""
    tool = estimator.rig.tool
    if tool.name != KNOWN_TOOL:
        return {"n": 0, "reason": f"the estimator is for the tool {tool.name}, the drawn hand is {KNOWN_TOOL}"}
    errors: list[list[Array]] = [[] for _ in captures.joints]
    drawn = drawn_frames(captures, pose, tool.tcp_offset_m, draws)
    for each in tqdm(drawn, total=draws * len(captures), desc="semi-real", unit="frame"):
        if each.seen >= LEAST_SEEN:
            found = estimator.locate(each.frame.cut, seen_from_table(pose, table_z_m), captures.intrinsics).fovea.xyz
            errors[each.index].append(found + np.array([0.0, 0.0, table_z_m]) - each.tcp)
    every = np.array([error for of in errors for error in of]).reshape(-1, 3)
    if not len(every):
        return {"n": 0, "reason": "no frame shows the hand"}
    by_frame = [summarize(np.array(of).reshape(-1, 3)) for of in errors]
    return {**summarize(every), "means": MEANS, "by_frame": by_frame}


def _box(arm: NDArray[np.bool_], k: Intrinsics) -> tuple[tuple[slice, slice], Intrinsics]:
    """The part of the image that holds the arm, with what the sensor makes of its edges, and its intrinsics."""
    rows, columns = np.nonzero(arm)
    if not len(rows):
        raise DataError("the arm is not in view, where the pose has it")
    top, left = max(rows.min() - MARGIN_PX, 0), max(columns.min() - MARGIN_PX, 0)
    box = np.s_[top : rows.max() + MARGIN_PX, left : columns.max() + MARGIN_PX]
    height, width = min(rows.max() + MARGIN_PX, k.height) - top, min(columns.max() + MARGIN_PX, k.width) - left
    return box, replace(k, width=int(width), height=int(height), cx=k.cx - float(left), cy=k.cy - float(top))


def _basis(normals: Array) -> Array:
    return np.concatenate([np.ones((len(normals), 1)), normals], axis=1)


def _normals(depth: NDArray[np.float32], k: Intrinsics) -> Array:
    """Unit normals ``(H, W, 3)`` towards the camera, camera frame, of a drawn depth image; not usable at edges."""
    z = cv2.GaussianBlur(depth, (0, 0), 1.0).astype(float)
    z_u, z_v = np.gradient(z, axis=1), np.gradient(z, axis=0)
    rows, columns = np.indices(z.shape)
    across, down = columns - k.cx, rows - k.cy
    normal = np.stack([k.fx * z_u, k.fy * z_v, -(z + across * z_u + down * z_v)], axis=-1)
    return normal / np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-9)


def _grown(mask: NDArray[np.bool_], by_px: int) -> NDArray[np.bool_]:
    return cv2.dilate(mask.astype(np.uint8), np.ones((2 * by_px + 1,) * 2)) > 0
