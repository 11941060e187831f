"""The true values of a hidden twin, drawn from a seed; only the judge of a calibration reads them."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

import mink
import numpy as np
from numpy.typing import NDArray

from datasets.common.errors import DataError
from datasets.common.files import write_whole
from datasets.rig.envelope import CameraEnvelope
from datasets.rig.projection import Array, Intrinsics, invert, look_at, project, transform
from datasets.rig.rig import Rig

ENVELOPE = CameraEnvelope()
"""The cameras that a calibration must serve are those that the estimator serves."""
FOCAL_PX = ENVELOPE.focal_px
"""Range of focal lengths, px, at an image width of 640 px."""
CENTRE_PX = 8.0
AIM_M = 0.10
SCALE = 0.02
WARP_M = 0.005
JOINTS_RAD = 1e-3
TABLE_M = (-0.15, 0.02)
_CORNERS_SEEN = 5
_WAVES = ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0))
"""Half waves of the warp across the image's height and width: few, so that each is longer than any link is wide."""


@dataclass(frozen=True)
class Truth:
    """The true values of one hidden twin.

    Attributes:
        seed: the seed from which it was drawn, with its room and the arm's look.
        t_base_camera: rows of the 4x4 pose of the camera, m.
        intrinsics: ``(width, height, fx, fy, cx, cy)`` px, true.
        told: the intrinsics that the camera reports, in the same order.
        depth_scale: ratio of the reading to the true depth.
        depth_warp: weights ``(5,)`` m of the slow waves that are added to the reading.
        depth_noise: level of the sensor's noise; 1 is a D435 as its maker describes it.
        colour_noise: standard deviation, levels of 255.
        latency_s: time from capture to delivery.
        table_z_m: height of the table's top in the base frame.
        gripper_rad: 0 open .. 0.85 closed.
        joint_offsets: ``(7,)`` rad, the arm's true joints minus those that its encoders report.
    """

    seed: int
    t_base_camera: tuple[tuple[float, ...], ...]
    intrinsics: tuple[float, ...]
    told: tuple[float, ...]
    depth_scale: float
    depth_warp: tuple[float, ...]
    depth_noise: float
    colour_noise: float
    latency_s: float
    table_z_m: float
    gripper_rad: float
    joint_offsets: tuple[float, ...]

    @classmethod
    def draw(cls, seed: int, rig: Rig, *, joint_offsets: bool = False, intrinsics_error: float = 0.0) -> Self:
        """Draw the truth of a seed, which is the same on any machine.

        Args:
            seed: the seed of all hidden values.
            rig: gives image size, workspace and home; its camera's place is not used.
            joint_offsets: let each joint stand up to 1 mrad from its reported angle; all else stays the same.
            intrinsics_error: largest relative error of the focal length that the camera reports.
        """
        rng = np.random.default_rng([seed, 17])  # a separate stream, because the room is drawn from the same seed
        offsets = rng.uniform(-JOINTS_RAD, JOINTS_RAD, 7)
        table_z_m = float(rng.uniform(*TABLE_M))
        pose, camera = _draw_camera(rng, rig, table_z_m)
        error = 1 + rng.uniform(-1, 1) * intrinsics_error
        size = (float(camera.width), float(camera.height))
        weights = rng.uniform(-1, 1, len(_WAVES))
        warp = weights / np.abs(warp_waves(camera.height, camera.width).T @ weights).max() * rng.uniform(0, WARP_M)
        return cls(
            seed=seed,
            t_base_camera=tuple(tuple(row) for row in pose.tolist()),
            intrinsics=(*size, camera.fx, camera.fy, camera.cx, camera.cy),
            told=(*size, camera.fx * error, camera.fy * error, camera.cx, camera.cy),
            depth_scale=float(1 + rng.uniform(-SCALE, SCALE)),
            depth_warp=tuple(warp.tolist()),
            depth_noise=float(rng.uniform(0.5, 1.5)),
            colour_noise=float(rng.uniform(0.5, 3.0)),
            latency_s=float(rng.uniform(0.05, 0.15)),
            table_z_m=table_z_m,
            gripper_rad=float(rng.uniform(0, 0.85)),
            joint_offsets=tuple((offsets if joint_offsets else np.zeros(7)).tolist()),
        )

    @property
    def pose(self) -> NDArray[np.float64]:
        """``T_base_camera`` (4x4)."""
        return np.array(self.t_base_camera, dtype=float)

    @property
    def camera(self) -> Intrinsics:
        """The true intrinsics of the camera."""
        return _intrinsics(self.intrinsics)

    @property
    def told_camera(self) -> Intrinsics:
        """The intrinsics that the camera reports."""
        return _intrinsics(self.told)

    def as_read(self, depth_m: NDArray[np.float32]) -> NDArray[np.float32]:
        """The reading ``(H, W)`` m of this depth camera for the true ``depth_m``: scaled and warped."""
        warp = np.asarray(self.depth_warp) @ warp_waves(*depth_m.shape)
        read = depth_m * self.depth_scale + warp.reshape(depth_m.shape)
        return np.where(depth_m > 0, read, 0).astype(np.float32)

    def save(self, path: str | Path) -> None:
        """Write JSON, completely or not at all."""
        write_whole(path, json.dumps(asdict(self), indent=1))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a file that :meth:`save` wrote; raises DataError for any other file."""
        try:
            told: dict[str, Any] = json.loads(Path(path).read_text())
            return cls(**{each.name: _tuples(told[each.name]) for each in fields(cls)})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path}: no truth of a hidden twin ({type(error).__name__}: {error})") from error


def warp_waves(height: int, width: int) -> Array:
    """The slow waves ``(5, H * W)`` over an image of which the warp consists, each within -1..1."""
    rows, columns = np.linspace(0, np.pi, height), np.linspace(0, np.pi, width)
    return np.array([np.outer(np.cos(v * rows), np.cos(u * columns)).ravel() for v, u in _WAVES])


def _draw_camera(rng: np.random.Generator, rig: Rig, table_z_m: float) -> tuple[Array, Intrinsics]:
    """Draw pose and intrinsics of a camera within the envelope that has most of the workspace in view."""
    low, high = rig.workspace.low, rig.workspace.high
    centre = (low + high) / 2
    corners = np.array(np.meshgrid(*zip(low, high, strict=True))).reshape(3, -1).T
    width, height = rig.camera.width, rig.camera.height
    while True:
        side = np.radians(rng.uniform(-ENVELOPE.side_deg, ENVELOPE.side_deg))
        above = np.radians(rng.uniform(*ENVELOPE.elevation_deg))
        distance = rng.uniform(*ENVELOPE.distance_m)
        ray = np.array([np.cos(above) * np.cos(side), np.cos(above) * np.sin(side), np.sin(above)])
        focal, aspect = rng.uniform(*FOCAL_PX) * width / 640, 1 + rng.uniform(-0.002, 0.002)
        middle = np.array([width, height]) / 2 + rng.uniform(-CENTRE_PX, CENTRE_PX, 2)
        camera = Intrinsics(width, height, float(focal), float(focal * aspect), *map(float, middle))
        aim = centre + rng.uniform(-AIM_M, AIM_M, 3)
        place = centre + distance * ray
        pose = look_at(place, aim)
        roll = np.radians(rng.uniform(-ENVELOPE.roll_deg, ENVELOPE.roll_deg))
        pose[:3, :3] = pose[:3, :3] @ mink.SO3.exp(np.array([0, 0, roll])).as_matrix()
        seen = transform(invert(pose), np.vstack([centre, corners]))
        pixels = project(seen, camera)
        inside = (seen[:, 2] > 0.1) & np.all((pixels > 0) & (pixels < [width - 1, height - 1]), axis=1)
        if inside[0] and inside[1:].sum() >= _CORNERS_SEEN and place[2] > table_z_m + 0.05:
            return pose, camera


def _intrinsics(values: tuple[float, ...]) -> Intrinsics:
    width, height, *geometry = values
    return Intrinsics(int(width), int(height), *geometry)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(each) for each in value) if isinstance(value, list) else value
