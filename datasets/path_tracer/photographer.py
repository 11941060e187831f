"""Photographs scenes by path tracing with Mitsuba: official meshes, soft shadows, a room and a sensor of its own."""

from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from datasets.arm.model import ARM_JOINTS, COLOURS, GRIPPER_JOINTS, arm_spec, mesh_of
from datasets.arm.official import menagerie_available
from datasets.arm.shapes import Colour
from datasets.common.errors import ConfigError, DataError
from datasets.path_tracer.stereo_sensor import develop, read_depth
from datasets.rig.projection import Array, Intrinsics, Window, window_intrinsics
from datasets.scene.photographer import Picture, drawn_px, resampled
from datasets.scene.scene import Scene

SAMPLES = 8
"""Paths per pixel."""
BOUNCES = 2
"""Largest number of bounces of light on its way from a lamp to the camera."""
_SQUARE = 1e-4
"""Largest relative difference of two focal lengths that count as equal: 0.03 px at the edge of an image."""
_METER_PX = 24
"""Side of the picture by which the camera meters its exposure."""
_ROOM_STREAM, _CAMERA_STREAM = 7, 8
"""Random streams of the scene's seed: room and sensor share no number with the posture and the camera's place."""
_REACH, _PAINT_SIGMA, _NORMAL_SIGMA, _DEPTH_SIGMA = 2, 0.05, 0.15, 0.015
"""The denoiser's window: half its side, px; and how far paint, normal and log of depth may differ in a surface."""
_FINISHES: dict[Colour, tuple[float, float]] = {"white": (0.0, 0.3), "gray": (0.7, 0.35), "black": (0.0, 0.45)}
"""Metallic share and roughness of the arm's painted, anodised and moulded parts (invented)."""


def path_tracer_available() -> str | None:
    """None when the official model and Mitsuba are at hand, else the reason why not and how to get them."""
    try:
        import mitsuba  # noqa: F401  # to see whether it is there
    except ImportError:
        return "Mitsuba is not installed: install the extra 'studies' of this project"
    return menagerie_available()


class PathTracer:
    """Draws the official arm in a room of its own, by the CPU alone. Same methods as the classic photographer's.

    Raises:
        DataError: Mitsuba or the official model is not at hand.
    """

    def __init__(self) -> None:
        if reason := path_tracer_available():
            raise DataError(reason)
        import drjit
        import mitsuba as mi

        mi.set_variant("scalar_rgb")  # needs no compiler of its own
        drjit.set_thread_count(1)
        self._model = arm_spec("menagerie", decimate=False).compile()
        self._data = mujoco.MjData(self._model)
        self._joints = np.array([self._model.joint(name).qposadr[0] for name in ARM_JOINTS])
        self._gripper = np.array([self._model.joint(name).qposadr[0] for name in GRIPPER_JOINTS])
        self._finishes = {name: mi.load_dict(_finish(name)) for name in COLOURS}
        self._links = [self._link(geom) for geom in range(self._model.ngeom)]
        self._paths = mi.load_dict({"type": "path", "max_depth": BOUNCES + 1})
        self._surfaces = mi.load_dict({"type": "aov", "aovs": "at:position,paint:albedo,normal:sh_normal"})
        self._scene: Scene | None = None
        self._drawn: Any = None
        self._exposure = 1.0

    def photograph(self, scene: Scene, window: Window, size_px: int, noise_seed: int = 0) -> Picture:
        """What the camera sees through a window: ``rgb (S, S, 3)`` uint8 and noisy ``depth (S, S)`` float32 m.

        Windows of few pixels and beyond the image are as :meth:`datasets.scene.photographer.Photographer.photograph`
        has them. ``noise_seed`` differs between pictures of the same scene taken at different times.

        Raises:
            ConfigError: the camera's pixels are not square: Mitsuba has one focal length.
        """
        if abs(scene.intrinsics.fy / scene.intrinsics.fx - 1) > _SQUARE:
            k = scene.intrinsics
            raise ConfigError(f"the path tracer draws square pixels, got fx {k.fx:.2f}, fy {k.fy:.2f} px")
        self._arrange(scene)
        intrinsics = window_intrinsics(scene.intrinsics, window, drawn_px(window, size_px))
        rng = np.random.default_rng([scene.seed, noise_seed, size_px])
        surface = self._render(self._surfaces, _sensor(scene.t_base_camera, intrinsics, 1), 0)
        at, paint, normal = np.split(surface, 3, axis=2)
        depth = ((at - scene.t_base_camera[:3, 3]) @ scene.t_base_camera[:3, 2]).astype(np.float32)
        depth[~normal.any(axis=2)] = 0
        sensor = _sensor(scene.t_base_camera, intrinsics, SAMPLES)
        light = denoised(self._render(self._paths, sensor, int(rng.integers(2**31))), paint, normal, depth)
        camera = np.random.default_rng([scene.seed, _CAMERA_STREAM])
        rgb = develop(light, self._exposure, camera, rng)
        depth = read_depth(depth, rgb, intrinsics, scene.depth_noise, camera, rng)
        return resampled(rgb, window, scene.intrinsics, size_px), resampled(depth, window, scene.intrinsics, size_px)

    def close(self) -> None:
        """Does nothing: nothing is held that must be freed."""

    def _render(self, integrator: Any, sensor: Any, seed: int) -> NDArray[np.float64]:
        return np.array(integrator.render(self._drawn, sensor, seed=seed), dtype=np.float64)

    def _arrange(self, scene: Scene) -> None:
        if scene is self._scene:
            return
        import mitsuba as mi

        from datasets.path_tracer.room import draw_room

        self._data.qpos[self._joints] = scene.joints_rad
        self._data.qpos[self._gripper] = scene.gripper_rad
        mujoco.mj_kinematics(self._model, self._data)
        rng = np.random.default_rng([scene.seed, _ROOM_STREAM])
        parts = draw_room(rng, scene.tcp, scene.t_base_camera[:3, 3])
        for geom, link in enumerate(self._links):
            pose = np.eye(4, dtype=np.float32)
            pose[:3, :3] = self._data.geom_xmat[geom].reshape(3, 3)
            pose[:3, 3] = self._data.geom_xpos[geom]
            parts[f"mesh{geom}"] = link  # an instance finds only meshes that stand in the scene before it
            parts[f"link{geom}"] = {"type": "instance", "to_world": mi.ScalarTransform4f(pose), "group": link}
        # Where Mitsuba merges equal parts, it orders lamps by address, and so draws other noise in each process.
        self._drawn = mi.load_dict({"type": "scene", **parts}, parallel=False, optimize=False)
        self._scene = scene
        whole = Window.central_square(scene.intrinsics, scene.intrinsics.height)
        k = window_intrinsics(scene.intrinsics, whole, _METER_PX)
        light = self._render(self._paths, _sensor(scene.t_base_camera, k, SAMPLES), 0)
        self._exposure = 0.18 / float(np.median(light) + 1e-6)

    def _link(self, geom: int) -> Any:
        """A mesh of the arm in its own frame, to be placed scene by scene."""
        import mitsuba as mi

        model = self._model
        vertices, faces = mesh_of(model, geom)
        colour = model.material(model.geom_matid[geom]).name.removeprefix("arm_")
        properties = mi.Properties()
        properties["mesh_bsdf"] = self._finishes[colour]
        shape = mi.Mesh(f"link{geom}", len(vertices), len(faces), props=properties)
        values = mi.traverse(shape)
        values["vertex_positions"], values["faces"] = vertices.ravel(), faces.ravel()
        values.update()
        return mi.load_dict({"type": "shapegroup", "mesh": shape})


def denoised(light: Array, paint: Array, normal: Array, depth: NDArray[np.float32]) -> Array:
    """``light (H, W, 3)`` of a few paths a pixel, smoothed within each surface: a cross-bilateral filter.

    Args:
        light: linear, noisy.
        paint: ``(H, W, 3)`` reflectance 0..1 of what is seen; ``normal``: ``(H, W, 3)``; ``depth``: ``(H, W)`` m.
    """
    guide = np.dstack([paint / _PAINT_SIGMA, normal / _NORMAL_SIGMA, np.log(depth + 0.1) / _DEPTH_SIGMA])
    weighed = np.dstack([light, np.ones(depth.shape)])
    total = np.zeros_like(weighed)
    wide, near = (np.pad(a, ((_REACH,) * 2,) * 2 + ((0, 0),), mode="reflect") for a in (weighed, guide))
    height, width = depth.shape
    for row, column in np.ndindex(2 * _REACH + 1, 2 * _REACH + 1):
        part = np.s_[row : row + height, column : column + width]
        away = ((near[part] - guide) ** 2).sum(axis=2)
        total += np.exp(-away / 2)[..., None] * wide[part]
    return total[..., :3] / total[..., 3:]


def _finish(colour: Colour) -> dict[str, Any]:
    metallic, roughness = _FINISHES[colour]
    # The official values are for a screen (sRGB); no paint reflects all light.
    rgb = {"type": "rgb", "value": [0.85 * value**2.2 for value in COLOURS[colour]]}
    return {
        "type": "twosided",
        "bsdf": {"type": "principled", "base_color": rgb, "metallic": metallic, "roughness": roughness},
    }


def _sensor(t_base_camera: Array, k: Intrinsics, samples: int) -> Any:
    """A pinhole camera; Mitsuba's x points left and its y up, and a pixel's corner, not its centre, is at 0."""
    import mitsuba as mi

    return mi.load_dict(
        {
            "type": "perspective",
            "fov_axis": "x",
            "fov": float(np.degrees(2 * np.arctan(k.width / 2 / k.fx))),
            "principal_point_offset_x": 0.5 - (k.cx + 0.5) / k.width,
            "principal_point_offset_y": 0.5 - (k.cy + 0.5) / k.height,
            "near_clip": 0.05,
            "far_clip": 20.0,
            "to_world": mi.ScalarTransform4f(t_base_camera @ np.diag([-1.0, -1.0, 1.0, 1.0])),
            "film": {
                "type": "hdrfilm",
                "width": k.width,
                "height": k.height,
                "rfilter": {"type": "box"},
                "pixel_format": "rgb",
                "component_format": "float32",
            },
            # One sample alone goes through the pixel's centre.
            "sampler": {"type": "multijitter", "sample_count": samples, "jitter": samples > 1},
        }
    )
