r"""Distances of the whole arm along motions of its joints, as proven lower bounds instead of samples.

Take joint vectors :math:`q_1 \dots q_K` (a way, or the triangle between where the arm is, where it goes and where it
is to go next) and all joint vectors between them, :math:`q = \sum_k \lambda_k q_k`. A point of the arm is a smooth
function :math:`x(q)`; between the corners it leaves the straight mixture of its corner positions by no more than

.. math::
    \Bigl\lVert x(q) - \sum_k \lambda_k x(q_k) \Bigr\rVert \le
    c_K \sum_{i,j} |\Delta q_i| |\Delta q_j| \, r_{\max(i, j)} = s, \qquad c_1 = 0,\ c_2 = 1/8,\ c_3 = 1/6,

because :math:`\partial^2 x / \partial q_i \partial q_j = z_i \times (z_j \times (x - o_j))` for :math:`i \le j`, whose
norm is at most the largest distance :math:`r_j` of the point from joint :math:`j`'s axis (the remainder of a linear
interpolation on a segment, and on a triangle). For any unit direction :math:`n` the part :math:`A` therefore stays
clear of :math:`B` by at least

.. math:: \min_k \Bigl( \min_{a \in A(q_k)} n \cdot a - \max_{b \in B(q_k)} n \cdot b \Bigr) - s_A - s_B .

MuJoCo's own distance (``mj_geomDistance``) at the middle of the way gives the :math:`n` that makes this largest. Its
*value* is not used: for hulls it has returned 0 for pairs decimetres apart (MuJoCo issue 3383). Such an error costs
accuracy here, but no safety.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

from control.clearance.params import Clearance, Obstacle
from control.clearance.shapes import LINKS, Piece, arm_pieces, pieces_with
from datasets.arm.model import ARM_JOINTS, arm_spec
from datasets.arm.tools import ToolParams
from datasets.common.errors import SafetyStop
from datasets.rig.projection import Array

_REMAINDER = {1: 0.0, 2: 1 / 8, 3: 1 / 6}
_TOLERANCE_M = 5e-4
"""A way whose bound is too small is cut in two until its curvature may change the bound by no more than this, m."""
_MOST_CUTS = 100
_FAR_M = 10.0
_LEAST_M = 1e-9
_DOWN = np.array([[0.0, 0.0, -1.0]])
_BEYOND = (np.arange(7) >= np.arange(-1, 8)[:, None]).astype(float)
"""Row: the world, the base, links 1 to 7; column: 1 where that joint lies beyond it, else 0."""
TABLE = "the table"


class ArmDistance:
    """Distances of the arm and what it carries from the table, from boxes, and from the arm itself. Not thread-safe.

    Distances of the arm from itself are taken between links that are not neighbours. The base, which never moves, is
    paired with links only.

    Args:
        obstacles: boxes in the base frame.
        table_z_m: height of the table's plane in the base frame.
        tool: pieces fixed to the flange in addition to the tool.
        itself_within_m: parts of the arm that are farther apart than this do not count as near: the flange always
            passes the forearm's end at about 40 mm, for which the arm need not slow down.
        mounted: the mounted tool; None: the gripper.
    """

    def __init__(
        self,
        obstacles: Sequence[Obstacle],
        table_z_m: float,
        tool: Sequence[Piece] = (),
        itself_within_m: float = math.inf,
        mounted: ToolParams | None = None,
    ) -> None:
        arm = [*arm_pieces(), *tool] if mounted is None else [*pieces_with(mounted), *tool]
        world = [Piece(obstacle.name, -1, obstacle.corners) for obstacle in obstacles]
        self.pieces = pieces = arm + world
        self.names = [piece.name for piece in pieces]
        self._table_z_m = table_z_m
        self._model = _model(pieces)
        self._data = mujoco.MjData(self._model)
        self._geoms = [self._model.geom(str(index)).id for index in range(len(pieces))]
        self._joints = np.array([self._model.joint(name).qposadr[0] for name in ARM_JOINTS])
        self._bodies = np.array([0, *(self._model.body(link).id for link in LINKS)])
        self._body = np.array([piece.link + 1 for piece in pieces])
        most = max(len(piece.vertices) for piece in pieces)
        vertices = np.stack([np.resize(piece.vertices, (most, 3)) for piece in pieces])
        self._columns = np.ascontiguousarray(vertices.transpose(0, 2, 1))
        lows, highs = vertices.min(axis=1), vertices.max(axis=1)
        self._centres = (lows + highs) / 2
        self._half = (highs - lows) / 2
        self._inflation = np.array([piece.inflation_m for piece in pieces])
        self._reach = np.stack([_reach(piece, self._model, self._bodies) for piece in pieces])
        moving = [index for index, piece in enumerate(arm) if piece.link > 0]
        self._moving = np.array(moving)
        pairs = [(index, len(arm) + other) for index in moving for other in range(len(world))]
        pairs += [
            (max(one, two, key=lambda p: arm[p].link), min(one, two, key=lambda p: arm[p].link))
            for one, two in combinations(range(len(arm)), 2)
            if abs(arm[one].link - arm[two].link) > 1
        ]
        self._pairs = np.array(pairs).T
        self._within = np.where(self._body[self._pairs[1]] == 0, math.inf, itself_within_m)

    def nearest(self, joints_rad: ArrayLike, within_m: float = 1.0) -> Clearance:
        """The smallest distance below ``within_m`` at one joint vector ``(7,)``.

        Raises:
            SafetyStop: the joints are not seven finite numbers.
        """
        return self.between(np.asarray(joints_rad, dtype=float)[None], within_m)

    def placed(self, joints_rad: ArrayLike) -> list[tuple[str, Array]]:
        """Names and corners ``(V, 3)`` m in the base frame of all pieces and boxes, not thickened."""
        turns, places = self.poses(np.asarray(joints_rad, dtype=float))
        return [
            (piece.name, piece.vertices @ turns[body].T + places[body])
            for piece, body in zip(self.pieces, self._body.tolist(), strict=True)
        ]

    def closest_points(self, joints_rad: ArrayLike, pair: tuple[str, str]) -> Array:
        """Closest points ``(2, 3)`` m of a pair that :meth:`nearest` named, for display; not proven or thickened."""
        placed = self.placed(joints_rad)
        if pair[1] == TABLE:
            corners = np.concatenate([corners for name, corners in placed if name == pair[0]])
            lowest = corners[corners[:, 2].argmin()]
            return np.array([lowest, [*lowest[:2], self._table_z_m]])
        fromto = np.zeros(6)
        least, points = math.inf, np.zeros((2, 3))
        for one, two in self._pairs.T.tolist():
            if (self.names[one], self.names[two]) == pair:
                geoms = self._geoms[one], self._geoms[two]
                distance = mujoco.mj_geomDistance(self._model, self._data, *geoms, _FAR_M, fromto)
                if distance < least:
                    least, points = distance, fromto.reshape(2, 3).copy()
        return points

    def along(self, joints_rad: ArrayLike, needed_m: float, within_m: float | None = None) -> Clearance:
        """A lower bound along the way through joint vectors ``(N, 7)``, straight in joint space between them.

        Args:
            joints_rad: the way; a single vector is a place.
            needed_m: the bound is refined where it comes out below this; above, it may be coarse.
            within_m: pairs that are farther apart do not count as near; default: ``needed_m``.

        Raises:
            SafetyStop: the joints are not vectors of seven finite numbers.
        """
        way = np.asarray(joints_rad, dtype=float)
        if len(way) == 1:
            return self.between(way, needed_m if within_m is None else within_m)
        return min(
            (self.certified(way[index : index + 2], needed_m, within_m) for index in range(len(way) - 1)),
            key=lambda clearance: clearance.distance_m,
        )

    def certified(
        self,
        corners_rad: Array,
        needed_m: float,
        within_m: float | None = None,
        most_cuts: int = _MOST_CUTS,
        tolerance_m: float = _TOLERANCE_M,
    ) -> Clearance:
        """A lower bound over all mixtures of one to three joint vectors ``(K, 7)``, refined as in :meth:`along`.

        Where the bound is too small the way is cut, at most ``most_cuts`` times, or until no point leaves the straight
        mixture of its places by more than ``tolerance_m``.
        """
        within_m = needed_m if within_m is None else within_m
        count = 0
        parts = [(self._bound(corners_rad, within_m), count, corners_rad)]
        while True:
            # The smallest of the parts' bounds is the bound of the whole way: only cutting that part can raise it.
            found, _, part = min(parts, key=lambda part: (part[0].clearance.distance_m, part[1]))
            least = found.clearance
            if least.distance_m >= needed_m or count >= 2 * most_cuts or found.sagging_m <= tolerance_m:
                return least
            parts = [other for other in parts if other[2] is not part]
            for half in _cut(part):
                count += 1
                parts.append((self._bound(half, within_m, found), count, half))

    def between(self, corners_rad: Array, within_m: float) -> Clearance:
        """A lower bound over all mixtures of one to three joint vectors ``(K, 7)``, without refinement."""
        return self._bound(corners_rad, within_m).clearance

    def between_and_at(self, corners_rad: Array, within_m: float) -> tuple[Clearance, Array]:
        """The bound of :meth:`between`, and lower bounds ``(K,)`` m at each joint vector, infinite if nothing is near.

        The bound is a little too small for a pair that is nearest only at a corner: the directions are those at the
        middle.
        """
        bound = self._bound(corners_rad, within_m)
        return bound.clearance, bound.at

    def farthest_m(self, turned_rad: Array) -> float:
        """Largest distance, m, by which joints that turn by ``(7,)`` rad can move any point of the arm."""
        return float((self._reach @ np.abs(turned_rad)).max())

    def _bound(self, corners_rad: Array, within_m: float, whole: "_Bound | None" = None) -> "_Bound":
        """The bound over a mixture; in a part of a ``whole``, only pairs that are near in the whole are checked."""
        corners = np.asarray(corners_rad, dtype=float)
        if corners.shape[1:] != (7,) or len(corners) not in _REMAINDER or not np.isfinite(corners).all():
            raise SafetyStop(f"joints must be vectors of seven finite numbers, got {np.asarray(corners_rad).tolist()}")
        turns, places = np.empty((len(corners), 9, 3, 3)), np.empty((len(corners), 9, 3))
        for corner, joints in enumerate(corners):
            turns[corner], places[corner] = self.poses(joints)
        middle = (turns[0], places[0]) if len(corners) == 1 else self.poses(corners.sum(axis=0) / len(corners))
        sagging = self._sagging(corners)
        limits = np.minimum(self._within, max(within_m, 0.0))
        low, near = (whole.low, whole.near) if whole else self._near(turns, places, sagging, within_m, limits)
        best, pair, at = math.inf, ("", ""), np.full(len(corners), math.inf)
        if len(low):
            each_height = -self._support(low, _DOWN[None], turns, places) - self._inflation[low] - self._table_z_m
            at = each_height.min(axis=1)
            heights = each_height.min(axis=0) - sagging[low, 0]
            least = int(heights.argmin())
            if heights[least] < within_m:
                best, pair = float(heights[least]), (self.names[low[least]], TABLE)
        if len(near):
            a, b = self._pairs[:, near]
            # The second piece's link is taken as still: joints that turn both pieces bring them no nearer.
            still = self._body[b]
            away = turns[:, still] @ self._directions(a, b, *middle)[:, :, None]
            supports = self._support(a, -away[..., 0], turns, places) + self._support(b, away[..., 0], turns, places)
            supports += self._inflation[a] + self._inflation[b]
            distances = -np.maximum.reduce(supports) - sagging[a, still]
            counts = distances < limits[near]
            near, distances = near[counts], distances[counts]
            if len(near):
                at = np.minimum(at, -supports[:, counts].max(axis=1))
                least = int(distances.argmin())
                if distances[least] < best:
                    one, two = self._pairs[:, near[least]]
                    best, pair = float(distances[least]), (self.names[one], self.names[two])
        return _Bound(Clearance(best, pair), at, float(sagging.max()), low, near)

    def _near(
        self, turns: Array, places: Array, sagging: Array, within_m: float, limits: Array
    ) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
        """Pieces near the table and pairs of pieces near each other, judged by their axis-aligned bounding boxes."""
        each, slack = turns[:, self._body], (sagging[:, 0] + self._inflation)[:, None]
        centres = np.einsum("kpij,pj->kpi", each, self._centres) + places[:, self._body]
        extents = np.einsum("kpij,pj->kpi", np.abs(each), self._half)
        lowest = np.minimum.reduce(centres - extents) - slack
        highest = np.maximum.reduce(centres + extents) + slack
        low = self._moving[lowest[self._moving, 2] < self._table_z_m + within_m]
        one, two = self._pairs
        sides = np.hstack([lowest, -highest]).take(one, axis=0) + np.hstack([-highest, lowest]).take(two, axis=0)
        gap = np.maximum(np.maximum(sides[:, :3], sides[:, 3:]), 0)
        return low, np.flatnonzero(np.einsum("pi,pi->p", gap, gap) < limits**2)

    def poses(self, joints: Array) -> tuple[Array, Array]:
        """Rotations ``(9, 3, 3)`` and origins ``(9, 3)`` of the world and the links."""
        self._data.qpos[self._joints] = joints
        mujoco.mj_kinematics(self._model, self._data)
        return self._data.xmat[self._bodies].reshape(-1, 3, 3), self._data.xpos[self._bodies]

    def _sagging(self, corners: Array) -> Array:
        """How far the points of each piece may lie off the mixture of their corner places, ``(P, 9)`` m.

        The columns take the world, the base and each link as still: only the joints beyond that body count.
        """
        if len(corners) == 1:
            return np.zeros((len(self.names), 9))
        turned = np.ptp(corners, axis=0) * _BEYOND
        # The double sum over i, j of |dq_i| |dq_j| r_max(i, j), with r falling towards the hand.
        weights = turned * (2 * np.cumsum(turned, axis=1) - turned)
        return _REMAINDER[len(corners)] * (self._reach @ weights.T)

    def _support(self, pieces: NDArray[np.int_], directions: Array, turns: Array, places: Array) -> Array:
        """How far pieces ``(M,)`` reach along directions ``(K or 1, M or 1, 3)``, ``(K, M)`` m."""
        bodies = self._body[pieces]
        local = directions[:, :, None] @ turns[:, bodies]
        most: Array = np.maximum.reduce(local[:, :, 0].swapaxes(0, 1) @ self._columns[pieces], axis=2).T
        return most + (directions * places[:, bodies]).sum(axis=2)

    def _directions(self, a: NDArray[np.int_], b: NDArray[np.int_], turn: Array, place: Array) -> Array:
        """Unit vectors ``(M, 3)`` from each second piece to the first, where they are nearest, in the second's frame.

        Args:
            turn, place: rotations and origins of the links in the present state of the model's data.
        """
        model, data, geoms, look = self._model, self._data, self._geoms, mujoco.mj_geomDistance
        fromto = np.zeros((len(a), 6))
        signs = [
            1.0 if look(model, data, geoms[one], geoms[two], _FAR_M, row) > 0 else -1.0
            for one, two, row in zip(a.tolist(), b.tolist(), fromto, strict=True)
        ]
        away = (fromto[:, :3] - fromto[:, 3:]) * np.array(signs)[:, None]
        sizes = np.sqrt(np.square(away).sum(axis=1))
        into = turn[self._body[b]].transpose(0, 2, 1)
        away = (into @ away[:, :, None])[..., 0]
        lost = sizes < _LEAST_M
        if lost.any():
            one, two = self._body[a[lost]], self._body[b[lost]]
            centre = (turn[one] @ self._centres[a[lost], :, None])[..., 0] + place[one] - place[two]
            inside = (into[lost] @ centre[:, :, None])[..., 0] - self._centres[b[lost]]
            away[lost] = inside - np.clip(inside, -self._half[b[lost]], self._half[b[lost]])
            sizes = np.sqrt(np.square(away).sum(axis=1))
            away[sizes < _LEAST_M], sizes[sizes < _LEAST_M] = (0, 0, 1), 1
        return away / sizes[:, None]


@dataclass(frozen=True)
class _Bound:
    """The result for a mixture of joint vectors.

    Attributes:
        at: lower bounds at each joint vector ``(K,)`` m.
        sagging_m: how far any point may lie off the mixture of its corner places.
        low, near: numbers of the pieces that may be near the table, and of the pairs that may be near each other.
    """

    clearance: Clearance
    at: Array
    sagging_m: float
    low: NDArray[np.int_]
    near: NDArray[np.int_]


def _model(pieces: Sequence[Piece]) -> mujoco.MjModel:
    """The arm with the pieces as hulls that neither collide nor have mass, named by their number."""
    spec = arm_spec("own", shapes=False)
    for index, piece in enumerate(pieces):
        spec.add_mesh(name=str(index), uservert=piece.vertices.ravel().tolist())
        body = spec.worldbody if piece.link < 0 else spec.body(LINKS[piece.link])
        geom = body.add_geom(name=str(index), type=mujoco.mjtGeom.mjGEOM_MESH, meshname=str(index))
        geom.contype = geom.conaffinity = 0
        geom.mass = 0
    return spec.compile()


def _reach(piece: Piece, model: mujoco.MjModel, bodies: NDArray[np.int_]) -> Array:
    """The largest distance ``(7,)`` m of any point of the piece from each joint's axis in any posture; 0 beyond it.

    A joint turns about the z axis of its link, so only the first leg of the way from joint to point is known.
    """
    radii = np.zeros(7)
    if piece.link < 1:
        return radii
    radii[piece.link - 1] = np.linalg.norm(piece.vertices[:, :2], axis=1).max()
    rest = float(np.linalg.norm(piece.vertices, axis=1).max())
    for link in range(piece.link - 1, 0, -1):
        offset = model.body_pos[bodies[link + 2]]
        radii[link - 1] = float(np.linalg.norm(offset[:2])) + rest
        rest += float(np.linalg.norm(offset))
    return radii


def _cut(corners: Array) -> list[Array]:
    """Cuts a segment or triangle of joint vectors in two, across its longest edge."""
    edges = [(one, two) for one, two in combinations(range(len(corners)), 2)]
    one, two = max(edges, key=lambda edge: float(np.abs(corners[edge[0]] - corners[edge[1]]).sum()))
    middle = (corners[one] + corners[two]) / 2
    halves = np.stack([corners, corners])
    halves[0, one] = halves[1, two] = middle
    return list(halves)
