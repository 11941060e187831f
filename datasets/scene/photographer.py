"""Photographs scenes: places the arm, sets the appearance, and takes what an RGB-D camera would give."""

from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from datasets.arm.model import ARM_JOINTS, FLANGE, ArmName, gripper_joints, mesh_of
from datasets.arm.tools import ToolParams
from datasets.rig.projection import Array, Intrinsics, Window, invert, project, transform, window_intrinsics
from datasets.rig.rig import Rig
from datasets.scene.appearance import AppearanceWriter
from datasets.scene.depth_sensor import measured_depth
from datasets.scene.image_formation import formed
from datasets.scene.renderer import Renderer
from datasets.scene.scene import Scene
from datasets.scene.world import build_world

_COLOUR_STREAM = 1
_RAYS = 100
_RAY_TOLERANCE_M = 0.003

Picture = tuple[NDArray[np.uint8], NDArray[np.float32]]


class Photographer:
    """Owns one world, its arm with the rig's tool, and one GL context; belongs to the thread that made it."""

    def __init__(self, rig: Rig, arm: ArmName = "own") -> None:
        self._model = build_world(arm, ToolParams.load(rig.tool))
        self._data = mujoco.MjData(self._model)
        self._appearance = AppearanceWriter(self._model)
        self._renderer = Renderer(self._model, rig.camera.width, rig.camera.height)
        self._joints = np.array([self._model.joint(name).qposadr[0] for name in ARM_JOINTS])
        self._gripper = gripper_joints(self._model)
        self._scene: Scene | None = None
        base = self._model.body("link_base").id
        self._arm = self._model.body_rootid[self._model.geom_bodyid] == base

    def photograph(self, scene: Scene, window: Window, size_px: int, noise_seed: int = 0) -> Picture:
        """What the camera sees through a window: ``rgb (S, S, 3)`` uint8 and noisy ``depth (S, S)`` float32 m.

        Samples lie at the window's :meth:`~datasets.rig.projection.Window.sample_coordinates`: a window of few pixels
        repeats them, as :meth:`datasets.rig.frame.Frame.cut` does. Outside the camera's image, colour is black and
        there is no reading. ``noise_seed`` differs between pictures of the same scene taken at different times.
        """
        rgb, depth = self._shoot(
            scene, window_intrinsics(scene.intrinsics, window, drawn_px(window, size_px)), noise_seed
        )
        return resampled(rgb, window, scene.intrinsics, size_px), resampled(depth, window, scene.intrinsics, size_px)

    def photograph_colour(self, scene: Scene, window: Window, size_px: int, noise_seed: int = 0) -> NDArray[np.uint8]:
        """The ``rgb (S, S, 3)`` of :meth:`photograph` alone, where no depth is needed."""
        self._arrange(scene)
        seen = window_intrinsics(scene.intrinsics, window, drawn_px(window, size_px))
        rgb = _coloured(self._renderer.render_colour(scene.t_base_camera, seen), scene, seen, noise_seed)
        return resampled(rgb, window, scene.intrinsics, size_px)

    def photograph_native(self, scene: Scene, noise_seed: int = 0) -> Picture:
        """The whole image at the camera's own resolution."""
        return self._shoot(scene, scene.intrinsics, noise_seed)

    def photograph_empty(self, scene: Scene, window: Window, size_px: int, noise_seed: int = 0) -> Picture:
        """Photograph the scene without its arm, else as :meth:`photograph`."""
        self._arrange(scene)
        shown = self._model.geom_rgba[self._arm, 3].copy()
        self._model.geom_rgba[self._arm, 3] = 0
        try:
            self._renderer.update(self._data)
            return self.photograph(scene, window, size_px, noise_seed)
        finally:
            self._model.geom_rgba[self._arm, 3] = shown
            self._scene = None

    def tool_shown(self, scene: Scene) -> float:
        """Share of the surface of flange and tool that the camera sees: about half where nothing is in front of them.

        Its far side and what lies within the arm count as not seen. 0 where the TCP lies outside the image.
        """
        self._arrange(scene)
        if not _inside(transform(invert(scene.t_base_camera), scene.tcp), scene.intrinsics):
            return 0.0
        eye, shown, hit = np.asarray(scene.t_base_camera[:3, 3], dtype=float), 0, np.zeros(1, np.int32)
        points = self._hand_points()
        for point in points:
            ray = point - eye
            found = mujoco.mj_ray(self._model, self._data, eye, ray, None, 1, -1, hit)  # in lengths of the ray
            inside = _inside(transform(invert(scene.t_base_camera), point), scene.intrinsics)
            shown += inside and abs(found - 1) * np.linalg.norm(ray) < _RAY_TOLERANCE_M
        return shown / len(points)

    def _hand_points(self) -> Array:
        """``(N, 3)`` m in the base frame: points on what moves with the flange, evenly over its area."""
        model, corners = self._model, []
        flange = model.body(FLANGE).id
        for geom in np.flatnonzero(self._arm):
            body = model.geom_bodyid[geom]
            while body > flange:
                body = model.body_parentid[body]
            if body == flange:
                vertices, faces = mesh_of(model, int(geom))
                turn = self._data.geom_xmat[geom].reshape(3, 3)
                corners.append(vertices[faces] @ turn.T + self._data.geom_xpos[geom])
        a, b, c = np.moveaxis(np.concatenate(corners), 1, 0)
        area, rng = np.linalg.norm(np.cross(b - a, c - a), axis=1), np.random.default_rng(0)
        chosen = rng.choice(len(area), _RAYS, p=area / area.sum())
        u, v = np.sort(rng.random((2, _RAYS, 1)), axis=0)
        return u * a[chosen] + (v - u) * b[chosen] + (1 - v) * c[chosen]

    def close(self) -> None:
        """Free the GL context; idempotent."""
        self._renderer.close()

    def _shoot(self, scene: Scene, intrinsics: Intrinsics, noise_seed: int) -> Picture:
        self._arrange(scene)
        rgb, depth = self._renderer.render(scene.t_base_camera, intrinsics)
        rng = np.random.default_rng([scene.seed, noise_seed, intrinsics.width])
        measured = measured_depth(
            depth,
            rgb,
            intrinsics,
            scene.depth_noise,
            scene.depth_error,
            rng,
            scene.depth_fattening_px,
            scene.depth_waves_px,
        )
        return _coloured(rgb, scene, intrinsics, noise_seed), measured

    def _arrange(self, scene: Scene) -> None:
        if scene is self._scene:
            return
        if self._scene is None or scene.appearance is not self._scene.appearance:
            self._appearance.write(scene.appearance)
        self._data.qpos[self._joints] = scene.joints_rad
        self._data.qpos[self._gripper] = scene.gripper_rad
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)
        self._renderer.update(self._data)
        self._scene = scene


def _coloured(drawn: NDArray[np.uint8], scene: Scene, intrinsics: Intrinsics, noise_seed: int) -> NDArray[np.uint8]:
    """What the scene's colour camera makes of a drawn picture; its noise is independent of the depth sensor's."""
    rng = np.random.default_rng([scene.seed, noise_seed, intrinsics.width, _COLOUR_STREAM])
    return formed(drawn, intrinsics, scene.intrinsics, scene.image, rng)


def _inside(point_camera: Array, intrinsics: Intrinsics) -> bool:
    """Whether a camera-frame point ``(3,)`` m lies before the camera and in its image."""
    if point_camera[2] <= 0:
        return False
    uv = project(point_camera, intrinsics)
    return bool(np.all(uv > -0.5) and np.all(uv < np.array([intrinsics.width, intrinsics.height]) - 0.5))


def drawn_px(window: Window, size_px: int) -> int:
    """Side of what is drawn: no more pixels than the camera has."""
    return min(size_px, int(window.width))


def resampled(picture: NDArray[Any], window: Window, intrinsics: Intrinsics, size_px: int) -> NDArray[Any]:
    """A drawn window at ``size_px``, black and without readings where the camera has no pixels."""
    columns, rows = window.sample_pixels(size_px)
    if len(picture) < size_px:
        left, top = int(window.left + 0.5), int(window.top + 0.5)
        picture = picture[np.ix_(rows - top, columns - left)]
    outside_rows, outside_columns = _outside(rows, intrinsics.height), _outside(columns, intrinsics.width)
    if outside_rows.any() or outside_columns.any():
        picture = picture.copy()
        picture[outside_rows] = 0
        picture[:, outside_columns] = 0
    return picture


def _outside(pixels: NDArray[np.intp], extent: int) -> NDArray[np.bool_]:
    return (pixels < 0) | (pixels >= extent)
