"""The world that both halves of the twin share: it shows the controller's joints as the camera would see them."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import mink
import numpy as np
from numpy.typing import ArrayLike, NDArray

from datasets.arm.kinematics import Kinematics
from datasets.rig.projection import Array
from datasets.rig.rig import Rig
from datasets.scene.appearance import CLUTTER
from datasets.scene.depth_sensor import warp_of_size
from datasets.scene.photographer import Photographer
from datasets.scene.randomization import CameraRandomization, Randomization
from datasets.scene.scene import Scene, SceneSampler
from pipelines.twin.camera.camera import Render
from pipelines.twin.settings import TwinParams

_WARP_STREAM = 1
_AWAY = np.array([0.0, 0.0, -5.0])


class TwinWorld:
    """One scene, drawn from a seed, with the arm at the joints given by ``joints_at`` (s, ``time.monotonic``).

    Only ``renderer`` touches graphics, in the thread that enters it; everything else may be called from anywhere.
    """

    def __init__(self, rig: Rig, settings: TwinParams, joints_at: Callable[[float], Array]) -> None:
        self._rig, self._settings, self._joints_at = settings.films(rig), settings, joints_at
        self._kinematics = Kinematics(rig.tool.tcp_offset_m)
        self._changing = threading.Lock()
        self._scene = _draw_scene(self._rig, settings)

    @property
    def t_base_camera(self) -> NDArray[np.float64]:
        """The true pose of the camera (4x4)."""
        with self._changing:
            return np.array(self._scene.t_base_camera, dtype=float)

    def draw(self, seed: int) -> None:
        """Draw another scene, and another error of the camera's calibration, from the next picture on."""
        scene = _draw_scene(self._rig, replace(self._settings, seed=seed))
        with self._changing:
            self._scene = scene

    def move_camera(self, offset_m: ArrayLike) -> None:
        """Push the camera by ``offset_m`` ``(3,)`` m in the base frame, without any report of it."""
        with self._changing:
            pose = np.array(self._scene.t_base_camera, dtype=float)
            pose[:3, 3] += np.asarray(offset_m, dtype=float)
            self._scene = replace(self._scene, t_base_camera=pose)

    @contextmanager
    def renderer(self) -> Iterator[Render]:
        """Yield a function from a time to the picture taken then; enter and use it in one thread."""
        photographer = Photographer(self._rig, self._settings.arm)
        pictures = 0

        def render(time_s: float) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
            nonlocal pictures
            pictures += 1
            return photographer.photograph_native(self.scene_at(time_s), pictures)

        try:
            yield render
        finally:
            photographer.close()

    def scene_at(self, time_s: float) -> Scene:
        """The scene at a past moment that the controller still remembers."""
        joints = self._joints_at(time_s)
        with self._changing:
            scene = self._scene
        return replace(scene, joints_rad=joints, tcp=self._kinematics.tcp(joints))


def _draw_scene(rig: Rig, settings: TwinParams) -> Scene:
    """The scene of a seed without objects that the arm would hit; its camera is where the settings place it."""
    camera = CameraRandomization(calibration_m=settings.calibration_m, calibration_deg=settings.calibration_deg)
    noise = settings.depth_noise
    ranges = Randomization(arm=settings.arm, camera=camera, look=settings.look, depth_noise=(noise, noise))

    def displaced(drawn: Array) -> Array:
        pose = drawn.copy()
        pose[:3, :3] = mink.SO3.exp(np.radians(settings.camera_rotation_deg)).as_matrix() @ pose[:3, :3]
        pose[:3, 3] += settings.camera_offset_m
        return pose

    scene = SceneSampler(rig, ranges).sample(settings.seed, displaced)
    positions = scene.appearance.positions.copy()
    clutter = positions[CLUTTER]
    margin_m = 0.1
    in_the_way = np.all(
        (clutter[:, :2] > rig.workspace.low[:2] - margin_m) & (clutter[:, :2] < rig.workspace.high[:2] + margin_m),
        axis=1,
    )
    clutter[in_the_way] = _AWAY
    error = scene.depth_error
    if settings.depth_scale_fraction:
        error = replace(error, scale=settings.depth_scale_fraction)
    if settings.depth_warp_m:
        rng = np.random.default_rng([settings.seed, _WARP_STREAM])
        error = replace(error, warp_m=warp_of_size(rng, settings.depth_warp_m, rig.camera))
    appearance = replace(scene.appearance, positions=positions)
    return replace(scene, appearance=appearance, depth_error=error)
