r"""Distances of the whole arm along motions of its joints, as lower bounds that are proven, not sampled.

Take joint vectors :math:`q_1 \dots q_K` (a way, or the triangle between where the arm is, where it goes and where it
is to go next) and all that lies between them, :math:`q = \sum_k \lambda_k q_k`. A point of the arm is a smooth function
:math:`x(q)`; between the corners it leaves the straight mixture of its corner positions by no more than

.. math::
    \Bigl\lVert x(q) - \sum_k \lambda_k x(q_k) \Bigr\rVert \le
    c_K \sum_{i,j} |\Delta q_i| |\Delta q_j| \, r_{\max(i, j)} = s, \qquad c_1 = 0,\ c_2 = 1/8,\ c_3 = 1/6,

because :math:`\partial^2 x / \partial q_i \partial q_j = z_i \times (z_j \times (x - o_j))` for :math:`i \le j`, whose
norm is at most the largest distance :math:`r_j` of the point from joint :math:`j`'s axis (the remainder of a linear
interpolation on a segment, and on a triangle). For any unit direction :math:`n` the part :math:`A` therefore stays
clear of :math:`B` by at least

.. math:: \min_k \Bigl( \min_{a \in A(q_k)} n \cdot a - \max_{b \in B(q_k)} n \cdot b \Bigr) - s_A - s_B .

MuJoCo's own distance (``mj_geomDistance``) at the middle of the way says which :math:`n` makes this largest. Its
*value* is not relied on: for hulls it has answered 0 for pairs decimetres apart (MuJoCo issue 3383), which costs
accuracy here and no safety.
"""

import math
from collections.abc import Sequence
from itertools import combinations

import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

from control.clearance.params import Clearance, Obstacle
from control.clearance.shapes import LINKS, Piece, arm_pieces
from datasets.arm.model import ARM_JOINTS, arm_spec
from datasets.common.errors import SafetyStop
from datasets.rig.projection import Array

_REMAINDER = {1: 0.0, 2: 1 / 8, 3: 1 / 6}
_TOLERANCE_M = 5e-4
"""A way is cut in two where the bound misses by less than what its curvature may make, down to this."""
_MOST_CUTS = 100
_FAR_M = 10.0
_LEAST_M = 1e-9
_DOWN = np.array([[0.0, 0.0, -1.0]])
_BEYOND = (np.arange(7) >= np.arange(-1, 8)[:, None]).astype(float)
"""Row: the world, the base, links 1 to 7; column: whether that joint lies beyond it."""
TABLE = "the table"


class ArmDistance:
    """Distances between the arm with what it carries, the table, boxes, and the arm itself. Not thread-safe.

    Self pairs are those of links that are no neighbours; of the base, which never moves, only those with links.

    Args:
        obstacles: boxes in the base frame.
        table_z_m: height of the table's plane in the base frame.
        tool: pieces fixed to the flange besides the gripper.
        itself_within_m: what of the arm itself is farther apart than this counts as not near: the flange always passes
            the forearm's end at about 40 mm, which is nothing to be slowed for.
    """

    def __init__(
        self,
        obstacles: Sequence[Obstacle],
        table_z_m: float,
        tool: Sequence[Piece] = (),
        itself_within_m: float = math.inf,
    ) -> None:
        arm = [*arm_pieces(), *tool]
        world = [Piece(obstacle.name, -1, obstacle.corners) for obstacle in obstacles]
        pieces = arm + world
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
        self._fromto = np.zeros(6)

    def nearest(self, joints_rad: ArrayLike, within_m: float = 1.0) -> Clearance:
        """The smallest distance at one joint vector ``(7,)``, of all that lie below ``within_m``.

        Raises:
            SafetyStop: the joints are not seven finite numbers.
        """
        return self.between(np.asarray(joints_rad, dtype=float)[None], within_m)

    def along(self, joints_rad: ArrayLike, needed_m: float, within_m: float | None = None) -> Clearance:
        """A lower bound along the way through joint vectors ``(N, 7)``, straight in joint space between them.

        Args:
            joints_rad: the way; one vector is a place.
            needed_m: the way is looked at more closely where the bound comes out below this; above, it may be coarse.
            within_m: what is farther counts as not near, by default ``needed_m``.

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
        self, corners_rad: Array, needed_m: float, within_m: float | None = None, most_cuts: int = _MOST_CUTS
    ) -> Clearance:
        """A lower bound over all mixtures of one to three joint vectors ``(K, 7)``, refined as :meth:`along` says."""
        within_m = needed_m if within_m is None else within_m
        count = 0
        parts = [(self.between(corners_rad, within_m), count, corners_rad)]
        key = lambda part: (part[0].distance_m, part[1])  # noqa: E731
        while True:
            # The smallest of the parts' bounds is the whole way's: only there a closer look can raise it.
            found, _, part = min(parts, key=key)
            if found.distance_m >= needed_m or count >= 2 * most_cuts or self._sagging(part).max() <= _TOLERANCE_M:
                return found
            parts = [other for other in parts if other[2] is not part]
            for half in _cut(part):
                count += 1
                parts.append((self.between(half, within_m), count, half))

    def between(self, corners_rad: Array, within_m: float) -> Clearance:
        """A lower bound over all mixtures of one to three joint vectors ``(K, 7)``, in one go."""
        return self.between_and_at(corners_rad, within_m)[0]

    def between_and_at(self, corners_rad: Array, within_m: float) -> tuple[Clearance, Array]:
        """As :meth:`between`; and lower bounds at each joint vector, ``(K,)`` m, infinite where nothing is near.

        What is nearest at a corner alone is told a little too small: the directions are those of the middle.
        """
        corners = np.asarray(corners_rad, dtype=float)
        if corners.shape[1:] != (7,) or len(corners) not in _REMAINDER or not np.isfinite(corners).all():
            raise SafetyStop(f"joints must be vectors of seven finite numbers, got {np.asarray(corners_rad).tolist()}")
        turns, places = np.empty((len(corners), 9, 3, 3)), np.empty((len(corners), 9, 3))
        for corner, joints in enumerate(corners):
            turns[corner], places[corner] = self._placed(joints)
        turn = turns[0] if len(corners) == 1 else self._placed(corners.sum(axis=0) / len(corners))[0]
        sagging = self._sagging(corners)
        slack = sagging[:, 0] + self._inflation
        # Boxes along the axes about the pieces first: what they keep apart needs no look at the shapes.
        each = turns[:, self._body]
        centres = np.einsum("kpij,pj->kpi", each, self._centres) + places[:, self._body]
        extents = np.einsum("kpij,pj->kpi", np.abs(each), self._half)
        lowest = (centres - extents).min(axis=0) - slack[:, None]
        highest = (centres + extents).max(axis=0) + slack[:, None]
        best, pair, at = math.inf, ("", ""), np.full(len(corners), math.inf)
        low = self._moving[lowest[self._moving, 2] < self._table_z_m + within_m]
        if len(low):
            each_height = -self._support(low, _DOWN[None], turns, places) - self._inflation[low] - self._table_z_m
            at = each_height.min(axis=1)
            heights = each_height.min(axis=0) - sagging[low, 0]
            least = int(heights.argmin())
            if heights[least] < within_m:
                best, pair = float(heights[least]), (self.names[low[least]], TABLE)
        one, two = self._pairs
        gap = np.maximum(np.maximum(lowest[one] - highest[two], lowest[two] - highest[one]), 0)
        limits = np.minimum(self._within, max(min(within_m, best), 0.0))
        near = np.flatnonzero(np.einsum("pi,pi->p", gap, gap) < limits**2)
        if len(near):
            a, b = one[near], two[near]
            # The second piece's link is taken as still: what turns both of them brings them no nearer.
            away = self._directions(a, b, lowest, highest)
            still = self._body[b]
            away = turns[:, still] @ (turn[still].transpose(0, 2, 1) @ away[:, :, None])
            supports = self._support(a, -away[..., 0], turns, places) + self._support(b, away[..., 0], turns, places)
            supports += self._inflation[a] + self._inflation[b]
            distances = -supports.max(axis=0) - sagging[a, still]
            counts = distances < limits[near]
            distances[~counts] = math.inf
            at = np.minimum(at, -supports[:, counts].max(axis=1, initial=-math.inf))
            least = int(distances.argmin())
            if distances[least] < min(within_m, best):
                best, pair = float(distances[least]), (self.names[a[least]], self.names[b[least]])
        return Clearance(best, pair), at

    def _placed(self, joints: Array) -> tuple[Array, Array]:
        """Rotations ``(9, 3, 3)`` and origins ``(9, 3)`` of the world and the links."""
        self._data.qpos[self._joints] = joints
        mujoco.mj_kinematics(self._model, self._data)
        return self._data.xmat[self._bodies].reshape(-1, 3, 3), self._data.xpos[self._bodies]

    def _sagging(self, corners: Array) -> Array:
        """How far the points of each piece may lie off the mixture of their corner places, ``(P, 9)`` m.

        The columns take the world, the base and each link as still: only the joints beyond it count.
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
        most: Array = (local @ self._columns[pieces])[:, :, 0].max(axis=2)
        return most + (directions * places[:, bodies]).sum(axis=2)

    def _directions(self, a: NDArray[np.int_], b: NDArray[np.int_], lowest: Array, highest: Array) -> Array:
        """Unit vectors ``(M, 3)`` from each second piece to the first, where they are nearest."""
        away = np.empty((len(a), 3))
        fromto, geoms = self._fromto, self._geoms
        for row, (one, two) in enumerate(zip(a.tolist(), b.tolist(), strict=True)):
            fromto[:] = 0
            distance = mujoco.mj_geomDistance(self._model, self._data, geoms[one], geoms[two], _FAR_M, fromto)
            away[row] = (fromto[:3] - fromto[3:]) * (1 if distance > 0 else -1)
        sizes = np.sqrt(np.square(away).sum(axis=1))
        lost = sizes < _LEAST_M
        if lost.any():
            centre = (lowest[a[lost]] + highest[a[lost]]) / 2
            away[lost] = centre - np.clip(centre, lowest[b[lost]], highest[b[lost]])
            sizes = np.sqrt(np.square(away).sum(axis=1))
            away[sizes < _LEAST_M], sizes[sizes < _LEAST_M] = (0, 0, 1), 1
        return away / sizes[:, None]


def _model(pieces: Sequence[Piece]) -> mujoco.MjModel:
    """The arm with the pieces as hulls that neither collide nor weigh, named by their number."""
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

    A joint turns about the z axis of its link, so that of the way from joint to point only the first leg is known.
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
    """A segment or triangle of joint vectors in two, across its longest edge."""
    edges = [(one, two) for one, two in combinations(range(len(corners)), 2)]
    one, two = max(edges, key=lambda edge: float(np.abs(corners[edge[0]] - corners[edge[1]]).sum()))
    middle = (corners[one] + corners[two]) / 2
    halves = np.stack([corners, corners])
    halves[0, one] = halves[1, two] = middle
    return list(halves)
