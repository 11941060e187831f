"""The camera's pose without a start: every viewing direction is tried, and the best are refined by closest points.

A viewing direction determines which half of the arm is seen, and so the centres of the seen surface at all postures in
the base frame. For each roll about that direction, the cost is their misfit to the centres that the frames show. The
best candidates are refined by iterated closest points, point to plane (Chen & Medioni 1992), over all frames at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from datasets.rig.projection import Array, Intrinsics, backproject, invert, transform
from perception.calibration.registration.arm_view import LINKS, ArmView, Surface
from perception.calibration.registration.motion import cross_matrix, moved
from perception.calibration.registration.posture import Posture

DIRECTIONS = 250
ROLLS = 36
DISTINCT = 300
CANDIDATES = 150
FINALISTS = 5
POINTS_PER_FRAME = 300
SURFACE_POINTS = 3000
LEAST_PIXELS = 300
"""Least number of moving pixels of a frame that is used: about a hand's size at two metres."""
_FIRST_MOVING = LINKS.index("link2")
"""The first link that visibly moves: those before it look the same at every angle."""


@dataclass(frozen=True)
class Cloud:
    """One frame's moving points: ``points`` ``(N, 3)`` m in the camera's frame, ``centre`` ``(3,)`` by visible area."""

    points: Array
    centre: Array


def cloud_of(posture: Posture, moving: NDArray[np.bool_], intrinsics: Intrinsics) -> Cloud | None:
    """The moving points of a frame; None where there are too few."""
    rows, columns = np.nonzero(moving)
    if len(rows) < LEAST_PIXELS:
        return None
    depth = posture.frame.depth[rows, columns].astype(float)
    points = backproject(np.stack([columns, rows], axis=-1), depth, intrinsics)
    chosen = np.random.default_rng(0).choice(len(points), min(len(points), POINTS_PER_FRAME), replace=False)
    return Cloud(points[chosen], np.average(points, axis=0, weights=depth**2))


def candidates(
    clouds: Sequence[Cloud], surfaces: Sequence[Surface], intrinsics: Intrinsics
) -> list[tuple[Array, float]]:
    """Poses ``T_base_camera`` and their costs in m, best first, at most ``FINALISTS``."""
    seen = np.array([cloud.centre for cloud in clouds])
    ray = np.mean(seen / np.linalg.norm(seen, axis=1, keepdims=True), axis=0)
    turns = _about(ray / np.linalg.norm(ray), ROLLS)
    residuals, poses = [], []
    for direction in _sphere(DIRECTIONS):
        centres = _visible_centres(surfaces, direction)
        rotations = _onto(ray, direction) @ turns
        placed = np.einsum("rij,nj->rni", rotations, seen - np.median(seen, axis=0))
        offsets = np.median(centres - placed, axis=1, keepdims=True)
        residuals.append(np.mean(np.linalg.norm(centres - placed - offsets, axis=2), axis=1))
        pose = np.tile(np.eye(4), (ROLLS, 1, 1))
        pose[:, :3, :3], pose[:, :3, 3] = rotations, offsets[:, 0] - rotations @ np.median(seen, axis=0)
        poses.append(pose)
    distinct = _distinct(np.concatenate(poses)[np.argsort(np.concatenate(residuals))], np.radians(15), DISTINCT)
    thin = [Surface(each.points[:600], each.normals[:600], each.links[:600]) for each in surfaces]
    small = [Cloud(cloud.points[:60], cloud.centre) for cloud in clouds]
    framed = sorted((_framed(pose, seen, thin, intrinsics) for pose in distinct), key=lambda each: each[1])
    trees = [cKDTree(surface.points) for surface in thin]
    first = [closest_points(pose, small, thin, trees, 12) for pose, _ in framed[:CANDIDATES]]
    best = np.array([pose for pose, _ in sorted(first, key=lambda each: each[1])])
    trees = [cKDTree(surface.points) for surface in surfaces]
    finalists = _distinct(best, np.radians(8), FINALISTS)
    return sorted((closest_points(pose, clouds, surfaces, trees, 30) for pose in finalists), key=lambda each: each[1])


def _distinct(poses: Array, angle_rad: float, count: int) -> Array:
    """The first of the poses ``(N, 4, 4)`` that differ in rotation by an angle, at most ``count``."""
    rotations, found = poses[:, :3, :3].reshape(-1, 9), list[int]()
    left = np.ones(len(poses), dtype=bool)
    while left.any() and len(found) < count:
        found.append(int(np.argmax(left)))
        left &= rotations @ rotations[found[-1]] < 1 + 2 * np.cos(angle_rad)
    return poses[found]


def _framed(pose: Array, seen: Array, surfaces: Sequence[Surface], k: Intrinsics) -> tuple[Array, float]:
    """The pose moved so that the centres of what faces the camera *inside its image* agree, and their distance, m.

    Where the image cuts the arm off, the centre seen is not the arm's.
    """
    pose = pose.copy()
    for _ in range(8):
        centres = np.empty((len(surfaces), 3))
        for index, surface in enumerate(surfaces):
            inside = transform(invert(pose), surface.points)
            z = np.maximum(inside[:, 2], 0.05)
            off_u = np.abs(inside[:, 0] / z * k.fx + k.cx - k.width / 2) - k.width / 2
            off_v = np.abs(inside[:, 1] / z * k.fy + k.cy - k.height / 2) - k.height / 2
            towards = pose[:3, 3] - surface.points
            facing = np.einsum("nk,nk->n", surface.normals, towards) / np.linalg.norm(towards, axis=1)
            weight = np.clip(facing, 0, None) * (inside[:, 2] > 0.05)
            # Softly at the image's edge, so that a pose which sees nothing yet is drawn towards the arm.
            weight /= 1 + np.exp(np.clip(np.maximum(off_u, off_v) / (0.02 * k.width), -30, 30))
            centres[index] = (weight + 1e-9) @ surface.points / (weight.sum() + 1e-9 * len(weight))
        away = centres - transform(pose, seen)
        pose[:3, 3] += np.median(away, axis=0)
    return pose, float(np.mean(np.linalg.norm(away - np.median(away, axis=0), axis=1)))


def closest_points(
    pose: Array, clouds: Sequence[Cloud], surfaces: Sequence[Surface], trees: Sequence[cKDTree], iterations: int
) -> tuple[Array, float]:
    """The refined pose, and the mean distance of its nearest four fifths of points, m."""
    cost = np.inf
    for _ in range(iterations):
        points, normals, offsets = [], [], []
        for cloud, surface, tree in zip(clouds, surfaces, trees, strict=True):
            placed = transform(pose, cloud.points)
            distance, nearest = tree.query(placed)
            points.append(placed)
            normals.append(surface.normals[nearest])
            offsets.append(np.column_stack([distance, surface.points[nearest] - placed]))
        p, n, o = np.concatenate(points), np.concatenate(normals), np.concatenate(offsets)
        facing = np.einsum("nk,nk->n", n, pose[:3, 3] - p) > 0
        kept = (o[:, 0] <= np.quantile(o[:, 0], 0.8)) & facing
        cost = float(np.mean(np.sort(o[:, 0])[: int(0.8 * len(o))]) + 0.05 * (1 - facing.mean()))
        if kept.sum() < 50:
            break
        scale = max(1.5 * float(np.median(o[kept, 0])), 0.004)
        weight = 1 / (1 + (o[kept, 0] / scale) ** 2)
        jacobian = np.column_stack([n[kept], np.cross(p[kept], n[kept])])
        wanted = np.einsum("nk,nk->n", n[kept], o[kept, 1:])
        hessian = (jacobian * weight[:, None]).T @ jacobian + 1e-3 * np.eye(6)
        pose = moved(pose, np.linalg.solve(hessian, jacobian.T @ (weight * wanted)))
    return pose, cost


def moving_surface(view: ArmView, posture: Posture) -> Surface:
    """The surface of the links that are seen to move, at a posture; of the whole arm where a mask shows it."""
    view.place(posture.joints_rad, posture.gripper_rad)
    surface = view.surface(SURFACE_POINTS)
    moves = surface.links >= (0 if posture.mask is not None else _FIRST_MOVING)
    return Surface(surface.points[moves], surface.normals[moves], surface.links[moves])


def _visible_centres(surfaces: Sequence[Surface], direction: Array) -> Array:
    """Middle of the surface that faces a viewing direction, weighted by its projected area, for each posture."""
    centres = []
    for surface in surfaces:
        weight = np.clip(-surface.normals @ direction, 0, None)
        centres.append(weight @ surface.points / weight.sum())
    return np.array(centres)


def _sphere(count: int) -> Array:
    """Directions ``(count, 3)`` spread evenly (Fibonacci's spiral)."""
    index = np.arange(count) + 0.5
    z, turn = 1 - 2 * index / count, np.pi * (1 + 5**0.5) * index
    ring = np.sqrt(1 - z**2)
    return np.stack([ring * np.cos(turn), ring * np.sin(turn), z], axis=-1)


def _onto(a: Array, b: Array) -> Array:
    """The least rotation (3x3) that turns direction ``a`` into ``b``."""
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    axis, cosine = np.cross(a, b), float(a @ b)
    if cosine < -0.999999:
        aside = np.cross(a, np.eye(3)[np.argmin(np.abs(a))])
        aside /= np.linalg.norm(aside)
        return 2 * np.outer(aside, aside) - np.eye(3)
    cross = cross_matrix(axis)
    return np.eye(3) + cross + cross @ cross / (1 + cosine)


def _about(axis: Array, count: int) -> Array:
    """Rotations ``(count, 3, 3)`` about a unit axis, evenly spread."""
    turn = (2 * np.pi / count * np.arange(count))[:, None, None]
    cross = cross_matrix(axis)
    return np.eye(3) + np.sin(turn) * cross + (1 - np.cos(turn)) * (cross @ cross)
