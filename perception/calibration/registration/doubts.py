"""Figures by which a registration is doubted: the camera's motion, postures apart, the tool's place."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from datasets.arm.kinematics import Kinematics
from datasets.rig.projection import Array, transform
from perception.calibration.registration.arm_view import LINKS, TOOL, ArmView
from perception.calibration.registration.background import moving, see_background
from perception.calibration.registration.fit import SCALE_WIDTHS, Fit, Sight
from perception.calibration.registration.motion import moved
from perception.calibration.registration.posture import Posture

LEAST_FEATURES, WINDOW_PX, AGREE_PX = 25, (15, 15), 1.0
REWEIGHTINGS = 30
DISAGREES_TIMES, LEAST_DISAGREEMENT = 5.0, 0.2


def camera_motion_px(postures: Sequence[Posture]) -> NDArray[np.float64]:
    """How far the still background has moved since the first posture, ``(P,)`` px; 0 where this is not known.

    Corners are followed by Lucas & Kanade's method (1981), forward and back. On noise and along edges they wander;
    the motion returned is therefore that of the similarity transform on which most of them agree.
    """
    background = see_background(postures)
    gray = [cv2.cvtColor(posture.frame.rgb, cv2.COLOR_RGB2GRAY) for posture in postures]
    still = [cv2.erode((~moving(background, posture)).astype(np.uint8), np.ones((15, 15))) for posture in postures]
    motion = np.zeros(len(postures))
    corners = cv2.goodFeaturesToTrack(gray[0], 600, 0.01, 6, mask=still[0])
    if corners is None:
        return motion
    for index in range(1, len(postures)):
        there, found, _ = cv2.calcOpticalFlowPyrLK(gray[0], gray[index], corners, corners.copy(), winSize=WINDOW_PX)
        back, returned, _ = cv2.calcOpticalFlowPyrLK(gray[index], gray[0], there, there.copy(), winSize=WINDOW_PX)
        column, row = np.rint(there[:, 0]).astype(int).clip(0, np.array(gray[0].shape)[::-1] - 1).T
        good = (found[:, 0] > 0) & (returned[:, 0] > 0) & (still[index][row, column] > 0)
        good &= np.linalg.norm((back - corners)[:, 0], axis=1) < 0.3
        if good.sum() < LEAST_FEATURES:
            continue
        before, after = corners[good, 0], there[good, 0]
        turn, _ = cv2.estimateAffinePartial2D(before, after, ransacReprojThreshold=AGREE_PX)
        if turn is not None:
            motion[index] = np.median(np.linalg.norm(before @ turn[:, :2].T + turn[:, 2] - before, axis=1))
    return motion


def link_medians(result: Fit) -> tuple[Array, Array]:
    """Median signed and absolute distance of depth to the surface, m, by posture and link, each ``(P, links)``."""
    shape = len(result.rows), len(LINKS)
    signed, absolute = np.full(shape, np.nan), np.full(shape, np.nan)
    for posture, (depth, _) in enumerate(result.rows):
        for link in np.unique(depth.links):
            of = depth.metres[depth.links == link]
            signed[posture, link], absolute[posture, link] = np.median(of), np.median(np.abs(of))
    return signed, absolute


def tool_shift(view: ArmView, sights: Sequence[Sight], result: Fit) -> tuple[Array, float]:
    """How far the seen tool is from the drawn one, ``(3,)`` m along the flange's axes; the pose is fitted anew.

    Returns:
        The shift, and its length in standard deviations.
    """
    kinematics, parts = Kinematics(), list[tuple[Array, Array, float, float]]()
    for sight, pair in zip(sights, result.rows, strict=True):
        flange = kinematics.tcp_pose(sight.joints_rad)[:3, :3]
        for rows, width, together in zip(pair, result.widths, result.together, strict=True):
            # The tool moves as the camera's pose does, the other way round.
            own = -rows.jacobian[:, :3] @ flange * (rows.links == TOOL)[:, None]
            parts.append((np.hstack([rows.jacobian[:, :6], own]), rows.values, width, together))
    step: Array = np.zeros(9)
    for _ in range(REWEIGHTINGS):  # an outlier of a tool in its place may be none of a shifted one
        hessian, gradient = np.eye(9) * 1e-3, np.zeros(9)
        for jacobian, values, width, together in parts:
            weighted = jacobian * _weights(values - jacobian @ step, width, together)[:, None]
            hessian += weighted.T @ jacobian
            gradient += weighted.T @ values
        step = np.linalg.solve(hessian, gradient)
    spread = np.linalg.inv(hessian)[6:, 6:]
    return step[6:], float(np.sqrt(step[6:] @ np.linalg.solve(spread, step[6:])))


def halves_apart(result: Fit, points: Array) -> float:
    """How far apart the two halves of the postures would place the camera: largest displacement, m."""
    half = len(result.rows) // 2
    first, second = _own_step(result, range(half)), _own_step(result, range(half, len(result.rows)))
    return float(np.linalg.norm(transform(moved(np.eye(4), first - second), points) - points, axis=1).max())


def disagreeing_postures(result: Fit) -> list[int]:
    """Postures that alone would move what they see of the arm, in whitened residuals, far more than others would."""
    aways = []
    for index, (depth, _) in enumerate(result.rows):
        away = depth.jacobian[:, :6] @ _own_step(result, [index])
        aways.append(float(np.sqrt(np.mean(away**2))) if len(away) else 0.0)
    limit = DISAGREES_TIMES * max(float(np.median(aways)), LEAST_DISAGREEMENT)
    return [index for index, away in enumerate(aways) if away > limit]


def _own_step(result: Fit, chosen: Sequence[int]) -> Array:
    """The step of the pose that follows from some postures alone."""
    hessian, gradient = np.eye(6), np.zeros(6)
    for index in chosen:
        for rows, width, together in zip(result.rows[index], result.widths, result.together, strict=True):
            weighted = rows.jacobian[:, :6] * _weights(rows.values, width, together)[:, None]
            hessian += weighted.T @ rows.jacobian[:, :6]
            gradient += weighted.T @ rows.values
    return np.linalg.solve(hessian, gradient)


def _weights(values: Array, width: float, together: float) -> Array:
    """Cauchy's weights: a shifted point attracts from farther away than with the weights of the fit."""
    return np.asarray(1 / (1 + (values / (SCALE_WIDTHS * width)) ** 2) / width**2 / together)
