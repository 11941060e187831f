r"""Judges an estimator by frames of an arm whose joints are known: with the camera's pose as given, and as fitted.

The reference is the TCP by joints and camera pose. A pose is never exact, and all frames share its error. Each frame is
therefore judged a second time, with a pose that is fitted to the *other* frames' estimates :math:`p_j` (camera frame)
and references :math:`x_j` (joints), in which its own estimate has no part,

.. math:: \min_{t, w} \sum_{j \ne i} \rho\!\left(\frac{T(t, w)\, p_j - x_j}{s_j}\right)
          + \frac{\lVert t \rVert^2}{s_t^2} + \frac{\lVert w \rVert^2}{s_w^2}

with Cauchy's :math:`\rho` and a motion :math:`(t, w)` about the references' mean that is as small as errors of poses.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from datasets.arm.kinematics import Kinematics
from datasets.common.errors import DataError
from datasets.rig.projection import Array, invert, transform
from datasets.rig.rig import Rig, Tool, Workspace
from perception.calibration.captures import Captures
from perception.calibration.registration.arm_view import ArmView
from perception.calibration.registration.fit import SCALE_WIDTHS
from perception.calibration.registration.motion import cross_matrix, moved_about
from perception.estimator.estimator import DESCRIPTION, GRAPHS, PositionEstimator
from perception.estimator.model_folder import read_description
from perception.estimator.table_plane import seen_from_table
from perception.evaluation.metrics import coverage
from perception.real.likeness import end_seen

LEAST_SEEN = 0.3
"""If less of the arm's last part is in view, the frame does not show where it is."""
LEAST_OTHERS = 3
POSE_SD_M, POSE_SD_RAD = 0.02, np.radians(1.0)
"""What a published pose may be off by: two fits to the same real frames lay 13.5 mm and 0.49 deg apart."""
LEAST_SD_M = 0.005
"""Least deviation of an estimate from its reference: joints, intrinsics and depth are not known better."""
REWEIGHTINGS = 20


@dataclass(frozen=True)
class Answers:
    """``xyz`` and ``sigma`` in the base frame, and ``camera``, the same place in the camera's; each ``(N, 3)`` m."""

    xyz: NDArray[np.float64]
    sigma: NDArray[np.float64]
    camera: NDArray[np.float64]


def load_estimator(folder: str | Path, rig: Rig) -> PositionEstimator:
    """The estimator of a folder, with the workspace and tool that it was trained for, instead of the rig's.

    Raises:
        ModelError: it is missing or damaged.
    """

    def parse(description: dict[str, Any]) -> Rig:
        trained = description["rig"]
        x_m, y_m, z_m = ((float(low), float(high)) for low, high in (trained["workspace"][f"{a}_m"] for a in "xyz"))
        return replace(
            rig,
            fovea_width_m=float(trained["fovea_width_m"]),
            input_px=int(trained["input_px"]),
            workspace=Workspace(x_m, y_m, z_m),
            tool=Tool(str(trained["tool"]["name"]), float(trained["tool"]["tcp_offset_m"])),
        )

    files = (DESCRIPTION, *GRAPHS.values())
    trained = read_description(Path(folder), files, "model", "name the folder of an estimator by --estimator", parse)
    return PositionEstimator.load(folder, trained)


def references(joints_rad: Array, tcp_offset_m: float) -> NDArray[np.float64]:
    """The TCP ``(N, 3)`` m in the base frame at joints ``(N, 7)``, ``tcp_offset_m`` along the flange's axis."""
    return Kinematics(tcp_offset_m).tcps(joints_rad)


def seen_shares(captures: Captures, pose: Array, points: Array, *, bare: bool) -> NDArray[np.float64]:
    """How much of the arm's last part each frame shows, ``(N,)``; see :func:`perception.real.likeness.end_seen`."""
    k = captures.intrinsics
    view, found = ArmView((k.width, k.height), tool=not bare), []
    try:
        for joints, depth, point in zip(captures.joints, captures.depth, points, strict=True):
            view.place(joints)
            found.append(end_seen(view, pose, k, depth, point))
    finally:
        view.close()
    return np.array(found)


def shown(seen: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which frames show enough of the arm's last part to say where it is, by their :func:`seen_shares` ``(N,)``."""
    return seen >= LEAST_SEEN


def answer(estimator: PositionEstimator, captures: Captures, poses: Sequence[Array], table_z_m: float) -> Answers:
    """Locate the TCP in each frame with its own camera pose (4x4)."""
    rows = []
    for frame, pose in tqdm(list(zip(captures.frames, poses, strict=True)), desc="estimates", unit="frame"):
        found = estimator.locate(frame.cut, seen_from_table(pose, table_z_m), captures.intrinsics)
        xyz = found.fovea.xyz + np.array([0.0, 0.0, table_z_m])
        rows.append((xyz, found.fovea.sigma, transform(invert(found.t_base_camera), found.fovea.xyz)))
    return Answers(*(np.asarray(column, dtype=float) for column in zip(*rows, strict=True)))


def fit_pose(start: Array, camera: Array, truth: Array, deviation_m: Array) -> NDArray[np.float64]:
    """The camera pose near ``start`` (4x4) by which points ``(N, 3)`` m of the camera's frame lie at ``truth``.

    Args:
        start: as given.
        camera: points in the camera's frame.
        truth: the same in the base frame.
        deviation_m: ``(N,)`` how far each may be off.
    """
    centre = truth.mean(axis=0)
    prior = np.diag([1 / POSE_SD_M**2] * 3 + [1 / POSE_SD_RAD**2] * 3)
    whole = np.zeros(6)
    placed = transform(start, camera)
    jacobian = np.concatenate([np.broadcast_to(np.eye(3), (len(camera), 3, 3)), -cross_matrix(placed - centre)], axis=2)
    for _ in range(REWEIGHTINGS):
        away = truth - placed - jacobian @ whole
        size = np.linalg.norm(away, axis=1) / deviation_m
        weight = 1 / (deviation_m**2 * (1 + (size / SCALE_WIDTHS) ** 2))
        hessian = np.einsum("n,nki,nkj->ij", weight, jacobian, jacobian) + prior
        whole = np.linalg.solve(hessian, np.einsum("n,nki,nk->i", weight, jacobian, truth - placed))
    return moved_about(np.asarray(start, dtype=float), whole, centre)


def fitted_poses(
    start: Array, told: Answers, truth: Array, seen: NDArray[np.bool_]
) -> list[NDArray[np.float64] | None]:
    """For each frame the pose fitted to the other frames that are ``seen`` ``(N,)``; None where those are too few."""
    found: list[NDArray[np.float64] | None] = []
    deviation = np.hypot(told.sigma.max(axis=1), LEAST_SD_M)
    for index in range(len(truth)):
        others = seen & (np.arange(len(truth)) != index)
        enough = others.sum() >= LEAST_OTHERS
        found.append(fit_pose(start, told.camera[others], truth[others], deviation[others]) if enough else None)
    return found


def figures(errors: Array, sigma: Array) -> dict[str, float | int | str]:
    """Median and largest distance (mm) and sigma's coverage of errors ``(N, 3)`` m; without any, the reason."""
    if not len(errors):
        return {"n": 0, "reason": f"no frame shows the TCP beside {LEAST_OTHERS} others that do"}
    distance = 1e3 * np.linalg.norm(errors, axis=1)
    covered = {name: value for name, value in coverage(errors, sigma).items() if name.startswith("within")}
    return {
        "median_mm": round(float(np.median(distance)), 2),
        "worst_mm": round(float(distance.max()), 2),
        **covered,
    }


def judge(
    estimator: PositionEstimator,
    captures: Captures,
    truth: Array,
    pose: Array,
    table_z_m: float,
    seen: NDArray[np.float64],
    max_sigma_m: float,
) -> tuple[dict[str, Any], list[dict[str, Any]], tuple[tuple[Answers, Answers], list[NDArray[np.float64] | None]]]:
    """Both ways' figures, a row for each frame, and what overlays show: both ways' answers, and the fitted poses.

    Args:
        estimator: of any folder.
        captures: the frames.
        truth: ``(N, 3)`` m, of :func:`references`.
        pose: of the camera as given (4x4).
        table_z_m: of the table in the base frame.
        seen: ``(N,)`` of :func:`seen_shares`; hidden frames have rows and no part in the figures.
        max_sigma_m: a larger sigma is confessed: the runtime would not act on it.

    Raises:
        DataError: no frame shows the TCP.
    """
    visible = shown(seen)
    if not visible.any():
        raise DataError("no frame shows the end of the arm: it is hidden, outside the image, or the pose is wrong")
    given = answer(estimator, captures, [pose] * len(truth), table_z_m)
    poses = fitted_poses(pose, given, truth, visible)
    fitted = answer(estimator, captures, [pose if each is None else each for each in poses], table_z_m)
    rows: list[dict[str, Any]] = []
    for index in range(len(truth)):
        row: dict[str, Any] = {"frame": index, "seen": round(float(seen[index]), 2), "visible": bool(visible[index])}
        for name, answers in (("given", given), ("fitted", fitted)):
            known = name == "given" or poses[index] is not None
            sigma = answers.sigma[index].max()
            row[name] = (
                {
                    "error_mm": round(1e3 * float(np.linalg.norm(answers.xyz[index] - truth[index])), 2),
                    "sigma_mm": round(1e3 * float(sigma), 2),
                    "confessed": bool(sigma > max_sigma_m),
                }
                if known
                else None
            )
        rows.append(row)
    fit = visible & np.array([each is not None for each in poses])
    found = {
        "n": int(visible.sum()),
        "given": figures((given.xyz - truth)[visible], given.sigma[visible]),
        "fitted": figures((fitted.xyz - truth)[fit], fitted.sigma[fit]),
    }
    return found, rows, ((given, fitted), poses)
