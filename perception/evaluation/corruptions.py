"""Frames that cannot be answered, to see whether the estimator says so: the same ones for the same seed, for ever."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mink
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from datasets.generation.splits import SplitPlan
from datasets.rig.projection import Array, Window, invert, project, transform
from datasets.scene.photographer import Photographer
from datasets.scene.scene import Scene, SceneSampler
from perception.estimator.estimator import PositionEstimator

Picture = tuple[NDArray[np.uint8], NDArray[np.float32]]
KINDS = ("occluded", "black", "capped", "no_arm", "no_depth", "turned_away")

SEED = 500
WRONG_M = 0.050
SURE_M = 0.020


def corrupted_photograph(
    photographer: Photographer, scene: Scene, kind: str, seed: int
) -> Callable[[Window, int], Picture]:
    """A photograph of ``scene``, corrupted in one of the ``KINDS``; to be given to ``PositionEstimator.locate``."""
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    if kind == "turned_away":
        away = scene.t_base_camera.copy()
        turn = mink.SO3.exp(np.array([0.0, 0.0, rng.uniform(0.5, 1.5) * np.pi])).as_matrix()
        away[:3, :3] = turn @ away[:3, :3]
        scene = replace(scene, t_base_camera=away)
    board = _Board(scene, rng)
    noise_seed = 0

    def photograph(window: Window, size_px: int) -> Picture:
        nonlocal noise_seed
        take = photographer.photograph_empty if kind == "no_arm" else photographer.photograph
        rgb, depth = take(scene, window, size_px, noise_seed)
        noise_seed += 1
        if kind in ("black", "capped"):
            rgb = rng.integers(0, 4, rgb.shape, dtype=np.uint8)
        if kind in ("no_depth", "capped"):
            depth = np.zeros_like(depth)
        if kind == "occluded":
            board.hold_before(rgb, depth, window)
        return rgb, depth

    return photograph


class _Board:
    """A plain board between camera and gripper, large enough to hide all of the gripper and its window."""

    def __init__(self, scene: Scene, rng: np.random.Generator) -> None:
        tcp = transform(invert(scene.t_base_camera), scene.tcp)
        self._centre: Array = project(tcp, scene.intrinsics) + rng.uniform(-20, 20, 2)
        self._half = rng.uniform(90, 160, 2)
        self._distance = np.float32(tcp[2] * rng.uniform(0.4, 0.85))
        self._colour = rng.integers(0, 256, 3, dtype=np.uint8)
        self._rng = rng

    def hold_before(self, rgb: NDArray[np.uint8], depth: NDArray[np.float32], window: Window) -> None:
        """Draw it into a window's picture, in place."""
        size = depth.shape[0]
        centres = (np.arange(size) + 0.5) / size
        columns = window.left + centres * window.width
        rows = window.top + centres * window.height
        inside = np.ix_(
            np.abs(rows - self._centre[1]) < self._half[1], np.abs(columns - self._centre[0]) < self._half[0]
        )
        rgb[inside] = self._colour
        noise = self._rng.normal(0, 0.003, depth[inside].shape).astype(np.float32)
        depth[inside] = self._distance + noise


def measure_corruptions(folder: Path, plan: SplitPlan, frames: int, seed: int = SEED) -> dict[str, Any]:
    """How often the estimator in ``folder`` is sure of a wrong answer; scenes are drawn as the split's, seeds apart."""
    estimator = PositionEstimator.load(folder, plan.rig)
    sampler = SceneSampler(plan.rig, plan.randomization)
    photographer = Photographer(plan.rig, plan.randomization.arm)
    errors, sigmas = [], []
    for index in tqdm(range(frames), desc="bad frames", unit="frame"):
        scene = sampler.sample(int(np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0]))
        photograph = corrupted_photograph(photographer, scene, KINDS[index % len(KINDS)], index)
        found = estimator.locate(photograph, scene.t_base_camera_told, scene.intrinsics).fovea
        errors.append(found.xyz - scene.tcp)
        sigmas.append(found.sigma)
    photographer.close()
    error, sigma = np.array(errors), np.array(sigmas)
    by_kind = {
        kind: round(confidently_wrong(error[i :: len(KINDS)], sigma[i :: len(KINDS)]), 4)
        for i, kind in enumerate(KINDS)
    }
    share = round(confidently_wrong(error, sigma), 4)
    return {"n": frames, "seed": seed, "confidently_wrong": share, "by_kind": by_kind}


def confidently_wrong(errors_m: Array, sigmas_m: Array) -> float:
    """Share of answers more than 50 mm wrong whose largest sigma is below 20 mm; both ``(N, 3)`` m."""
    wrong = np.linalg.norm(errors_m, axis=1) > WRONG_M
    return float((wrong & (sigmas_m.max(axis=1) < SURE_M)).mean())
