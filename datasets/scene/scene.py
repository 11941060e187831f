"""One scene: all that a picture depends on, drawn from a seed."""

from collections.abc import Callable
from dataclasses import dataclass

import mink
import numpy as np

from datasets.arm.free_posture import FreePostures
from datasets.arm.kinematics import TILT_TOLERANCE_RAD, Kinematics, pointing_down
from datasets.arm.tools import ToolParams
from datasets.common.errors import ConfigError
from datasets.rig.envelope import CameraEnvelope
from datasets.rig.projection import Array, Intrinsics, invert, look_at, project, transform
from datasets.rig.rig import Rig
from datasets.scene.appearance import Appearance, sample_appearance
from datasets.scene.depth_sensor import NO_ERROR, DepthError, sample_depth_error
from datasets.scene.image_formation import IDENTITY, ImageFormation, sample_image_formation
from datasets.scene.randomization import IMAGES_PX, CameraRandomization, Randomization

_AIM_SPREAD_M = 0.08
"""How far from the workspace's middle, per axis, people aim a camera (*assumed: camera-aim*)."""
_ASIDE_M = 0.6
"""The same for a camera that looks past the arm's tool."""
_OFF_CENTRE_PX = 12.0
"""Largest offset of the principal point, px at 640x480 (Intel's calibrations lie within 2 % of the image)."""
_INSET = 0.06
"""The TCP lies at least this share of the image's height inside it: most of the gripper is in view."""
_NEAREST_M = 0.3
_LOWEST_M = -0.35
"""Cameras stand above the floor, which is 0.5 to 0.9 m below the table."""
_MOST_DRAWS = 10_000
"""Postures or cameras drawn for one scene before the randomization is refused."""


@dataclass(frozen=True)
class Scene:
    """Posture, camera and appearance of one picture; ``dataclasses.replace`` the posture to move the arm within it.

    Attributes:
        seed: what it was drawn from.
        joints_rad: ``(7,)``; gripper_rad: 0 open .. 0.85 closed.
        tcp: ``(3,)`` m in the base frame, the label.
        intrinsics: of the native image; the estimator is given the same.
        t_base_camera: where the camera truly is (4x4).
        t_base_camera_told: the calibrated pose that the estimator is given (4x4).
        depth_noise: level of the depth sensor's noise.
        depth_error: the depth camera's own error.
        image: what the colour camera makes of the light.
        depth_fattening_px: how far near surfaces read beyond their edges, pixels of the depth camera's imager.
        depth_waves_px: standard deviation of the slow waves' disparity, pixels of the same.
    """

    seed: int
    joints_rad: Array
    gripper_rad: float
    tcp: Array
    intrinsics: Intrinsics
    t_base_camera: Array
    t_base_camera_told: Array
    appearance: Appearance
    depth_noise: float
    depth_error: DepthError = NO_ERROR
    image: ImageFormation = IDENTITY
    depth_fattening_px: float = 0.0
    depth_waves_px: float = 0.0


class SceneSampler:
    """Draws scenes with the TCP in the rig's workspace: pointing down but for a small tilt, at any yaw; or any pose."""

    def __init__(self, rig: Rig, randomization: Randomization) -> None:
        self._rig = rig
        self._ranges = randomization
        self._kinematics = Kinematics(rig.tool.tcp_offset_m)
        self._opening = ToolParams.load(rig.tool).opening_rad or (0.0, 0.0)
        self._free = FreePostures(rig.tool) if randomization.posture == "any" else None

    def sample(self, seed: int, displaced: Callable[[Array], Array] = lambda pose: pose) -> Scene:
        """The scene of a seed: the same seed gives the same scene, on any machine and in any order.

        Args:
            seed: any number.
            displaced: gives the camera's true pose (4x4) for the one that was drawn; the given pose is not changed. The
                room is furnished about the true camera, so that only what may hide the arm stands in its way.
        """
        rng = np.random.default_rng(seed)
        joints, tcp = self._pointing_down(rng) if self._free is None else self._free.sample(rng, self._rig.workspace)
        drawn, told, intrinsics = sample_camera(rng, self._rig, self._ranges.camera, tcp)
        true = displaced(drawn)
        return Scene(
            seed=seed,
            joints_rad=joints,
            gripper_rad=float(rng.uniform(*self._opening)),
            tcp=tcp,
            intrinsics=intrinsics,
            t_base_camera=true,
            t_base_camera_told=told,
            appearance=sample_appearance(rng, self._ranges.look, tcp, true[:3, 3]),
            depth_noise=float(rng.uniform(*self._ranges.depth_noise)),
            depth_error=sample_depth_error(rng, self._ranges.depth_error),
            image=sample_image_formation(rng, self._ranges.image),
            depth_fattening_px=float(rng.uniform(*self._ranges.depth_fattening_px)),
            depth_waves_px=float(rng.uniform(*self._ranges.depth_waves_px)),
        )

    def _pointing_down(self, rng: np.random.Generator) -> tuple[Array, Array]:
        home = np.array(self._rig.home_joints_rad)
        for _ in range(_MOST_DRAWS):
            goal = rng.uniform(self._rig.workspace.low, self._rig.workspace.high)
            yaw = rng.uniform(-np.pi, np.pi)
            tilt = np.radians(self._ranges.tilt_deg) * rng.uniform(-1, 1, 2)
            near = home + self._ranges.elbow_rad * rng.standard_normal(7)
            near[0] += np.arctan2(goal[1], goal[0])
            near[6] += near[0] - yaw
            wanted = pointing_down(yaw, tilt)
            # The label is where the arm is, not where it was sent.
            joints = self._kinematics.approach(near, goal, wanted)
            pose = self._kinematics.tcp_pose(joints)
            upright = pose[:3, 2] @ wanted[:, 2] > np.cos(TILT_TOLERANCE_RAD)
            if upright and self._rig.workspace.contains(pose[:3, 3]):
                return joints, pose[:3, 3]
        raise ConfigError(
            f"{_MOST_DRAWS} draws gave no posture that points down within the workspace; widen workspace, or tilt_deg "
            "and elbow_rad of the randomization"
        )


def sample_camera(
    rng: np.random.Generator, rig: Rig, ranges: CameraRandomization, tcp_m: Array
) -> tuple[Array, Array, Intrinsics]:
    """The camera's true pose, the pose that the estimator is given (both 4x4), and the intrinsics."""
    if ranges.envelope is not None and rng.random() >= ranges.rig_share:
        within = not ranges.outside or rng.random() >= ranges.outside
        calibrated, intrinsics = _anywhere(rng, ranges.envelope, rig, tcp_m, within)
    else:
        calibrated, intrinsics = _about_the_rig(rng, rig, ranges)
    error = ranges.calibration_m * np.cbrt(rng.random()) * _direction(rng)
    turn = np.radians(rng.uniform(0, ranges.calibration_deg)) * _direction(rng)
    true = _moved(calibrated, error, turn)
    return true, rig.t_base_camera if ranges.told_rig else calibrated, intrinsics


def _about_the_rig(rng: np.random.Generator, rig: Rig, ranges: CameraRandomization) -> tuple[Array, Intrinsics]:
    if ranges.exact:
        offset, angle = ranges.offset_m * _direction(rng), ranges.rotation_deg
    else:
        offset, angle = rng.uniform(-ranges.offset_m, ranges.offset_m, 3), rng.uniform(0, ranges.rotation_deg)
    pose = _moved(rig.t_base_camera, offset, np.radians(angle) * _direction(rng))
    focal = 1 + rng.uniform(-ranges.focal_fraction, ranges.focal_fraction)
    k = rig.camera
    return pose, Intrinsics(k.width, k.height, k.fx * focal, k.fy * focal, k.cx, k.cy)


def _anywhere(
    rng: np.random.Generator, ranges: CameraEnvelope, rig: Rig, tcp_m: Array, within: bool
) -> tuple[Array, Intrinsics]:
    """A camera of the envelope, with the TCP in its image; unless ``within``, it looks past the TCP.

    Its direction is uniform in angle to the side and elevation. The focal length is uniform in its logarithm, since
    a view changes with the ratio of focal lengths.
    """
    middle = (rig.workspace.low + rig.workspace.high) / 2
    width, height = IMAGES_PX[rng.integers(len(IMAGES_PX))]
    scale = height / 480
    focal = scale * float(np.exp(rng.uniform(*np.log(ranges.focal_px))))
    centre = np.array([width, height]) / 2 + scale * rng.uniform(-_OFF_CENTRE_PX, _OFF_CENTRE_PX, 2)
    intrinsics = Intrinsics(width, height, focal, focal * (1 + rng.uniform(-0.005, 0.005)), *centre)
    for _ in range(_MOST_DRAWS):
        side = np.radians(rng.uniform(-ranges.side_deg, ranges.side_deg))
        elevation = np.radians(rng.uniform(*ranges.elevation_deg))
        towards = [np.cos(elevation) * np.cos(side), np.cos(elevation) * np.sin(side), np.sin(elevation)]
        position = tcp_m + rng.uniform(*ranges.distance_m) * np.array(towards)
        pose = look_at(position, middle + rng.normal(0, _AIM_SPREAD_M if within else _ASIDE_M, 3))
        roll = np.radians(rng.uniform(-ranges.roll_deg, ranges.roll_deg))
        pose[:3, :3] = pose[:3, :3] @ mink.SO3.exp(np.array([0.0, 0.0, roll])).as_matrix()
        point = transform(invert(pose), tcp_m)
        if point[2] < _NEAREST_M or position[2] < _LOWEST_M:
            continue
        uv, inset = project(point, intrinsics), _INSET * height
        size = np.array([width, height])
        if np.all(uv > inset) and np.all(uv < size - inset) if within else np.any(uv < -0.5) or np.any(uv > size - 0.5):
            return pose, intrinsics
    raise ConfigError(
        f"{_MOST_DRAWS} cameras of the envelope were drawn, and none sees the TCP from above the floor; change "
        "elevation_deg, distance_m or focal_px of the split's camera.envelope"
    )


def _moved(pose: Array, offset_m: Array, rotation_rad: Array) -> Array:
    """A pose displaced in the base frame and turned about its own origin."""
    moved = pose.copy()
    moved[:3, :3] = mink.SO3.exp(rotation_rad).as_matrix() @ pose[:3, :3]
    moved[:3, 3] += offset_m
    return moved


def _direction(rng: np.random.Generator) -> Array:
    vector = rng.standard_normal(3)
    return vector / np.linalg.norm(vector)
