"""The same pictures, simulated: how far an estimator errs at the frames' own postures, and what else adds to it.

The arm stands as the frame's joints have it, before the frame's camera, in rooms of the estimator's own kind. Nothing
but the estimator errs there, so what real frames show beyond it is the difference between both worlds, or an error of
their reference. Each of the other experiments spoils one thing that a reference rests on.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from tqdm import tqdm

from datasets.common.config import load_params
from datasets.generation.splits import FramesParams, SplitPlan
from datasets.rig.projection import Array, Intrinsics
from datasets.scene.depth_sensor import NO_ERROR
from datasets.scene.photographer import Photographer
from datasets.scene.scene import Scene, SceneSampler
from perception.calibration.captures import Captures
from perception.calibration.registration.motion import moved_about
from perception.estimator.estimator import PositionEstimator
from perception.evaluation.metrics import summarize
from perception.evaluation.predictions import SceneCamera
from perception.real.judge import LEAST_SEEN, references

PICTURES = 60
"""Pictures per experiment, over all frames together: a minute's work for any number of frames."""
MEANS = "our arm at the frames' joints, before their camera, in simulated rooms"
FRAMES = {"flange": "params/frames_flange.yaml"}
DEFAULT_FRAMES = "params/frames.yaml"
SPLIT = "anywhere"
FULLY_SHOWN = 0.5
"""Share of the tool's surface that its camera sees where nothing is in front of it: about half
(:meth:`datasets.scene.photographer.Photographer.tool_shown`)."""
POSE_M, POSE_RAD = 0.0055, np.radians(0.8)
"""Difference of two calibrations from halves of the real frames (results/calibration)."""
JOINTS_RAD = 0.002
"""Error per joint: twice what hidden twins' arms are off by (*assumed: joint-offsets*)."""
FOCAL_FRACTION = 0.01
DEPTH_FRACTION = 0.02
"""The maker's bound for cameras of this kind (D400 series data sheet: 2 % up to 2 m)."""


@dataclass(frozen=True)
class Drawn:
    """A simulated picture of a frame.

    Attributes:
        scene: what is drawn; its ``intrinsics`` and pose are the true ones.
        intrinsics, pose: what the estimator is given.
        reference: ``(3,)`` m, base frame: where the joints place the TCP.
    """

    scene: Scene
    intrinsics: Intrinsics
    pose: Array
    reference: Array


Spoil = Callable[[Drawn, np.random.Generator, float], Drawn]


def _exact(drawn: Drawn, rng: np.random.Generator, tcp_offset_m: float) -> Drawn:
    return drawn


def _pose(drawn: Drawn, rng: np.random.Generator, tcp_offset_m: float) -> Drawn:
    off = np.concatenate([POSE_M * _any(rng), POSE_RAD * _any(rng)])
    return replace(drawn, pose=moved_about(drawn.pose, off, drawn.reference))


def _intrinsics(drawn: Drawn, rng: np.random.Generator, tcp_offset_m: float) -> Drawn:
    k = drawn.intrinsics
    factor = 1 + FOCAL_FRACTION * rng.choice([-1, 1])
    return replace(drawn, intrinsics=replace(k, fx=k.fx * factor, fy=k.fy * factor))


def _joints(drawn: Drawn, rng: np.random.Generator, tcp_offset_m: float) -> Drawn:
    told = drawn.scene.joints_rad + rng.uniform(-JOINTS_RAD, JOINTS_RAD, 7)
    return replace(drawn, reference=references(told[None], tcp_offset_m)[0])


def _depth(drawn: Drawn, rng: np.random.Generator, tcp_offset_m: float) -> Drawn:
    scale = DEPTH_FRACTION * rng.choice([-1, 1])
    return replace(drawn, scene=replace(drawn.scene, depth_error=replace(NO_ERROR, scale=scale)))


EXPERIMENTS: dict[str, Spoil] = {
    "exact": _exact,
    "pose": _pose,
    "joints": _joints,
    "intrinsics": _intrinsics,
    "depth": _depth,
}


def measure(
    estimator: PositionEstimator, captures: Captures, pose: Array, table_z_m: float, rooms: int | None = None
) -> dict[str, Any]:
    """Errors of an estimator where the frames are simulated: each experiment's figures, ``exact`` by frame as well.

    Args:
        estimator: of any tool whose frames can be drawn.
        captures: only their joints, intrinsics and number of frames are used, not what they show.
        pose: of the camera (4x4).
        table_z_m: of the table in the base frame; only frames of a table at the base's own height are drawn.
        rooms: of each frame, 0 for none; None: as many as make ``PICTURES``, at least one.
    """
    if rooms is None:
        rooms = max(1, round(PICTURES / len(captures)))
    if not rooms:
        return {"n": 0, "reason": "no room is drawn"}
    if table_z_m:
        return {"n": 0, "reason": "rooms are drawn with the table at the base's height, and this one lies elsewhere"}
    rig = estimator.rig
    offset = rig.tool.tcp_offset_m
    params = load_params(FRAMES.get(rig.tool.name, DEFAULT_FRAMES), FramesParams)
    randomization = SplitPlan.of(params, SPLIT, rig).randomization
    sampler, photographer = SceneSampler(rig, randomization), Photographer(rig, randomization.arm)
    errors: dict[str, list[list[Array]]] = {name: [[] for _ in captures.joints] for name in EXPERIMENTS}
    try:
        drawn = _drawn(sampler, captures, pose, offset, rooms)
        for index, room, each in tqdm(drawn, total=rooms * len(captures), desc="simulated", unit="room"):
            if photographer.tool_shown(each.scene) < FULLY_SHOWN * LEAST_SEEN:
                continue
            for name, spoil in EXPERIMENTS.items():
                spoilt = spoil(each, np.random.default_rng([index, room]), offset)
                camera = SceneCamera(photographer, spoilt.scene)
                found = estimator.locate(camera, spoilt.pose, spoilt.intrinsics).fovea.xyz
                errors[name][index].append(found - spoilt.reference)
    finally:
        photographer.close()
    if not any(errors["exact"]):
        return {"n": 0, "reason": "no simulated frame shows the TCP"}
    figures = {name: summarize(np.concatenate([np.reshape(of, (-1, 3)) for of in by])) for name, by in errors.items()}
    by_frame = [summarize(np.reshape(of, (-1, 3))) if of else {"n": 0} for of in errors["exact"]]
    return {"n": figures["exact"]["n"], "means": MEANS, **figures, "by_frame": by_frame}


def _drawn(
    sampler: SceneSampler, captures: Captures, pose: Array, tcp_offset_m: float, rooms: int
) -> Iterator[tuple[int, int, Drawn]]:
    truth = references(captures.joints, tcp_offset_m)
    for index, joints in enumerate(captures.joints):
        for room in range(rooms):
            scene = sampler.sample(1000 * index + room, lambda _: pose)
            scene = replace(
                scene,
                joints_rad=joints,
                tcp=truth[index],
                intrinsics=captures.intrinsics,
                t_base_camera_told=pose,
                depth_error=NO_ERROR,
            )
            yield index, room, Drawn(scene, captures.intrinsics, pose, truth[index])


def _any(rng: np.random.Generator) -> Array:
    """A direction ``(3,)``."""
    direction = rng.standard_normal(3)
    return np.asarray(direction / np.linalg.norm(direction))
