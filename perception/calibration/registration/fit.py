r"""The fine fit: the drawn arm against depth and outline at once, by Gauss-Newton with robust weights.

A pixel of the drawn arm with surface point :math:`P = z\,d` on its ray :math:`d` and normal :math:`n` reads another
depth when the surface moves, :math:`\delta z = n \cdot \delta P / n \cdot d`; what is compared is the distance to the
surface, :math:`|n \cdot d| / |n|` of that. Outline points move in the image as their surface does, along the outline's
normal. Weights are those of Geman & McClure (1987) with the residuals' own width, since outlines that are seen
elsewhere must have no weight. The covariance clusters in two ways (Cameron, Gelbach & Miller 2011), by posture, since
pixels of a frame err together, and by link, whose shape errs in the same way wherever it is seen. Each cluster is left
out once (the jackknife CR3 of Bell & McCaffrey 2002); what both count is counted twice, which errs to the safe side.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from datasets.rig.projection import Array, Intrinsics
from perception.calibration.registration.arm_view import FINE, LINKS, ArmView
from perception.calibration.registration.motion import cross_matrix, moved
from perception.calibration.registration.result import WARP_ORDERS, warp_waves

_POSE, _SCALE, _OFFSET = slice(0, 6), 6, 7
_WARP = slice(8, 8 + len(WARP_ORDERS))
_CAMERA = slice(_WARP.stop, _WARP.stop + 4)
_JOINTS = slice(_CAMERA.stop, _CAMERA.stop + 7)
_GROWTH = _JOINTS.stop
UNKNOWNS = _GROWTH + 1
SCALE_SD, OFFSET_SD_M = 0.02, 0.002
"""What depth cameras of this kind are off by: 2 % (maker's bound), and 2 mm (*assumed: depth-offset*, as in training).

An arm is seen over a third of a metre of depth, where scale and offset look alike: on five validation twins a prior of
5 mm left the scale off by 0.18 % in the median, this one by 0.11 %.
"""
WARP_SD_M = 0.003 * 0.5 ** (np.array([m + n for m, n in WARP_ORDERS]) - 1.0)
"""It halves with every order: a warp is slow, and where no arm was seen it must not grow towards the corners."""
FOCAL_SD, CENTRE_SD_PX = 0.02, 10.0
JOINTS_SD_RAD = 1e-3
GROWTH_SD_PX = 1.0
"""Deviation by which all outlines may be seen outside of their place: masks and depth grow, blurred colours shrink."""
STRIDE_PX = 3
LEAST_COSINE = 0.3
"""More slanting surfaces are left out: their readings depend more on the pixel's width than on the depth."""
EDGE_PX = 2
DEPTH_SD_M, MODEL_SD_M = 0.003, 0.001
"""Standard deviations of depth at 1 m, which grows with the square of distance, and of the shapes."""
OUTLINE_SD_PX = 0.6
OUTLINE_STEP_PX = 3
SCALE_WIDTHS = 2.385
"""The residual, in widths, at which a weight is a quarter."""


@dataclass(frozen=True)
class Sight:
    """What one posture's frames show.

    Attributes:
        depth: ``(H, W)`` m, the mean of its frames, 0 where too few have a reading.
        evidence: ``(H, W)`` how surely a pixel is arm, -1..1; 0 where nothing is known.
        joints_rad: ``(7,)`` by the encoders.
    """

    depth: NDArray[np.float32]
    evidence: NDArray[np.float32]
    joints_rad: Array


@dataclass(frozen=True)
class Model:
    """What is fitted; ``depth`` is scale, offset m and the slow warp's coefficients m, ``(2 + K,)``."""

    pose: Array
    intrinsics: Intrinsics
    depth: Array
    offsets_rad: Array
    gripper_rad: float = 0.0
    growth_px: float = 0.0

    @classmethod
    def of_pose(cls, pose: Array, intrinsics: Intrinsics) -> "Model":
        """A model with a perfect depth camera and arm."""
        return cls(pose, intrinsics, np.eye(2 + len(WARP_ORDERS))[0], np.zeros(7))

    def stepped(self, step: Array) -> "Model":
        """The model after a step ``(UNKNOWNS,)``."""
        k = self.intrinsics
        camera = Intrinsics.from_array(k.as_array() + step[_CAMERA], k.width, k.height)
        return replace(
            self,
            pose=moved(self.pose, step[_POSE]),
            intrinsics=camera,
            depth=self.depth + step[_SCALE : _WARP.stop],
            offsets_rad=self.offsets_rad + step[_JOINTS],
            growth_px=self.growth_px + float(step[_GROWTH]),
        )


@dataclass(frozen=True)
class Rows:
    """Residuals of one posture: values, whitened, with their derivatives ``(N, UNKNOWNS)`` and links ``(N,)``.

    ``metres`` holds the distances of depth to the surface that are not whitened, positive outside of the model.
    """

    values: Array
    jacobian: Array
    links: NDArray[np.intp]
    metres: Array


@dataclass(frozen=True)
class Fit:
    """A fitted model with its covariance ``(UNKNOWNS, UNKNOWNS)`` and the last rows of each posture: depth, outline.

    ``widths`` are the scatter of depth and outline residuals, in units of what they were whitened with; ``together``
    is how many of either kind count as one, since they err alike. ``by_noise`` ``(6, 6)`` is the pose's covariance that
    follows from these alone, if no posture and no link were wrong as a whole. ``by_joints`` ``(6, 6)`` is what offsets
    of joints 2 to 7 with ``JOINTS_SD_RAD`` would add where they are not fitted: they are the same at every posture, so
    that the jackknife cannot see them (a consider covariance: Tapley, Schutz & Born 2004, chapter 6).
    """

    model: Model
    covariance: Array
    rows: list[tuple[Rows, Rows]]
    widths: tuple[float, float]
    together: tuple[float, float]
    by_noise: Array
    by_joints: Array


def fit(
    view: ArmView,
    sights: Sequence[Sight],
    start: Model,
    *,
    camera: bool = False,
    joints: bool = False,
    iterations: int = 12,
    search_px: Sequence[float] = (16, 12, 8, 6, 5),
    times: int = FINE,
) -> Fit:
    """Fit by Gauss-Newton from a start that is a few centimetres off at most.

    Args:
        view: the arm.
        sights: one of each posture.
        start: the model to begin with.
        camera: fit focal length and principal point.
        joints: fit offsets of joints 2 to 7.
        iterations: largest number of iterations.
        search_px: how far from the drawn outline the seen one is looked for, by iteration; the last value stays.
        times: how many times finer the outline is drawn than it was seen.
    """
    k = start.intrinsics
    free = np.zeros(UNKNOWNS, dtype=bool)
    free[: _WARP.stop] = free[_GROWTH] = True
    free[_CAMERA], free[_JOINTS.start + 1 : _JOINTS.stop] = camera, joints
    spread = np.full(UNKNOWNS, np.inf)
    spread[_SCALE], spread[_OFFSET], spread[_WARP] = SCALE_SD, OFFSET_SD_M, WARP_SD_M
    spread[_CAMERA] = [FOCAL_SD * k.fx, FOCAL_SD * k.fy, CENTRE_SD_PX, CENTRE_SD_PX]
    spread[_JOINTS], spread[_GROWTH] = JOINTS_SD_RAD, GROWTH_SD_PX
    prior = 1 / spread**2
    model = start
    for iteration in range(iterations):
        reach = search_px[min(iteration, len(search_px) - 1)]
        gate_m = 0.08 if iteration < 2 else 0.04 if iteration < 4 else 0.025
        rows = [residuals(view, sight, model, reach, gate_m, times) for sight in sights]
        widths = _width([each[0] for each in rows]), _width([each[1] for each in rows])
        hessians, scores, together = _normal(rows, widths, np.where(free, prior, np.inf))
        away = np.zeros(UNKNOWNS)
        away[_SCALE : _WARP.stop] = model.depth - start.depth * (np.arange(len(model.depth)) == 0)
        away[_SCALE] = model.depth[0] - 1
        away[_CAMERA] = model.intrinsics.as_array() - k.as_array()
        away[_JOINTS], away[_GROWTH] = model.offsets_rad, model.growth_px
        whole = hessians.sum(axis=(0, 1)) + np.diag(prior)
        right = scores.sum(axis=(0, 1)) - prior * away
        step = np.zeros(UNKNOWNS)
        step[free] = np.linalg.solve(whole[np.ix_(free, free)], right[free])
        model = model.stepped(step)
        if iteration >= len(search_px) and np.abs(step[:3]).max() < 2e-5 and np.abs(step[3:6]).max() < 2e-5:
            break
    covariance = np.zeros((UNKNOWNS, UNKNOWNS))
    covariance[np.ix_(free, free)] = _jackknife(hessians[..., free, :][..., free], scores[..., free], prior[free])
    inverse = np.linalg.pinv(whole[np.ix_(free, free)])
    by_joints = np.zeros((6, 6))
    if not joints:
        follows = inverse @ whole[free][:, _JOINTS][:, 1:] * JOINTS_SD_RAD
        by_joints = (follows @ follows.T)[:6, :6]
    return Fit(model, covariance, rows, widths, together, inverse[:6, :6], by_joints)


def residuals(
    view: ArmView, sight: Sight, model: Model, reach_px: float, gate_m: float, times: int = FINE
) -> tuple[Rows, Rows]:
    """The residuals of depth and of the outline, at one posture."""
    view.place(sight.joints_rad + model.offsets_rad, model.gripper_rad)
    depth, links = view.draw(model.pose, model.intrinsics)
    return _depth_rows(view, sight, model, depth, links, gate_m), _outline_rows(view, sight, model, reach_px, times)


def _depth_rows(
    view: ArmView, sight: Sight, model: Model, depth: NDArray[np.float32], links: NDArray[np.intp], gate_m: float
) -> Rows:
    k = model.intrinsics
    inner = np.zeros(depth.shape, np.uint8)
    inner[::STRIDE_PX, ::STRIDE_PX] = 1
    # Away from every step in depth: there a pixel mixes two surfaces, and finite differences are no normals.
    smooth = depth > 0
    low, high = cv2.erode(depth, np.ones((3, 3))), cv2.dilate(depth, np.ones((3, 3)))
    smooth &= high - low < 0.01 * depth
    smooth = cv2.erode(smooth.astype(np.uint8), np.ones((2 * EDGE_PX + 1,) * 2)) > 0
    chosen = smooth & (inner > 0) & (sight.depth > 0)
    chosen[[0, -1]] = chosen[:, [0, -1]] = False
    v, u = np.nonzero(chosen)
    z = depth[v, u].astype(float)
    z_u = (depth[v, u + 1].astype(float) - depth[v, u - 1]) / 2
    z_v = (depth[v + 1, u].astype(float) - depth[v - 1, u]) / 2
    ray = np.column_stack([(u - k.cx) / k.fx, (v - k.cy) / k.fy, np.ones(len(u))])
    normal = np.column_stack([k.fx * z_u, k.fy * z_v, -(z + (u - k.cx) * z_u + (v - k.cy) * z_v)])
    along = z / np.linalg.norm(normal, axis=1)  # -n . d of the unit normal
    waves = warp_waves(k.height, k.width)[v, u]
    read = sight.depth[v, u] - (model.depth[0] * z + model.depth[1] + waves @ model.depth[2:])
    cosine = along / np.linalg.norm(ray, axis=1)
    kept = (cosine > LEAST_COSINE) & (np.abs(read) < gate_m * np.maximum(z**2, 1))  # as the noise grows
    u, v, z, ray, normal, along, waves, read = (each[kept] for each in (u, v, z, ray, normal, along, waves, read))
    unit = normal / np.linalg.norm(normal, axis=1, keepdims=True)
    link = links[v, u]
    velocities = _velocities(view, model, z[:, None] * ray, link)
    jacobian = np.zeros((len(z), UNKNOWNS))
    by_depth = -model.depth[0] * np.einsum("nk,nkj->nj", unit, velocities) / along[:, None]
    jacobian[:, _POSE], jacobian[:, _JOINTS] = by_depth[:, :6], by_depth[:, 6:]
    jacobian[:, _SCALE], jacobian[:, _OFFSET], jacobian[:, _WARP] = z, 1, waves
    turned = -unit / along[:, None] * z[:, None]
    jacobian[:, _CAMERA] = model.depth[0] * np.column_stack(
        [turned[:, 0] * ray[:, 0] / k.fx, turned[:, 1] * ray[:, 1] / k.fy, turned[:, 0] / k.fx, turned[:, 1] / k.fy]
    )
    sd = np.hypot(DEPTH_SD_M * z**2 * along, MODEL_SD_M)
    weight = along / sd
    return Rows(weight * read, weight[:, None] * jacobian, link, -along * read)


def _outline_rows(view: ArmView, sight: Sight, model: Model, reach_px: float, times: int) -> Rows:
    k = model.intrinsics
    # Drawn finer than it was seen: where both are drawn alike, small errors of the pose would change no pixel.
    depth, links = view.draw_finer(model.pose, k, times)
    mask = (depth > 0).astype(np.float32)
    rim = (mask > 0) & (cv2.erode(mask, np.ones((3, 3))) == 0)
    border = 3 * times
    rim[:border] = rim[-border:] = rim[:, :border] = rim[:, -border:] = False
    v, u = np.nonzero(rim)
    v, u = v[:: times * OUTLINE_STEP_PX], u[:: times * OUTLINE_STEP_PX]
    soft = cv2.GaussianBlur(mask, (0, 0), 2.0 * times)
    slope = -np.column_stack([cv2.Sobel(soft, cv2.CV_32F, 1, 0)[v, u], cv2.Sobel(soft, cv2.CV_32F, 0, 1)[v, u]])
    steep = np.linalg.norm(slope, axis=1)
    kept = steep > 0.15 / times
    u, v, across = u[kept], v[kept], slope[kept] / steep[kept, None]
    if not len(u):
        return Rows(np.empty(0), np.empty((0, UNKNOWNS)), np.empty(0, dtype=np.intp), np.empty(0))
    z, link = depth[v, u].astype(float), links[v, u]
    u, v = ((each - (times - 1) / 2) / times for each in (u, v))
    offsets = np.arange(-reach_px, reach_px + 0.25, 0.5)
    columns = (u[:, None] + across[:, :1] * offsets).astype(np.float32)
    rows = (v[:, None] + across[:, 1:] * offsets).astype(np.float32)
    seen = cv2.remap(sight.evidence, columns, rows, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    across_fine, down_fine = times * columns + (times - 1) / 2, times * rows + (times - 1) / 2
    drawn = cv2.remap(
        2 * mask - 1, across_fine, down_fine, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=0
    )
    place, sure = _step_along(np.asarray(seen, dtype=float), offsets)
    own, clean = _step_along(np.asarray(drawn, dtype=float), offsets)
    kept = (sure > 0.5) & (clean > 0.9) & (np.abs(place) < reach_px - 1) & np.all(seen != 0, axis=1)
    u, v, z, link, across, away = (each[kept] for each in (u, v, z, link, across, place - own - model.growth_px))
    ray = np.column_stack([(u - k.cx) / k.fx, (v - k.cy) / k.fy, np.ones(len(u))])
    velocities = _velocities(view, model, z[:, None] * ray, link)
    focal = np.array([k.fx, k.fy])
    pixels = focal[:, None] / z[:, None, None] * (velocities[:, :2] - ray[:, :2, None] * velocities[:, 2:])
    jacobian = np.zeros((len(z), UNKNOWNS))
    by_image = np.einsum("nk,nkj->nj", across, pixels)
    jacobian[:, _POSE], jacobian[:, _JOINTS] = by_image[:, :6], by_image[:, 6:]
    jacobian[:, _CAMERA] = np.column_stack([across * ray[:, :2], across])
    jacobian[:, _GROWTH] = 1
    sd = np.hypot(OUTLINE_SD_PX, MODEL_SD_M * k.fx / z)
    return Rows(away / sd, jacobian / sd[:, None], link, away * z / k.fx)


def _step_along(profiles: Array, offsets: Array) -> tuple[Array, Array]:
    """Where each profile ``(N, S)`` falls from arm to background, and how clean the step is, -1..1."""
    from_left = np.cumsum(profiles, axis=1)
    total = from_left[:, -1:]
    contrast = 2 * from_left - total
    best = contrast.max(axis=1, keepdims=True)
    # Several places may be as good: of a run of unknown pixels the middle is taken.
    ties = contrast >= best - 1e-3
    place = (ties * (offsets + 0.25)).sum(axis=1) / ties.sum(axis=1)
    return place, best[:, 0] / len(offsets)


def _velocities(view: ArmView, model: Model, points: Array, links: NDArray[np.intp]) -> Array:
    """How camera-frame points ``(N, 3)`` move with the pose's tangent and the joints, ``(N, 3, 6 + 7)``."""
    rotation = model.pose[:3, :3]
    base = points @ rotation.T + model.pose[:3, 3]
    out = np.empty((len(points), 3, 13))
    out[..., :3] = -rotation.T
    out[..., 3:6] = rotation.T @ cross_matrix(base)
    axes, anchors = view.axes
    for joint in range(7):
        moves = links > joint
        out[..., 6 + joint] = np.where(moves[:, None], np.cross(axes[joint], base - anchors[joint]) @ rotation, 0)
    return out


def _width(rows: Sequence[Rows]) -> float:
    values = np.concatenate([each.values for each in rows])
    return max(1.4826 * float(np.median(np.abs(values))), 0.5) if len(values) else 1.0


def _normal(
    rows: Sequence[tuple[Rows, Rows]], widths: tuple[float, float], prior: Array
) -> tuple[Array, Array, tuple[float, float]]:
    """Hessians ``(P, links, UNKNOWNS, UNKNOWNS)`` and scores ``(P, links, UNKNOWNS)``, depth and outline together.

    Pixels that err together hold less information than their number suggests; they would outvote the other kind, and
    the prior of such cameras. Each kind is therefore divided by the scatter of its scores over the blocks, relative to
    the scatter of independent pixels; these divisors are the third value.
    """
    shape = len(rows), len(LINKS), UNKNOWNS
    hessians, scores = np.zeros((*shape, UNKNOWNS)), np.zeros(shape)
    held = np.diag(1 / np.sqrt(np.maximum(prior, 1.0)))  # 0 where nothing is fitted
    together = []
    for kind, width in enumerate(widths):
        own, parts = np.zeros_like(hessians), np.zeros_like(scores)
        for posture, pair in enumerate(rows):
            each = pair[kind]
            weighted = each.jacobian * (1 / (1 + (each.values / (SCALE_WIDTHS * width)) ** 2) ** 2 / width**2)[:, None]
            for link in np.unique(each.links):
                of = each.links == link
                own[posture, link] = weighted[of].T @ each.jacobian[of]
                parts[posture, link] = weighted[of].T @ each.values[of]
        whole, flat = own.sum(axis=(0, 1)), parts.reshape(-1, UNKNOWNS)
        inverse = held @ np.linalg.inv(held @ whole @ held + np.eye(UNKNOWNS)) @ held
        together.append(max(1.0, float(np.sum(inverse * (flat.T @ flat)) / max(np.sum(inverse * whole), 1e-9))))
        hessians, scores = hessians + own / together[-1], scores + parts / together[-1]
    return hessians, scores, (together[0], together[1])


def _jackknife(hessians: Array, scores: Array, prior: Array) -> Array:
    """Covariance from how much leaving out each posture, and each link, changes the fit (CR3, see above)."""
    inverse = np.linalg.pinv(hessians.sum(axis=(0, 1)) + np.diag(prior))
    meat = np.diag(prior)
    for axis in (0, 1):
        for hessian, score in zip(hessians.sum(axis=1 - axis), scores.sum(axis=1 - axis), strict=True):
            without = np.linalg.lstsq(np.eye(len(inverse)) - hessian @ inverse, score)[0]
            meat += np.outer(without, without)
    return np.asarray(inverse @ meat @ inverse)
