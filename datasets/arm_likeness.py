"""How alike two models of the arm look from the rig's camera: overlap of their masks and difference of their depths."""

from collections.abc import Iterator
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from datasets.arm_model import ARM_JOINTS, GRIPPER_CLOSED_RAD, GRIPPER_JOINTS
from datasets.kinematics import Kinematics, ReachError, pointing_down
from datasets.projection import Array, Window, invert, project, transform
from datasets.rig import Rig

_CAMERA = "likeness"


@dataclass(frozen=True)
class Pose:
    """Joints ``(7,)`` rad, the gripper's angle rad, and where that brings the TCP, ``(3,)`` m."""

    joints_rad: Array
    gripper_rad: float
    tcp_m: Array


@dataclass(frozen=True)
class Likeness:
    """Per pose: IoU of the masks over the whole view and in the fovea's window, and depth differences there, m.

    ``depth_m`` is the median, over the window's pixels that both arms cover, of the absolute difference.
    """

    view_iou: Array
    window_iou: Array
    depth_m: Array

    def summary(self) -> dict[str, float]:
        """Median and fifth percentile of the overlaps, median and 95th percentile of the depth difference."""
        return {
            "view_iou_median": float(np.median(self.view_iou)),
            "view_iou_p5": float(np.percentile(self.view_iou, 5)),
            "window_iou_median": float(np.median(self.window_iou)),
            "window_iou_p5": float(np.percentile(self.window_iou, 5)),
            "window_depth_median_mm": float(np.median(self.depth_m)) * 1000,
            "window_depth_p95_mm": float(np.percentile(self.depth_m, 95)) * 1000,
        }


def reachable_poses(rig: Rig, count: int, seed: int) -> list[Pose]:
    """Poses in the workspace with the gripper pointing down at any yaw and opening."""
    kinematics, random = Kinematics(), np.random.default_rng(seed)
    poses: list[Pose] = []
    while len(poses) < count:
        xyz = random.uniform(rig.workspace.low, rig.workspace.high)
        try:
            joints = kinematics.solve(xyz, rig.home_joints_rad, pointing_down(random.uniform(-np.pi, np.pi)))
        except ReachError:
            continue
        poses.append(Pose(joints, random.uniform(0, GRIPPER_CLOSED_RAD), kinematics.tcp(joints)))
    return poses


class ArmPhotographer:
    """Depth images of one arm model alone, from the rig's camera at native resolution."""

    def __init__(self, spec: mujoco.MjSpec, rig: Rig) -> None:
        optical = rig.t_base_camera
        side = rig.glance_side_px
        quat_wxyz = np.empty(4)
        mujoco.mju_mat2Quat(quat_wxyz, (optical[:3, :3] * [1, -1, -1]).ravel())  # MuJoCo's cameras look along -z
        spec.worldbody.add_camera(
            name=_CAMERA,
            pos=optical[:3, 3],
            quat=quat_wxyz,
            fovy=float(np.degrees(2 * np.arctan(side / 2 / rig.camera.fy))),
        )
        self.model = spec.compile()
        self._data = mujoco.MjData(self.model)
        self._renderer = mujoco.Renderer(self.model, side, side)
        self._renderer.enable_depth_rendering()

    def depth(self, pose: Pose) -> NDArray[np.float32]:
        """``(side, side)`` m; infinite where the arm is not."""
        for name, angle in zip(ARM_JOINTS, pose.joints_rad, strict=True):
            self._data.joint(name).qpos[0] = angle
        for name in GRIPPER_JOINTS:
            self._data.joint(name).qpos[0] = pose.gripper_rad
        mujoco.mj_kinematics(self.model, self._data)
        mujoco.mj_camlight(self.model, self._data)
        self._renderer.update_scene(self._data, _CAMERA)
        depth = self._renderer.render().copy()
        depth[depth > 0.9 * self.model.vis.map.zfar * self.model.stat.extent] = np.inf
        return depth

    def close(self) -> None:
        """Free the GL context."""
        self._renderer.close()


def depth_images(spec: mujoco.MjSpec, rig: Rig, poses: list[Pose]) -> Iterator[NDArray[np.float32]]:
    """Depth of the arm in each pose, as :meth:`ArmPhotographer.depth`."""
    photographer = ArmPhotographer(spec, rig)
    try:
        for pose in poses:
            yield photographer.depth(pose)
    finally:
        photographer.close()


def likeness(ours: mujoco.MjSpec, theirs: mujoco.MjSpec, rig: Rig, poses: list[Pose]) -> Likeness:
    """Compare two arms over the poses."""
    pairs = zip(poses, depth_images(ours, rig, poses), depth_images(theirs, rig, poses), strict=True)
    rows = []
    for pose, a, b in pairs:
        rows.append([_overlap(a, b), *_in_window(a, b, pose, rig)])
    columns = np.array(rows).T
    return Likeness(*columns)


def _overlap(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    ours, theirs = np.isfinite(a), np.isfinite(b)
    return float((ours & theirs).sum() / max((ours | theirs).sum(), 1))


def _in_window(a: NDArray[np.float32], b: NDArray[np.float32], pose: Pose, rig: Rig) -> tuple[float, float]:
    view = rig.glance_window
    uv = project(transform(invert(rig.t_base_camera), pose.tcp_m), rig.camera)
    window = Window.around(uv, rig.fovea_side_px, rig.camera)
    left, top = round(window.left - view.left), round(window.top - view.top)
    rows = slice(max(top, 0), top + rig.fovea_side_px)
    columns = slice(max(left, 0), left + rig.fovea_side_px)
    a, b = a[rows, columns], b[rows, columns]
    both = np.isfinite(a) & np.isfinite(b)
    difference = float(np.median(np.abs(a[both] - b[both]))) if both.any() else np.nan
    return _overlap(a, b), difference
