"""From captures to a calibrated camera: search, fine fit, and every reason not to believe it."""

import logging
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import ArrayLike

from datasets.arm.kinematics import Kinematics
from datasets.arm.model import GRIPPER_CLOSED_RAD, ArmName
from datasets.common.errors import DataError
from datasets.rig.frame import Frame
from datasets.rig.projection import Array
from datasets.rig.rig import Rig, Workspace
from perception.calibration.captures import Captures
from perception.calibration.registration.arm_view import ArmView
from perception.calibration.registration.background import ARM_DEPTH_M, moving, see_background
from perception.calibration.registration.doubts import (
    camera_motion_px,
    disagreeing_postures,
    halves_apart,
    link_medians,
    tool_shift,
)
from perception.calibration.registration.fit import Fit, Model, Sight, fit
from perception.calibration.registration.motion import places, standard_deviation
from perception.calibration.registration.posture import Posture, apart
from perception.calibration.registration.result import CalibrationError, Cause, Registration
from perception.calibration.registration.start import candidates, cloud_of, moving_surface
from perception.calibration.table_height import measure_table

LEAST_POSTURES = 5
KNOWN_TOOL = "xarm_gripper"
GRIPPER_GUESS_RAD = 0.4
LEAST_DEPTH_SHARE = 0.1
MOST_START_M = 0.035
"""Up to this mean distance of the nearest four fifths of points the search has surely found the pose: usually it is 10
to 20 mm."""
FARTHEST_START_M = 0.06
"""Beyond this the search has failed. Between the two limits the fit decides: a camera in whose pictures other things
move, too, was found at 35 mm."""
LEAST_INSIDE = 0.85
MOST_SPREAD_M = 0.010
MOST_TCP_M = 0.006
MOST_TOOL_M, MOST_TOOL_DEVIATIONS = 0.003, 4.0
MOST_FLOW_PX = 0.4
MOST_HALVES_M, HALVES_DEVIATIONS = 0.003, 8.0
"""By noise alone, a half deviates by 1.4 and the difference of two halves by 2 of the whole's deviations. Links and
joints of real arms are off by more than noise: the halves of five real frames are 5.5 deviations apart."""
MOST_DEVIATION_M = 0.008
LEAST_APART_M = 0.175
"""Least distance between two of the five postures that differ most. It is 205 to 316 mm in plans of ten or more, and 69
to 105 mm in plans shrunk to a third, from which poses of hidden twins were up to 2.2 mm off."""
OUTLINE_MARGIN_PX = 9

logger = logging.getLogger(__name__)


def register(
    captures: Captures,
    *,
    tool: str | None = None,
    arm: ArmName = "own",
    start: ArrayLike | None = None,
    fit_intrinsics: bool = False,
    fit_joints: bool = False,
    least_postures: int = LEAST_POSTURES,
    most_deviation_m: float = MOST_DEVIATION_M,
    workspace: Workspace | None = None,
) -> Registration:
    """Calibrate the camera by the arm that it sees.

    Args:
        captures: frames at rest.
        tool: what is mounted; default: what the captures say. Only the gripper's shapes are known: with another tool,
            or none, the arm's flange is the last link that is compared. The gripper is equally open in all captures.
        arm: the arm model whose shapes are compared.
        start: ``T_base_camera`` (4x4) to begin with; default: searched for from nothing.
        fit_intrinsics: focal length and principal point too.
        fit_joints: offsets of joints 2 to 7 too, held near 0 by the 1 mrad a factory leaves (*assumed: joint-offsets*).
        least_postures: fewer are refused.
        most_deviation_m: by the fit's own covariance, at any corner of the workspace; more is refused.
        workspace: where the pose's deviation is evaluated; default: the rig's.

    Raises:
        CalibrationError: nothing should be calibrated from these captures; its ``cause`` says why.
    """
    tool = captures.setting.tool if tool is None else tool
    rig = Rig.load()
    points = places(workspace or rig.workspace)
    postures = _postures(captures)
    _check_captures(captures, postures, tool, least_postures)
    view = ArmView((captures.intrinsics.width, captures.intrinsics.height), arm, tool=tool == KNOWN_TOOL)
    try:
        model = Model.of_pose(
            _search(view, postures, captures, least_postures) if start is None else np.asarray(start, dtype=float),
            captures.intrinsics,
        )
        model = replace(model, gripper_rad=GRIPPER_GUESS_RAD)
        sights = _sights(view, postures, model)
        model = fit(view, sights, model, iterations=6, times=1).model
        if tool == KNOWN_TOOL:
            model = replace(model, gripper_rad=_gripper(view, sights, model))
        sights = _sights(view, postures, model)
        result = fit(view, sights, model, camera=fit_intrinsics, joints=fit_joints)
        found = _registration(view, sights, result, captures)
        _check_fit(found, result, view, sights, points, tool, most_deviation_m)
        return replace(found, table=_table(found, postures, rig))
    finally:
        view.close()


def _postures(captures: Captures) -> list[Posture]:
    """The mean of each posture's frames; depth only where most of them have a reading."""
    found = []
    for number in np.unique(captures.postures):
        of = captures.postures == number
        depth, masks = captures.depth[of], captures.masks
        read = (depth > 0).sum(axis=0)
        mean = np.where(2 * read > len(depth), depth.sum(axis=0) / np.maximum(read, 1), 0).astype(np.float32)
        rgb = np.rint(captures.rgb[of].mean(axis=0)).astype(np.uint8)
        frame = Frame(rgb, mean, float(captures.timestamps[of][0]))
        mask = None if masks is None else masks[of].mean(axis=0) >= 0.5
        found.append(Posture(frame, captures.joints[of].mean(axis=0), GRIPPER_GUESS_RAD, mask))
    return found


def _check_captures(captures: Captures, postures: Sequence[Posture], tool: str, least_postures: int) -> None:
    """Refuse captures whose faults show before any fit."""
    if len(postures) < least_postures:
        raise CalibrationError(Cause.TOO_FEW, f"{captures}; at least {least_postures} are needed, ten are better")
    differ_m = apart([posture.joints_rad for posture in postures], least_postures)
    if differ_m < LEAST_APART_M:
        raise CalibrationError(
            Cause.ONE_SIDE,
            f"the {least_postures} that differ most differ by {1e3 * differ_m:.0f} mm, {1e3 * LEAST_APART_M:.0f} mm "
            "are asked; take postures farther apart",
        )
    share = float(np.median([(posture.frame.depth > 0).mean() for posture in postures]))
    if share < LEAST_DEPTH_SHARE:
        raise CalibrationError(
            Cause.NO_DEPTH, f"{100 * share:.0f} % of the pixels have a reading; see python -m pipelines.doctor"
        )
    given = np.isfinite(captures.tcp).all(axis=1)
    if tool == KNOWN_TOOL and given.any():
        away = captures.tcp[given] - Kinematics().tcps(captures.joints[given])
        far = float(np.median(np.linalg.norm(away, axis=1)))
        if far > MOST_TCP_M:
            raise CalibrationError(
                Cause.TCP, f"it lies {1e3 * far:.1f} mm from where joints and {tool} have it; set its TCP offset"
            )
    moved_px = camera_motion_px(postures)
    if moved_px.max() > MOST_FLOW_PX:
        first = int(np.argmax(moved_px > MOST_FLOW_PX))
        raise CalibrationError(
            Cause.MOVED,
            f"what stands still is seen {moved_px[first]:.1f} px elsewhere from posture {first} on; fix it, start anew",
        )


def _search(view: ArmView, postures: Sequence[Posture], captures: Captures, least: int) -> Array:
    background = see_background(postures)
    moves = [moving(background, posture) for posture in postures]
    # A far wall whose readings drift seems to move in some frames; the arm keeps its own distance.
    distances = [
        float(np.median(posture.frame.depth[of])) for posture, of in zip(postures, moves, strict=True) if of.any()
    ]
    near = [
        of & (np.abs(posture.frame.depth - np.median(distances)) < ARM_DEPTH_M) if distances else of
        for posture, of in zip(postures, moves, strict=True)
    ]
    pairs = [(posture, cloud_of(posture, of, captures.intrinsics)) for posture, of in zip(postures, near, strict=True)]
    seen = [(posture, cloud) for posture, cloud in pairs if cloud is not None]
    if len(seen) < max(min(least, len(postures)) / 2, 2):
        raise CalibrationError(
            Cause.HIDDEN, f"something moves in {len(seen)} of {len(postures)} postures only; aim the camera at the arm"
        )
    clouds = [cloud for _, cloud in seen]

    def searched(joints: Sequence[Array]) -> tuple[Array, float]:
        placed = [replace(posture, joints_rad=q) for (posture, _), q in zip(seen, joints, strict=True)]
        return candidates(clouds, [moving_surface(view, each) for each in placed], captures.intrinsics)[0]

    told = [posture.joints_rad for posture, _ in seen]
    pose, cost = searched(told)
    logger.info("search: %.1f mm", 1e3 * cost)
    if cost <= MOST_START_M:
        return pose
    for words, turn in _MISTAKES.items():
        if searched([turn(joints) for joints in told])[1] < 0.6 * cost:
            raise CalibrationError(Cause.JOINTS, f"they fit when they are {words}; give them as the controller does")
    if cost <= FARTHEST_START_M:
        return pose
    raise CalibrationError(
        Cause.OTHER_ARM,
        f"no camera sees the xArm7 at these joints so (best: {1e3 * cost:.0f} mm off): another robot, wrong joints, "
        "or a person or thing that moved",
    )


_MISTAKES = {
    "mirrored": lambda joints: joints * np.array([-1.0, 1, -1, 1, -1, 1, -1]),
    "swapped, 3 with 5": lambda joints: joints[[0, 1, 4, 3, 2, 5, 6]],
}


def _sights(view: ArmView, postures: Sequence[Posture], model: Model) -> list[Sight]:
    """What the postures show, once the arm's place is known to a centimetre."""
    arms = []
    for posture in postures:
        view.place(posture.joints_rad, model.gripper_rad)
        drawn = view.draw(model.pose, model.intrinsics)[0] > 0
        arms.append(cv2.dilate(drawn.astype(np.uint8), np.ones((OUTLINE_MARGIN_PX,) * 2)) > 0)
    background = see_background(postures, arms)
    return [Sight(posture.frame.depth, background.evidence(posture), posture.joints_rad) for posture in postures]


def _gripper(view: ArmView, sights: Sequence[Sight], model: Model) -> float:
    """How far the gripper is closed, rad: where most of what is drawn is seen, and most of what is seen is drawn."""

    def agreement(gripper_rad: float) -> float:
        total = 0.0
        for sight in sights:
            view.place(sight.joints_rad + model.offsets_rad, gripper_rad)
            total += float(sight.evidence[view.draw(model.pose, model.intrinsics)[0] > 0].sum())
        return total

    coarse = np.linspace(0, GRIPPER_CLOSED_RAD, 8)
    best = coarse[np.argmax([agreement(each) for each in coarse])]
    fine = np.clip(best + np.linspace(-0.12, 0.12, 7), 0, GRIPPER_CLOSED_RAD)
    return float(fine[np.argmax([agreement(each) for each in fine])])


def _registration(view: ArmView, sights: Sequence[Sight], result: Fit, captures: Captures) -> Registration:
    model, numbers = result.model, np.unique(captures.postures)
    residuals, spread = link_medians(result)
    drawn, seen = 0.0, 0.0
    for sight in sights:
        view.place(sight.joints_rad + model.offsets_rad, model.gripper_rad)
        arm = (view.draw(model.pose, model.intrinsics)[0] > 0) & (sight.evidence != 0)
        drawn, seen = drawn + arm.sum(), seen + (sight.evidence[arm] > 0).sum()
    found = Registration(
        t_base_camera=model.pose,
        covariance=result.covariance[:6, :6],
        intrinsics=model.intrinsics,
        depth_scale=float(model.depth[0]),
        depth_offset_m=float(model.depth[1]),
        depth_warp_m=model.depth[2:],
        table=None,
        joint_offsets_rad=model.offsets_rad,
        postures=numbers,
        residuals_mm=1e3 * residuals,
        spread_mm=1e3 * spread,
        disagreeing=tuple(int(numbers[index]) for index in disagreeing_postures(result)),
        inside=float(seen / max(drawn, 1.0)),
        gripper_rad=model.gripper_rad,
        by_joints=result.by_joints,
    )
    return found


def _table(found: Registration, postures: Sequence[Posture], rig: Rig) -> Array | None:
    """The plane of the table by the corrected depth, None where none is seen well."""
    frames = [replace(each.frame, depth=found.true_depth(each.frame.depth)) for each in postures]
    try:
        return measure_table(frames, found.t_base_camera, found.intrinsics, rig).plane
    except DataError as error:
        logger.info("table: %s", error)
        return None


def _check_fit(
    found: Registration, result: Fit, view: ArmView, sights: Sequence[Sight], points: Array, tool: str, most_m: float
) -> None:
    """Refuse captures whose faults only the fit shows."""
    spread_m = 1e-3 * float(np.nanmedian(found.spread_mm))
    shift, deviations = tool_shift(view, sights, result) if tool == KNOWN_TOOL else (np.zeros(3), 0.0)
    halves_m = halves_apart(result, points)
    deviation, by_noise = (standard_deviation(each, points) for each in (found.covariance, result.by_noise))
    logger.info(
        "fit: spread %.1f mm, inside %.3f, tool %s mm (%.1f sd), halves %.1f mm, deviation %.2f mm, by noise %.2f mm",
        1e3 * spread_m,
        found.inside,
        np.round(1e3 * shift, 1),
        deviations,
        1e3 * halves_m,
        1e3 * deviation,
        1e3 * by_noise,
    )
    if spread_m > MOST_SPREAD_M or found.inside < LEAST_INSIDE:
        raise CalibrationError(
            Cause.OTHER_ARM,
            f"depth lies {1e3 * spread_m:.1f} mm from its surface and {100 * found.inside:.0f} % of its outline is "
            "filled: another robot, wrong joints, or something in front of it",
        )
    if np.linalg.norm(shift) > MOST_TOOL_M and deviations > MOST_TOOL_DEVIATIONS:
        raise CalibrationError(
            Cause.TOOL,
            f"it is seen at least {np.round(1e3 * shift).astype(int).tolist()} mm (flange x, y, z) from there",
        )
    if len(sights) >= LEAST_POSTURES and halves_m > max(MOST_HALVES_M, HALVES_DEVIATIONS * by_noise):
        raise CalibrationError(
            Cause.MOVED, f"the first half of the postures places it {1e3 * halves_m:.1f} mm from the second; fix it"
        )
    if deviation > most_m and by_noise < deviation / 2:
        raise CalibrationError(
            Cause.MOVED,
            f"postures or links do not agree, so that the pose could be {1e3 * deviation:.1f} mm off (1 sd)",
        )
    if deviation > most_m:
        raise CalibrationError(
            Cause.ONE_SIDE, f"the pose could be {1e3 * deviation:.1f} mm off (1 sd); take postures farther apart"
        )
