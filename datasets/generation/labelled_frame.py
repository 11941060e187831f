"""Draws the images and labels of a frame from its number."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from datasets.generation.splits import JITTER_TIMES, SplitPlan
from datasets.rig.projection import Array, Window, invert, transform
from datasets.rig.rig import BASE_TARGET_M
from datasets.scene.depth_sensor import seen_at
from datasets.scene.photographer import Photographer
from datasets.scene.scene import Scene, SceneSampler
from datasets.store.store import Columns, LookName, depth_to_units, schema

_NOISE_SEED = {"glance": 0, "fovea": 1, "base": 2, "parafovea": 3}
"""The looks must not share their noise pixel by pixel."""
_JITTER_STREAM = {"fovea": 1, "base": 2, "parafovea": 3}


class Drawer(Protocol):
    """Draws single frames of one split; a process has one at a time."""

    def draw(self, index: int) -> Columns:
        """One row of every array in the split's schema."""
        ...

    def close(self) -> None:
        """Release all resources; idempotent."""
        ...


class DrawerFactory(Protocol):
    """Makes a drawer inside a worker process; must be picklable."""

    def __call__(self, plan: SplitPlan) -> Drawer:
        """A drawer of the plan's frames."""
        ...


class SceneDrawer:
    """Draws randomized scenes with MuJoCo."""

    def __init__(self, plan: SplitPlan) -> None:
        self._plan = plan
        self._sampler = SceneSampler(plan.rig, plan.randomization)
        self._photographer = Photographer(plan.rig, plan.randomization.arm) if plan.looks else None

    def draw(self, index: int) -> Columns:
        """One row of every array in the split's schema."""
        rig = self._plan.rig
        seed = self._plan.scene_seed(index)
        scene = self._sampler.sample(seed)
        row: dict[str, NDArray[Any]] = {
            "tcp": scene.tcp,
            "tcp_seen": _seen(scene, scene.tcp),
            "base_seen": _seen(scene, BASE_TARGET_M),
            "joints": scene.joints_rad,
            "intrinsics": scene.intrinsics.as_array(),
            "image_px": np.array([scene.intrinsics.width, scene.intrinsics.height], float),
            "T_base_camera": scene.t_base_camera,
            "T_base_camera_told": scene.t_base_camera_told,
            "scene_seed": np.array(seed, np.uint64),
        }
        if self._photographer is None:
            return row
        for look in self._plan.looks:
            window = self._window(look, scene, seed)
            rgb, depth = self._photographer.photograph(scene, window, rig.input_px, _NOISE_SEED[look])
            row |= {f"{look}/rgb": rgb, f"{look}/depth": depth_to_units(depth), f"{look}/window": window.as_array()}
        return row

    def _window(self, look: LookName, scene: Scene, seed: int) -> Window:
        rig = self._plan.rig
        if look == "glance":
            return rig.glance_window(scene.t_base_camera_told, scene.intrinsics)
        target = BASE_TARGET_M if look == "base" else scene.tcp
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_JITTER_STREAM[look],)))
        point = transform(invert(scene.t_base_camera), target)
        miss_m = JITTER_TIMES[look] * self._plan.window_jitter.sample(rng)
        if look == "fovea" and (astray_m := self._plan.window_jitter.astray(rng)) is not None:
            miss_m = astray_m
        miss_px = miss_m * scene.intrinsics.fx / point[2]
        window = {"fovea": rig.fovea_window, "base": rig.base_window, "parafovea": rig.parafovea_window}[look]
        return window(point, scene.intrinsics, miss_px)

    def close(self) -> None:
        """Free the GL context."""
        if self._photographer is not None:
            self._photographer.close()
            self._photographer = None


def _seen(scene: Scene, point_base: ArrayLike) -> Array:
    """Where the depth camera, with its own error, places a point ``(3,)`` m, base frame."""
    point = transform(invert(scene.t_base_camera), point_base)
    return transform(scene.t_base_camera, seen_at(point, scene.depth_error))


def draw_rows(drawer: Drawer, plan: SplitPlan, rows: range) -> Columns:
    """The frames ``rows`` stacked into arrays that fit the split's schema."""
    columns: dict[str, NDArray[Any]] = {
        name: np.empty((len(rows), *column.shape), column.dtype)
        for name, column in schema(plan.looks, plan.rig.input_px).items()
    }
    for position, index in enumerate(rows):
        row = drawer.draw(index)
        for name, column in columns.items():
            column[position] = row[name]
    return columns
