"""Calibrates by the networks: their TCP, compared with the encoders' TCP, gives camera pose and table height."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from tqdm import tqdm

from control.arms.fence import Fence
from datasets.arm.kinematics import Kinematics
from datasets.common.errors import ConfigError, DataError
from datasets.rig.frame import Frame
from datasets.rig.projection import Intrinsics, invert, transform
from datasets.rig.rig import Rig
from perception.calibration.calibration import Calibration
from perception.calibration.rigid_fit import fit_rigid_robust
from perception.calibration.table_height import measure_table
from perception.cameras.camera import Camera
from perception.estimator.estimator import PositionEstimator
from perception.estimator.table_plane import seen_from_table
from pipelines.capture.session import patient_read

FRAMES_PER_POSE = 3
REST_S = 0.3
MAX_RESIDUAL_MM = 15.0
REFINEMENTS = 4
FAR_TABLE_M = 0.03
"""A table farther than this from z = 0 (m) may be missed or confused by the estimator until it knows the height."""


class SlowArm(Protocol):
    """The interface of an arm that calibration needs."""

    def go_to(self, xyz_m: ArrayLike) -> None:
        """Go slowly, in a straight line, inside the fence; return when there."""
        ...

    def tcp_at(self, time_s: float) -> NDArray[np.float64]:
        """The encoders' TCP at a past moment, ``(3,)`` m."""
        ...


@dataclass(frozen=True)
class Sighting:
    """A frame, and the TCP by the encoders at its time, ``(3,)`` m in the base frame."""

    frame: Frame
    tcp: NDArray[np.float64]


def choose_places(rig: Rig, fence: Fence, count: int, seed: int) -> list[NDArray[np.float64]]:
    """Reachable places spread over the fence, ordered so that each is near the previous one."""
    kinematics, rng = Kinematics(rig.tool.tcp_offset_m), np.random.default_rng(seed)
    margin = 0.15 * (fence.high_m - fence.low_m)
    here = np.asarray(kinematics.tcp(rig.home_joints_rad), dtype=float)
    places: list[NDArray[np.float64]] = []
    for _ in range(200 * count):
        place = rng.uniform(fence.low_m + margin, fence.high_m - margin)
        if kinematics.is_reachable(place, rig.home_joints_rad):
            places.append(place)
            if len(places) == count:
                break
    else:
        raise ConfigError(f"only {len(places)} of {count} reachable places found in the workspace; widen it")
    ordered = []
    while places:
        nearest = min(range(len(places)), key=lambda index: float(np.linalg.norm(places[index] - here)))
        here = places.pop(nearest)
        ordered.append(here)
    return ordered


def look_around(camera: Camera, arm: SlowArm, places: Sequence[NDArray[np.float64]]) -> list[Sighting]:
    """Frames with the encoders' TCP, taken at rest in each place; raises DeviceError or SafetyStop."""
    sightings = []
    for place in tqdm(places, unit="pose", desc="looking"):
        arm.go_to(place)
        arrived = time.monotonic()
        taken = 0
        while taken < FRAMES_PER_POSE:
            frame = patient_read(camera)
            if frame.timestamp >= arrived + REST_S:
                sightings.append(Sighting(frame, arm.tcp_at(frame.timestamp)))
                taken += 1
    return sightings


def locate_camera(
    sightings: Sequence[Sighting], estimator: PositionEstimator, intrinsics: Intrinsics, table_z_m: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """``T_base_camera`` (4x4), and the residuals ``(N, 3)`` m, base frame, of the sightings that agree.

    The first round uses the first look, which finds the TCP in the camera's frame without any pose. Later rounds use
    the second look, which works in the base frame: it is given the pose found so far, and its answers are transformed
    back into the camera's frame by that pose. ``table_z_m`` is all that it knows of the table.

    Raises:
        DataError: the positions seen do not fit the encoders.
    """
    truth = np.array([sighting.tcp for sighting in sightings])
    pose = estimator.rig.t_base_camera
    for round_ in range(1 + REFINEMENTS):
        t_table_camera = seen_from_table(pose, table_z_m)
        found = [estimator.locate(each.frame.cut, t_table_camera, intrinsics) for each in sightings]
        answers = [each.coarse if round_ == 0 else each.fovea for each in found]
        seen = np.array(
            [transform(invert(each.t_base_camera), answer.xyz) for each, answer in zip(found, answers, strict=True)]
        )
        pose, kept = fit_rigid_robust(truth, seen)
    residuals = transform(pose, seen)[kept] - truth[kept]
    if kept.mean() < 0.7 or 1e3 * _rms(residuals) > MAX_RESIDUAL_MM:
        raise DataError(
            f"what the camera sees does not fit the encoders: {_rms(residuals) * 1e3:.1f} mm remain and "
            f"{100 * (1 - kept.mean()):.0f} % of the frames disagree; is the gripper in view, the tool the rig's?"
        )
    return np.asarray(pose, dtype=float), np.asarray(residuals, dtype=float)


def locate_camera_and_table(
    sightings: Sequence[Sighting], estimator: PositionEstimator, intrinsics: Intrinsics
) -> tuple[NDArray[np.float64], NDArray[np.float64], float | None, str]:
    """As :func:`locate_camera`, with the table's height (m, base frame; None: it is not seen well) and a description.

    A table that is not seen well is taken to lie at z = 0.
    """
    frames = [sighting.frame for sighting in sightings]
    pose, residuals = locate_camera(sightings, estimator, intrinsics)
    try:
        table = measure_table(frames, pose, intrinsics, estimator.rig)
        if abs(table.z_m) > FAR_TABLE_M:
            pose, residuals = locate_camera(sightings, estimator, intrinsics, table.z_m)
            table = measure_table(frames, pose, intrinsics, estimator.rig)
    except DataError as error:
        return pose, residuals, None, f"not measured, the site file's height or z = 0 is kept: {error}"
    height = round(table.z_m, 4)
    said = f"z = {1e3 * height:+.1f} mm in the base frame (spread {1e3 * table.spread_m:.1f} mm, {table.frames} frames)"
    return pose, residuals, height, said


def measured(
    pose: NDArray[np.float64], residuals: NDArray[np.float64], poses: int, words: str, table_z_m: float | None = None
) -> Calibration:
    """The content of the calibration file; ``table_z_m`` is None where the table was not seen."""
    residual_mm = round(1e3 * _rms(residuals), 3)
    table = {"table_z_m": table_z_m or 0.0, "table_seen": table_z_m is not None}
    return Calibration.of_pose(pose, words, poses=poses, residual_mm=residual_mm, **table)


def _rms(residuals: NDArray[np.floating]) -> float:
    return float(np.sqrt(np.mean(np.sum(residuals**2, axis=1))))
