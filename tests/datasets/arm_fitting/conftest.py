"""How alike two models of the arm look from the rig's camera: overlap of their masks and difference of their depths."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import mujoco
import numpy as np
import pytest
from numpy.typing import NDArray

from datasets.arm.kinematics import Kinematics, ReachError, pointing_down
from datasets.arm.model import ARM_JOINTS, GRIPPER_CLOSED_RAD, GRIPPER_JOINTS
from datasets.rig.projection import Array, Window, invert, project, transform
from datasets.rig.rig import Rig
from datasets.scene.renderer import Renderer

FOVEA_PX = 96


class Pose(NamedTuple):
    """Joints ``(7,)`` rad, the gripper's angle rad, and where that brings the TCP, ``(3,)`` m."""

    joints_rad: Array
    gripper_rad: float
    tcp_m: Array


@pytest.fixture
def likeness(rig: Rig) -> Callable[..., dict[str, float]]:
    """Compares two arms over ``count`` poses; leaves both specifications set up for drawing.

    Median and fifth percentile over the poses of the masks' IoU in the glance's view and in the fovea's window around
    the TCP; there also the depths' median absolute difference, over the pixels that both arms cover.
    """

    def compare(ours: mujoco.MjSpec, theirs: mujoco.MjSpec, count: int, seed: int) -> dict[str, float]:
        poses = reachable_poses(rig, count, seed)
        first = list(two_looks(ours, rig, poses))  # not interleaved: one GL context at a time is current
        rows = []
        for (view_a, near_a), (view_b, near_b) in zip(first, two_looks(theirs, rig, poses), strict=True):
            both = (near_a > 0) & (near_b > 0)
            difference = float(np.median(np.abs(near_a[both] - near_b[both]))) if both.any() else np.nan
            rows.append([overlap(view_a, view_b), overlap(near_a > 0, near_b > 0), difference])
        view_iou, window_iou, depth_m = np.array(rows).T
        return {
            "view_iou_median": float(np.median(view_iou)),
            "view_iou_p5": float(np.percentile(view_iou, 5)),
            "window_iou_median": float(np.median(window_iou)),
            "window_depth_median_mm": float(np.nanmedian(depth_m)) * 1000,
        }

    return compare


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


def depth_images(spec: mujoco.MjSpec, rig: Rig, poses: list[Pose]) -> Iterator[NDArray[np.float32]]:
    """The arm alone in each pose, from the rig's camera at native resolution: ``(H, W)`` m, 0 where it is not."""
    spec.stat.extent = 1.0
    spec.visual.map.znear, spec.visual.map.zfar = 0.05, 8.0
    spec.visual.quality.offsamples = 0
    model = spec.compile()
    data = mujoco.MjData(model)
    renderer = Renderer(model, rig.camera.width, rig.camera.height)
    try:
        for pose in poses:
            for name, angle in zip(ARM_JOINTS, pose.joints_rad, strict=True):
                data.joint(name).qpos[0] = angle
            for name in GRIPPER_JOINTS:
                data.joint(name).qpos[0] = pose.gripper_rad
            mujoco.mj_kinematics(model, data)
            renderer.update(data)
            yield renderer.render(rig.t_base_camera, rig.camera)[1]
    finally:
        renderer.close()


def two_looks(
    spec: mujoco.MjSpec, rig: Rig, poses: list[Pose]
) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.float32]]]:
    """Mask of the glance's view, and depth in the fovea's window, at each pose."""
    for pose, depth in zip(poses, depth_images(spec, rig, poses), strict=True):
        uv = project(transform(invert(rig.t_base_camera), pose.tcp_m), rig.camera)
        yield cut(depth, rig.picture_window) > 0, cut(depth, Window.around(uv, FOVEA_PX, rig.camera)).copy()


def overlap(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float((a & b).sum() / max((a | b).sum(), 1))


def cut(image: NDArray[np.float32], window: Window) -> NDArray[np.float32]:
    left, top = round(window.left + 0.5), round(window.top + 0.5)
    return image[top : top + round(window.height), left : left + round(window.width)]
