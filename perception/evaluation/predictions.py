"""Runs the estimator over the frames of a split, drawing each window it asks for from the frame's own scene."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from datasets.common.files import write_whole
from datasets.common.workers import Pool, in_order
from datasets.generation.splits import SplitPlan
from datasets.rig.envelope import direction_deg, focal_640_px
from datasets.rig.projection import Array, Window, invert, project, transform
from datasets.rig.rig import BASE_TARGET_M
from datasets.scene.depth_sensor import seen_at
from datasets.scene.photographer import Photographer, Picture
from datasets.scene.scene import Scene, SceneSampler
from perception.estimator.estimator import PositionEstimator

CHUNK = 25
FIRST_NOISE_SEED = 0
"""Noise seed of a frame's first look. Each further look takes the next one, so that no two pictures share noise."""


class DrawsWindows(Protocol):
    """Photographs scenes window by window; belongs to the thread that made it."""

    def photograph(self, scene: Scene, window: Window, size_px: int, noise_seed: int = 0) -> Picture:
        """``rgb (S, S, 3)`` uint8 and noisy ``depth (S, S)`` float32 m, 0 where there is no reading."""
        ...

    def close(self) -> None:
        """Free what it holds; idempotent."""
        ...


OpensPhotographer = Callable[[SplitPlan], DrawsWindows]


def classic(plan: SplitPlan) -> DrawsWindows:
    """The photographer that training's frames are drawn by, for a split's arm.

    Raises:
        ConfigError: there is no OpenGL here.
    """
    return Photographer(plan.rig, plan.randomization.arm)


@dataclass(frozen=True)
class Predictions:
    """Estimates beside the truth, one row per frame; positions and sigmas ``(N, 3)`` m, base frame.

    Attributes:
        tcp: the truth.
        glance, glance_sigma: of the first look.
        coarse, coarse_sigma: of the look before the fovea, which may be the first.
        fovea, fovea_sigma: of the last: the answer.
        base_error: ``(N, 3)`` m, of where the arm's base is seen, base frame; base_sigma: likewise.
        distance: ``(N,)`` m, of the TCP from the camera along its axis.
        side, elevation: ``(N,)`` deg, of the camera seen from the TCP, as :mod:`datasets.rig.envelope` measures them.
        focal: ``(N,)`` px, of an image scaled to 640x480.
        moved: ``(N,)``, estimated probability that the camera is not at the given pose.
        shown: ``(N,)``, share of the tool that the camera sees, as
            :meth:`datasets.scene.photographer.Photographer.tool_shown` has it; NaN where it was not asked for.
        in_window: ``(N,)``, 1 where the window that the fovea was first shown has the TCP in it.
        evidence: ``(N, 5)``, for and against the answer, as :mod:`perception.estimator.doubt` describes it.
    """

    tcp: Array
    glance: Array
    glance_sigma: Array
    coarse: Array
    coarse_sigma: Array
    fovea: Array
    fovea_sigma: Array
    base_error: Array
    base_sigma: Array
    distance: Array
    side: Array
    elevation: Array
    focal: Array
    moved: Array
    shown: Array
    in_window: Array
    evidence: Array

    @classmethod
    def joined(cls, parts: list["Predictions"]) -> "Predictions":
        """The rows of all parts, in order."""
        names = cls.__dataclass_fields__
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})

    @classmethod
    def read(cls, file: Path) -> "Predictions":
        """What :meth:`write` wrote."""
        with np.load(file) as columns:
            return cls(**columns)

    def write(self, file: Path) -> None:
        """Keep the rows, whole or not at all."""
        content = io.BytesIO()
        np.savez(content, **self.__dict__)
        write_whole(file, content.getvalue())


def predict(
    folder: Path,
    plan: SplitPlan,
    pool: Pool,
    opens: OpensPhotographer = classic,
    kept: Path | None = None,
    look_for_tool: bool = False,
) -> Predictions:
    """Locate the TCP in every frame of a split; the result does not depend on how many processes do it.

    Args:
        folder: of the estimator.
        plan: of the split.
        pool: runs the work.
        opens: opens, in a process, the photographer of the split's scenes.
        kept: folder in which each part of the result is kept as soon as it is done. Parts that are there are not
            done again; use it for this estimator and plan alone.
        look_for_tool: also find out how much of the tool each frame shows; only where MuJoCo draws it.

    Raises:
        DataError: a worker process died.
    """
    tasks = [range(i, min(i + CHUNK, plan.frames)) for i in range(0, plan.frames, CHUNK)]
    parts = []
    with tqdm(total=plan.frames, desc=plan.name, unit="frame") as bar:
        for part in in_order(pool.run(_FramePredictor(folder, plan, opens, kept, look_for_tool), tasks)):
            parts.append(part)
            bar.update(len(part.tcp))
    return Predictions.joined(parts)


class _FramePredictor:
    """Locates the TCP in some frames of a split; called with their numbers. A process opens what it needs once."""

    def __init__(
        self, folder: Path, plan: SplitPlan, opens: OpensPhotographer, kept: Path | None, look_for_tool: bool
    ) -> None:
        self._folder, self._plan, self._opens, self._kept = folder, plan, opens, kept
        self._look_for_tool = look_for_tool
        self._opened: tuple[PositionEstimator, DrawsWindows, SceneSampler] | None = None

    def __call__(self, frames: range) -> Predictions:
        if self._kept is None:
            return self._predict(frames)
        file = self._kept / f"{frames.start}_{frames.stop}.npz"
        if file.is_file():
            return Predictions.read(file)
        part = self._predict(frames)
        part.write(file)
        return part

    def _predict(self, frames: range) -> Predictions:
        estimator, photographer, sampler = self._opened = self._opened or self._open()
        rows = []
        for index in frames:
            scene = sampler.sample(self._plan.scene_seed(index))
            location = estimator.locate(SceneCamera(photographer, scene), scene.t_base_camera_told, scene.intrinsics)
            base = seen_at(transform(invert(scene.t_base_camera), BASE_TARGET_M), scene.depth_error)
            base_error = location.base.xyz - transform(scene.t_base_camera_told, base)
            looks = (location.glance, location.coarse, location.fovea)
            estimates = [values for each in looks for values in (each.xyz, each.sigma)]
            point = transform(invert(scene.t_base_camera), scene.tcp)
            shown = np.nan
            if self._look_for_tool and isinstance(photographer, Photographer):
                shown = photographer.tool_shown(scene)
            chosen = estimator.first_window(location, scene.intrinsics)
            in_window = bool(point[2] > 0 and chosen.contains(project(point, scene.intrinsics)))
            angles = direction_deg(scene.t_base_camera, scene.tcp)
            camera = (point[2], *angles, focal_640_px(scene.intrinsics))
            seen = (base_error, location.base.sigma, *camera, location.moved, shown, in_window, location.evidence)
            rows.append((scene.tcp, *estimates, *seen))
        return Predictions(*(np.stack(column) for column in zip(*rows, strict=True)))

    def close(self) -> None:
        """Free what the photographer holds; idempotent."""
        if self._opened is not None:
            self._opened[1].close()
            self._opened = None

    def _open(self) -> tuple[PositionEstimator, DrawsWindows, SceneSampler]:
        rig = self._plan.rig
        estimator = PositionEstimator.load(self._folder, rig)
        return estimator, self._opens(self._plan), SceneSampler(rig, self._plan.randomization)


class SceneCamera:
    """Photographs one scene window by window."""

    def __init__(self, photographer: DrawsWindows, scene: Scene) -> None:
        self._photographer, self._scene = photographer, scene
        self._noise_seed = FIRST_NOISE_SEED

    def __call__(self, window: Window, size_px: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """The next picture."""
        picture = self._photographer.photograph(self._scene, window, size_px, self._noise_seed)
        self._noise_seed += 1
        return picture
