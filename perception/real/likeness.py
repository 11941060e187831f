r"""How much the arm that is drawn looks like the one in real frames: silhouettes and surfaces, link by link.

Of a frame with a mask :math:`M` of the arm and the drawn arm :math:`D`, the likeness is the intersection over union
:math:`|D \cap M| / |D \cup M|`. Of a link it is that of the pixels that are nearer to its drawing than to any other
link's, since a mask does not say which link it saw. Depth residuals are distances of readings from the drawn surface.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from tqdm import tqdm

from datasets.arm.model import ArmName
from datasets.common.errors import DataError
from datasets.rig.projection import Array, Intrinsics, invert, project, transform
from perception.calibration.captures import Captures
from perception.calibration.registration.arm_view import LINKS, ArmView
from perception.calibration.registration.fit import Model, Sight, fit, residuals
from perception.calibration.registration.register import register
from perception.calibration.registration.result import CalibrationError, Registration
from perception.real.frames import RealFrames

GATE_M = 0.1
"""A reading farther from the drawn surface is of something else: a thing in front of the arm, or the room."""
SURFACE_POINTS = 3000
SAME_SURFACE_M, IN_FRONT_M = 0.01, 0.06


@dataclass(frozen=True)
class FrameLikeness:
    """The likeness of one frame.

    Attributes:
        shared, either: ``(9,)`` px by link, of intersection and union; None without a mask.
        metres: ``(N,)`` m, signed distances of readings from the surface, positive outside; ``links``: ``(N,)``.
        found: share of the drawn arm's pixels where depth is read within ``GATE_M`` of it.
    """

    shared: NDArray[np.intp] | None
    either: NDArray[np.intp] | None
    metres: Array
    links: NDArray[np.intp]
    found: float

    @property
    def iou(self) -> float | None:
        """Intersection over union of the whole arm."""
        return None if self.shared is None or self.either is None else _ratio(self.shared.sum(), self.either.sum())


def lay_on(frames: RealFrames, arm: ArmName = "own") -> tuple[Registration | None, str]:
    """The pose by which the drawn arm fits best, and in words how it was found, or why it was not."""
    given = "" if frames.calibration is None else "as given: "
    if not frames.postures:
        return None, f"{given}the arm moved while the frames were recorded, so that it is not laid onto them"
    start = None if frames.calibration is None else frames.calibration.pose
    tool = "none" if frames.is_bare else frames.captures.setting.tool
    try:
        found = register(frames.captures, tool=tool, arm=arm, start=start)
    except CalibrationError as error:
        return None, f"{given}the drawn arm was not laid onto the frames ({error})"
    return found, "the drawn arm laid onto depth and outline of all frames"


def found_share(found: Sequence[FrameLikeness]) -> float:
    """Share of the drawn arm that depth is read near to, median over the frames.

    About 0.9 where joints, pose, intrinsics and depth belong together; dark or shining parts may have no reading.
    """
    return float(np.median([each.found for each in found]))


def compare(captures: Captures, model: Model, *, bare: bool, arm: ArmName = "own") -> list[FrameLikeness]:
    """Draw the arm at each frame's joints and compare it with what the frame shows."""
    k = captures.intrinsics
    view, found = ArmView((k.width, k.height), arm, tool=not bare), []
    try:
        for index, joints in enumerate(tqdm(captures.joints, desc="likeness", unit="frame")):
            mask = None if captures.masks is None else captures.masks[index]
            sight = Sight(captures.depth[index], np.zeros(captures.depth[index].shape, np.float32), joints)
            rows, _ = residuals(view, sight, model, 1.0, GATE_M)
            drawn, links = view.draw(model.pose, model.intrinsics)
            shared, either = (None, None) if mask is None else _by_link(links, mask)
            near = (sight.depth > 0) & (np.abs(sight.depth - model.depth[0] * drawn) < GATE_M) & (drawn > 0)
            share = float(near.sum() / max((drawn > 0).sum(), 1))
            found.append(FrameLikeness(shared, either, rows.metres, rows.links, share))
    finally:
        view.close()
    return found


def fit_outline(captures: Captures, start: Model, *, bare: bool, arm: ArmName = "own") -> Model:
    """The model whose outline fits the masks best, without regard to depth."""
    k, masks = captures.intrinsics, captures.masks
    if masks is None:
        raise DataError("the frames have no masks, whose outline could be fitted")
    view, unread = ArmView((k.width, k.height), arm, tool=not bare), np.zeros((k.height, k.width), np.float32)
    sights = [
        Sight(unread, np.where(mask, 1, -1).astype(np.float32), joints)
        for mask, joints in zip(masks, captures.joints, strict=True)
    ]
    try:
        return fit(view, sights, start).model
    finally:
        view.close()


def summary(found: Sequence[FrameLikeness]) -> dict[str, Any]:
    """Intersection over union and median depth residual (mm) of all frames together, whole and by link."""
    metres, links = (np.concatenate([getattr(each, name) for each in found]) for name in ("metres", "links"))
    masked = [each for each in found if each.shared is not None]
    shared, either = (
        np.sum([getattr(each, name) for each in masked], axis=0) if masked else np.zeros(len(LINKS), np.intp)
        for name in ("shared", "either")
    )
    by_link = {}
    for index, name in enumerate(LINKS):
        of = metres[links == index]
        if len(of) or either[index]:
            by_link[name] = {"iou": _ratio(shared[index], either[index]), **depth_figures(of)}
    return {"iou": _ratio(shared.sum(), either.sum()), **depth_figures(metres), "by_link": by_link}


def depth_figures(metres: Array) -> dict[str, float | None]:
    """Median size of residuals m, and their median with the sign (outside of the surface: positive), in mm."""
    if not len(metres):
        return {"depth_median_mm": None, "depth_bias_mm": None}
    size, bias = np.median(np.abs(metres)), np.median(metres)
    return {"depth_median_mm": round(1e3 * float(size), 2), "depth_bias_mm": round(1e3 * float(bias), 2)}


def end_seen(view: ArmView, pose: Array, k: Intrinsics, depth: NDArray[np.float32], point: Array) -> float:
    """Share of the arm's last part that is seen, of its side facing the camera; 0 where ``point`` is outside the image.

    Args:
        view: the arm at the frame's joints.
        pose: of the camera (4x4).
        k: of the frame.
        depth: ``(H, W)`` m of the frame, which shows what stands in front.
        point: ``(3,)`` m, base frame, where the TCP is.
    """
    drawn, surface = view.draw(pose, k)[0], view.surface(SURFACE_POINTS)
    end = surface.links == surface.links.max()
    points = transform(invert(pose), np.vstack([surface.points[end], point]))
    facing = np.einsum("nk,nk->n", points[:-1], surface.normals[end] @ pose[:3, :3]) < 0
    column, row = np.rint(project(points, k)).astype(np.intp).T
    inside = (points[:, 2] > 0) & (column >= 0) & (row >= 0) & (column < k.width) & (row < k.height)
    if not inside[-1] or not facing.any():
        return 0.0
    seen = inside[:-1] & facing
    at, z = (row[:-1][seen], column[:-1][seen]), points[:-1][seen, 2]
    shown = (np.abs(drawn[at] - z) < SAME_SURFACE_M) & ((depth[at] == 0) | (depth[at] > z - IN_FRONT_M))
    return float(shown.sum() / facing.sum())


def _by_link(links: NDArray[np.intp], mask: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    drawn = links >= 0
    if not drawn.any():
        return np.zeros(len(LINKS), np.intp), np.bincount([0], minlength=len(LINKS)) * int(mask.sum())
    rows, columns = distance_transform_edt(~drawn, return_distances=False, return_indices=True)
    nearest = links[rows, columns]
    shared, either = (np.bincount(nearest[of], minlength=len(LINKS)) for of in (drawn & mask, drawn | mask))
    return shared, either


def _ratio(part: float, whole: float) -> float | None:
    return round(float(part / whole), 4) if whole else None
