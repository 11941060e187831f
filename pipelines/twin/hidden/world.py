"""The world of a hidden twin: its room and arm, its sensor, and both as the twin's camera films them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from datasets.arm.model import ArmName
from datasets.rig.projection import Array
from datasets.rig.rig import Rig
from datasets.scene.appearance import SURFACES, sample_appearance
from datasets.scene.depth_sensor import NO_ERROR
from datasets.scene.photographer import Picture
from datasets.scene.randomization import CameraRandomization, LookRandomization, Randomization
from datasets.scene.scene import Scene, SceneSampler
from pipelines.twin.camera.camera import Render
from pipelines.twin.hidden.truth import Truth
from pipelines.twin.settings import TwinParams
from pipelines.twin.world import TwinWorld

DEPTH_UNIT_M = 0.001
_LOOK = LookRandomization(occluder=0.0, ambient=(0.15, 0.6))
_CLUTTER = slice(SURFACES.index("clutter0"), SURFACES.index("occluder"))
_TABLE = SURFACES.index("table")
_AWAY = np.array([0.0, 0.0, -5.0])


def hidden_scene(truth: Truth, rig: Rig, arm: ArmName = "own") -> Scene:
    """The hidden twin's room and arm, with the arm at the rig's home, and nothing in the room that it would hit."""
    camera = CameraRandomization(calibration_m=0, calibration_deg=0)
    noise = (truth.depth_noise, truth.depth_noise)
    scene = SceneSampler(rig, Randomization(arm=arm, camera=camera, look=_LOOK, depth_noise=noise)).sample(truth.seed)
    # For this camera's view: the things in a room stand behind the arm, not in front of the camera.
    look = sample_appearance(np.random.default_rng([truth.seed, 29]), _LOOK, scene.tcp, truth.pose[:3, 3])
    positions, sizes = look.positions.copy(), look.sizes.copy()
    clutter, margin_m = positions[_CLUTTER], 0.1
    low, high = rig.workspace.low[:2] - margin_m, rig.workspace.high[:2] + margin_m
    near_camera = np.linalg.norm(clutter[:, :2] - truth.pose[:2, 3], axis=1) < 3 * margin_m
    clutter[np.all((clutter[:, :2] > low) & (clutter[:, :2] < high), axis=1) | near_camera] = _AWAY
    positions[_TABLE, 2] += truth.table_z_m
    positions[_CLUTTER, 2] += truth.table_z_m
    return replace(
        scene,
        appearance=replace(look, positions=positions, sizes=sizes),
        t_base_camera=truth.pose,
        t_base_camera_told=rig.t_base_camera,
        intrinsics=truth.camera,
        gripper_rad=truth.gripper_rad,
        depth_error=NO_ERROR,  # scale and warp are the truth's own
    )


class Sensor:
    """The hidden twin's RGB-D sensor: adds colour noise, and the scale, warp and whole counts of depth."""

    def __init__(self, truth: Truth) -> None:
        self._truth, self._rng = truth, np.random.default_rng([truth.seed, 23])

    def read(self, picture: Picture) -> Picture:
        """The sensor's reading of a picture in which depth already has the sensor's quick noise."""
        rgb, depth_m = picture
        noise = self._truth.colour_noise * self._rng.standard_normal(rgb.shape, dtype=np.float32)
        counts = np.rint(self._truth.as_read(depth_m) / DEPTH_UNIT_M)
        return np.clip(rgb + noise, 0, 255).astype(np.uint8), (counts * DEPTH_UNIT_M).astype(np.float32)


class HiddenWorld(TwinWorld):
    """The twin's world with all hidden values; as :class:`TwinWorld`, but without the seed and camera of that class."""

    def __init__(self, rig: Rig, settings: TwinParams, joints_at: Callable[[float], Array], truth: Truth) -> None:
        super().__init__(rig, settings, lambda time_s: joints_at(time_s) + np.asarray(truth.joint_offsets))
        self._truth, self._scene = truth, hidden_scene(truth, rig, settings.arm)

    @contextmanager
    def renderer(self) -> Iterator[Render]:
        """Yield a ``Render`` of the hidden sensor without colour noise, which the twin's camera adds."""
        with super().renderer() as render:

            def read(time_s: float) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
                rgb, depth_m = render(time_s)
                return rgb, self._truth.as_read(depth_m)

            yield read
