"""Draws the images and labels of a frame from its number."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from datasets.generation.splits import SplitPlan
from datasets.rig.projection import Array, invert, transform
from datasets.scene.depth_sensor import seen_at
from datasets.scene.photographer import Photographer
from datasets.scene.scene import Scene, SceneSampler
from datasets.store.store import Columns, depth_to_units, schema

_FOVEA_NOISE_SEED = 1
"""The glance's noise is drawn with 0: the two looks must not share it pixel by pixel."""
_JITTER_STREAM = 1


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
            "tcp_seen": _tcp_seen(scene),
            "joints": scene.joints_rad,
            "intrinsics": scene.intrinsics.as_array(),
            "image_px": np.array([scene.intrinsics.width, scene.intrinsics.height], float),
            "T_base_camera": scene.t_base_camera,
            "T_base_camera_told": scene.t_base_camera_told,
            "scene_seed": np.array(seed, np.uint64),
        }
        if self._photographer is None:
            return row
        if "glance" in self._plan.looks:
            window = rig.glance_window(scene.t_base_camera_told, scene.intrinsics)
            rgb, depth = self._photographer.photograph(scene, window, rig.input_px)
            row |= {"glance/rgb": rgb, "glance/depth": depth_to_units(depth), "glance/window": window.as_array()}
        if "fovea" in self._plan.looks:
            rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_JITTER_STREAM,)))
            point = transform(invert(scene.t_base_camera), scene.tcp)
            miss_px = self._plan.window_jitter.sample(rng) * scene.intrinsics.fx / point[2]
            window = rig.fovea_window(point, scene.intrinsics, miss_px)
            rgb, depth = self._photographer.photograph(scene, window, rig.input_px, _FOVEA_NOISE_SEED)
            row |= {"fovea/rgb": rgb, "fovea/depth": depth_to_units(depth), "fovea/window": window.as_array()}
        return row

    def close(self) -> None:
        """Free the GL context."""
        if self._photographer is not None:
            self._photographer.close()
            self._photographer = None


def _tcp_seen(scene: Scene) -> Array:
    """Where the depth camera, with its own error, places the TCP, base frame."""
    point = transform(invert(scene.t_base_camera), scene.tcp)
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
