"""The physical set-up (``params/rig.yaml``): the one description that simulation, training and runtime share."""

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import ArrayLike

from datasets.common.config import Checked, Within, load_params
from datasets.common.errors import ConfigError
from datasets.rig.projection import Array, Intrinsics, Window, invert, look_at, project, transform

RIG_PATH = Path("params/rig.yaml")
BASE_TARGET_M = (0.0, 0.0, 0.15)
"""A point inside the arm's base, which never moves; the look at the base finds it. Base frame, m."""
BASE_WIDTH_M = 0.26
"""Side, m, of the square that the look at the base sees: it has room for the base, the first link, and 60 mm by which a
camera may have been knocked."""
PARAFOVEA_WIDTH_M = 0.5
"""Side, m, of the square that the parafovea sees: to each side, 0.1 m for the glance's error and 0.15 m of the arm."""

Interval = tuple[float, float]
Point = tuple[float, float, float]
Joints = tuple[float, float, float, float, float, float, float]
_FARTHEST_M = 2.0
_GRIPPER_M = np.array([0.0, 0.0, 0.1])
"""The glance sees this much above the workspace, since the gripper is above its TCP."""
_FEWEST_PX = 8


@dataclass(frozen=True)
class Box:
    """A box of the base frame, ``[low, high]`` m along each axis."""

    x_m: Interval
    y_m: Interval
    z_m: Interval

    def check(self, name: str) -> None:
        """Raise ConfigError naming the key below ``name`` whose range is empty or is not a length in metres."""
        for axis, (low, high) in zip("xyz", (self.x_m, self.y_m, self.z_m), strict=True):
            if not low < high:
                raise ConfigError(
                    f"{name}.{axis}_m is empty: [{low}, {high}]; the first value must be the smaller, in metres"
                )
            if max(abs(low), abs(high)) > _FARTHEST_M:
                raise ConfigError(
                    f"{name}.{axis}_m is [{low}, {high}]: beyond any xArm7; values are metres, not millimetres"
                )

    def __str__(self) -> str:
        return f"x {list(self.x_m)}, y {list(self.y_m)}, z {list(self.z_m)} m"

    @property
    def low(self) -> Array:
        """Lower corner, shape ``(3,)`` m."""
        return np.array([self.x_m[0], self.y_m[0], self.z_m[0]])

    @property
    def high(self) -> Array:
        """Upper corner, shape ``(3,)`` m."""
        return np.array([self.x_m[1], self.y_m[1], self.z_m[1]])

    def contains(self, xyz_m: ArrayLike) -> bool:
        """Whether the point lies inside or on the box; never true of a point that is not finite."""
        xyz = np.asarray(xyz_m, dtype=float)
        return bool(np.all(xyz >= self.low) and np.all(xyz <= self.high))


@dataclass(frozen=True)
class Workspace(Box):
    """The box of the base frame, m, in which the TCP may be."""

    def __post_init__(self) -> None:
        self.check("workspace")


@dataclass(frozen=True)
class Tool:
    """What is mounted on the flange; the TCP lies ``tcp_offset_m`` along flange z."""

    name: str
    tcp_offset_m: float


@dataclass(frozen=True)
class Rig(Checked):
    """Camera, workspace, tool, home and motion limits of one set-up."""

    camera: Intrinsics
    camera_position_m: Point
    camera_look_at_m: Point
    glance_side_px: Annotated[int, Within(1, unit="px")]
    fovea_width_m: Annotated[float, Within(0.05, 1.0, "m")]
    input_px: Annotated[int, Within(1, unit="px")]
    workspace: Workspace
    tool: Tool
    home_joints_rad: Joints
    rate_hz: Annotated[float, Within(0, 100, "Hz", above=True)]
    max_displacement_m: Annotated[float, Within(0, 0.05, "m", above=True)]

    def __post_init__(self) -> None:
        super().__post_init__()
        smallest = min(self.camera.width, self.camera.height)
        if not 0 < self.glance_side_px <= smallest:
            raise ConfigError(
                f"glance_side_px must lie in 1..{smallest} px to fit the camera's image, got {self.glance_side_px}"
            )
        look_at(self.camera_position_m, self.camera_look_at_m)

    @classmethod
    def load(cls, path: str | Path = RIG_PATH) -> "Rig":
        """Read and check a rig file.

        Raises:
            ConfigError: a key is unknown or missing, a unit is implausible, or a box is empty; the message names it.
        """
        return load_params(path, cls)

    @cached_property
    def t_base_camera(self) -> Array:
        """``T_base_camera`` (4x4, read-only) of the camera where the rig says it stands."""
        pose = look_at(self.camera_position_m, self.camera_look_at_m)
        pose.setflags(write=False)
        return pose

    @classmethod
    def renewed(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Convert values of version 0.1, which gave the fovea's width in px of the rig's own camera."""
        if "fovea_side_px" not in values or "fovea_width_m" in values:
            return values
        kept = {key: value for key, value in values.items() if key != "fovea_side_px"}
        try:
            reach = np.linalg.norm(np.subtract(values["camera_look_at_m"], values["camera_position_m"]))
            width = values["fovea_side_px"] / values["camera"]["fx"] * float(reach)
        except (KeyError, TypeError, ValueError):  # the file is damaged elsewhere; the error then names that key
            return kept
        return {**kept, "fovea_width_m": round(width, 4)}

    @property
    def picture_window(self) -> Window:
        """The central square of the rig's own camera that the end-to-end networks see."""
        return Window.central_square(self.camera, self.glance_side_px)

    def glance_window(self, t_base_camera: Array, intrinsics: Intrinsics) -> Window:
        """The square that the glance sees: what a camera at that pose (4x4) shows of the workspace and the base."""
        low = np.minimum(self.workspace.low, BASE_TARGET_M)
        high = np.maximum(self.workspace.high + _GRIPPER_M, BASE_TARGET_M)
        corners = np.stack(np.meshgrid(*np.transpose([low, high])), axis=-1).reshape(-1, 3)
        return Window.framing(transform(invert(t_base_camera), corners), intrinsics)

    def fovea_window(self, point_camera: ArrayLike, intrinsics: Intrinsics, miss_px: ArrayLike = (0.0, 0.0)) -> Window:
        """The square ``fovea_width_m`` wide at a camera-frame point ``(3,)`` m, ``miss_px`` off its pixel."""
        return _square_at(point_camera, self.fovea_width_m, intrinsics, miss_px)

    def parafovea_window(
        self, point_camera: ArrayLike, intrinsics: Intrinsics, miss_px: ArrayLike = (0.0, 0.0)
    ) -> Window:
        """The square ``PARAFOVEA_WIDTH_M`` wide at a camera-frame point ``(3,)`` m, ``miss_px`` off its pixel."""
        return _square_at(point_camera, PARAFOVEA_WIDTH_M, intrinsics, miss_px)

    def base_window(self, point_camera: ArrayLike, intrinsics: Intrinsics, miss_px: ArrayLike = (0.0, 0.0)) -> Window:
        """The square ``BASE_WIDTH_M`` wide at a camera-frame point ``(3,)`` m, ``miss_px`` off its pixel."""
        return _square_at(point_camera, BASE_WIDTH_M, intrinsics, miss_px)

    @property
    def max_speed_m_s(self) -> float:
        """The largest displacement at the control rate, m/s."""
        return self.max_displacement_m * self.rate_hz

    def to_json(self) -> dict:
        """Plain values, as stored beside models and frames."""
        return json.loads(json.dumps(asdict(self)))


def _square_at(point_camera: ArrayLike, width_m: float, intrinsics: Intrinsics, miss_px: ArrayLike) -> Window:
    largest = min(intrinsics.width, intrinsics.height)
    side = np.nan_to_num(width_m * intrinsics.fx / float(np.asarray(point_camera)[2]), nan=largest)
    side = int(np.clip(np.rint(side), _FEWEST_PX, largest))
    return Window.around(project(point_camera, intrinsics) + np.asarray(miss_px), side, intrinsics)
