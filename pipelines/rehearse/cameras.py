"""Draws cameras of the estimator's envelope from a seed, and gives them to set-up and twin for the rehearsal."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import mink
import numpy as np

from control.arms.arm import Vector
from datasets.common.errors import ConfigError
from datasets.rig.envelope import direction_deg, focal_640_px
from datasets.rig.projection import Array, Intrinsics, invert, project, transform
from datasets.scene.randomization import CameraRandomization
from datasets.scene.scene import sample_camera
from perception.calibration.calibration import Calibration
from pipelines.setup.setup import Setup
from pipelines.twin.settings import TwinParams

_INSET = 0.06
"""Least distance of every goal from the image's border, as a share of its height: most of the gripper is in view."""
_TRIES = 2000


@dataclass(frozen=True)
class PlacedCamera:
    """A camera at its calibrated pose ``t_base_camera`` (4x4), with its intrinsics."""

    t_base_camera: Array
    intrinsics: Intrinsics

    def described(self, point_m: Array) -> dict[str, float]:
        """Distance and direction of the camera, seen from ``point_m`` ``(3,)``, and its focal length."""
        side, elevation = direction_deg(self.t_base_camera, point_m)
        distance = float(np.linalg.norm(self.t_base_camera[:3, 3] - point_m))
        return {
            "distance_m": round(distance, 3),
            "side_deg": round(side, 1),
            "elevation_deg": round(elevation, 1),
            "focal_px": round(focal_640_px(self.intrinsics), 1),
        }

    def placed(self, setup: Setup, twin: TwinParams) -> tuple[Setup, TwinParams]:
        """Set-up and twin with this camera; the twin's camera differs from it by the twin's own calibration error."""
        rig_pose = setup.rig.t_base_camera
        turn = mink.SO3.from_matrix(self.t_base_camera[:3, :3] @ rig_pose[:3, :3].T).log()
        x, y, z = (float(value) for value in self.t_base_camera[:3, 3] - rig_pose[:3, 3])
        roll, pitch, yaw = (float(value) for value in np.degrees(turn))
        fx, fy, cx, cy = (float(value) for value in self.intrinsics.as_array())
        calibration = Calibration.of_pose(self.t_base_camera, "drawn from the estimator's envelope")
        return replace(setup, calibration=replace(calibration, table_z_m=setup.calibration.table_z_m)), replace(
            twin, camera_offset_m=(x, y, z), camera_rotation_deg=(roll, pitch, yaw), camera_fxfycxcy_px=(fx, fy, cx, cy)
        )


def draw_cameras(setup: Setup, count: int, goals: Sequence[Vector], seed: int) -> list[PlacedCamera]:
    """Draw cameras that the estimator supports at every goal, and that have every goal in their image.

    Their images have the rig's size, because the twin films this size in real time.

    Raises:
        ConfigError: no camera of the envelope sees all goals.
    """
    rig, envelope = setup.rig, setup.estimator.envelope
    ranges = CameraRandomization(envelope=envelope, calibration_m=0.0, calibration_deg=0.0)
    rng, middle = np.random.default_rng(seed), np.mean(goals, axis=0)
    found: list[PlacedCamera] = []
    for _ in range(_TRIES):
        pose, _, k = sample_camera(rng, rig, ranges, middle)
        if (k.width, k.height) != (rig.camera.width, rig.camera.height):
            continue
        uv, inset = project(transform(invert(pose), np.array(goals)), k), _INSET * k.height
        seen = np.all((uv > inset) & (uv < np.array([k.width, k.height]) - inset))
        if seen and not any(envelope.faults(pose, k, goal) for goal in goals):
            found.append(PlacedCamera(pose, k))
            if len(found) == count:
                return found
    raise ConfigError(
        f"{len(found)} of {_TRIES} cameras of the envelope see all {len(goals)} goals, {count} are wanted"
    )
