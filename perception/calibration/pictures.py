"""Pictures of a calibration: the arm's model drawn over each posture's frame, and what is left unexplained."""

from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from datasets.rig.projection import Array
from perception.calibration.captures import Captures
from perception.calibration.registration.arm_view import LINKS, ArmView
from perception.calibration.registration.register import KNOWN_TOOL
from perception.calibration.registration.result import Registration

COLUMNS = 4
LIMIT_MM = 10.0
_OUTLINE = (255, 0, 160)


def draw_outlines(captures: Captures, found: Registration, path: Path) -> None:
    """The outline of the model at the calibrated pose over one frame of each posture. Written as PNG.

    It shows at once whether the pose is right. Postures that disagree have a red title.
    """
    postures = found.postures.tolist()
    rows = -(-len(postures) // COLUMNS)
    figure = Figure(figsize=(4 * COLUMNS, 3.1 * rows), layout="constrained")
    every = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    k = found.intrinsics
    view = ArmView((k.width, k.height), tool=captures.setting.tool == KNOWN_TOOL)
    try:
        for axes, posture in zip(every, postures, strict=False):
            first = int(np.flatnonzero(captures.postures == posture)[0])
            view.place(captures.joints[first] + found.joint_offsets_rad, found.gripper_rad)
            drawn = view.draw(found.t_base_camera, k)[0] > 0
            axes.imshow(outlined(captures.rgb[first], drawn))
            disagrees = posture in found.disagreeing
            axes.set_title(f"posture {posture}{' disagrees' if disagrees else ''}", color="red" if disagrees else "k")
    finally:
        view.close()
    for axes in every:
        axes.set_axis_off()
    _save(figure, path)


def outlined(rgb: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The picture ``(H, W, 3)`` with the edge of a mask ``(H, W)``, two pixels wide."""
    whole = mask.astype(np.uint8)
    edge = (cv2.dilate(whole, np.ones((3, 3), np.uint8)) - cv2.erode(whole, np.ones((3, 3), np.uint8))) > 0
    picture = rgb.copy()
    picture[edge] = _OUTLINE
    return picture


def draw_residuals(found: Registration, path: Path) -> None:
    """How far depth lies outside of the model, by posture and link. Written as PNG."""
    residuals: Array = found.residuals_mm
    figure = Figure(figsize=(8, 1.6 + 0.3 * len(residuals)), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(residuals, cmap="RdBu_r", vmin=-LIMIT_MM, vmax=LIMIT_MM, aspect="auto")
    for (row, column), value in np.ndenumerate(residuals):
        if np.isfinite(value):
            axes.text(column, row, f"{value:.1f}", ha="center", va="center", fontsize=7)
    axes.set_xticks(range(len(LINKS)), LINKS)
    axes.set_yticks(range(len(residuals)), [str(posture) for posture in found.postures])
    axes.set(ylabel="posture", title="median of depth outside of the model, mm (empty: not seen)")
    figure.colorbar(image, ax=axes)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # No date in the file: the same captures give the same bytes.
    figure.savefig(path, dpi=90, metadata={"Software": None})
