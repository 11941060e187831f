"""The clearance check against the official meshes: ``python tests/benchmarks/bench_clearance.py --motions 100000``.

Random sites (boxes, table, base plate, a tool), starts and targets. The arm is driven as the loop drives it: a
displacement a tick, as far as the check lets it, followed with the controller's speed and acceleration, a delay and a
lag. Distances of the whole motion are judged at 100 Hz by another computation than the check's own, on the points of
the official meshes. Prints one line of JSON; ``--into FILE`` keeps a line a chunk, and a later run goes on from there.

How near a flat triangle with edges up to ``EDGE_M`` comes to something convex, its corners tell to within
``sqrt(d^2 - EDGE_M^2 / 3)``: from the nearest point of the triangle a corner lies at most EDGE_M / sqrt(3) away, at a
right angle to the way to the other body; between two triangles twice as far. Where that may be within the margin, the
triangles are cut smaller until the distance is exact.
"""

import argparse
import json
import math
import os
import time
from dataclasses import dataclass
from functools import cache, partial
from itertools import combinations
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import mujoco
import numpy as np
import trimesh
from scipy.spatial import cKDTree
from trimesh.remesh import subdivide_to_size

from control.clearance.arm_clearance import PLATE, ArmClearance
from control.clearance.inflation import official_triangles
from control.clearance.params import ClearanceParams, Obstacle
from control.clearance.shapes import LINKS
from control.task.dynamics import SUBSTEP_S, Planner
from datasets.arm.kinematics import Kinematics, ReachError, pointing_down
from datasets.arm.model import ARM_JOINTS, arm_spec
from datasets.common.errors import SafetyStop
from datasets.rig.rig import Rig

EDGE_M = 0.005
HIDDEN_M = EDGE_M / math.sqrt(3)
CELL_M = 0.03
FAR_M = 0.035
CLOSE_M = 0.023
EXACT_M, TOUCHED_M = 1e-5, 0.015
AHEAD_M, ROUGH_M = 0.03, 0.0035
PAIRS = [(one, two) for one, two in combinations(range(8), 2) if two - one > 1]
SPEED_M_S, ACCELERATION_M_S2, DELAY_SUBSTEPS, LAG_S = 0.25, 2.0, 3, 0.03
TICKS = 120
REACHED_M = 0.003
MOTIONS_PER_SITE = 5
PEN = Obstacle("the pen", (-0.006, 0.02, 0.0), (0.006, 0.032, 0.19))
DOWN = pointing_down()


class Judge:
    """Distances on the official meshes, the gripper at many openings at once, with triangles in cells of a grid.

    They are exact to ``EXACT_M`` from ``TOUCHED_M`` to ``CLOSE_M`` and lower bounds elsewhere.
    """

    def __init__(self, tool: tuple[Obstacle, ...] = ()) -> None:
        boxes = [trimesh.creation.box(bounds=(box.low_m, box.high_m)) for box in tool]
        cut = [subdivide_to_size(box.vertices, box.faces, EDGE_M, max_iter=20) for box in boxes]
        cells = [*official_cells(), *(cell for points, faces in cut for cell in in_cells(7, points[faces]))]
        self.link = np.array([cell.link for cell in cells])
        self.triangles = [cell.triangles for cell in cells]
        self.points = [cell.points for cell in cells]
        self.middles = np.array([(points.min(axis=0) + points.max(axis=0)) / 2 for points in self.points])
        self.radii = np.array([length(p - m).max() for p, m in zip(self.points, self.middles, strict=True)])
        self.frames = np.stack([self._frame(link) for link in range(8)])
        self.rough = [self._rough(link) for link in range(8)]
        self.trees = [cKDTree(points) for points in self.rough]
        self.model = arm_spec("own", shapes=False).compile()
        self.data = mujoco.MjData(self.model)
        self.joints = [self.model.joint(name).qposadr[0] for name in ARM_JOINTS]
        self.bodies = [self.model.body(name).id for name in LINKS]

    def along(self, path, site: "Site", below: float) -> float:
        """The smallest distance on a path ``(N, 7)`` rad, m; ``below`` when it is not below that.

        Places are left out only where the arm has moved too little since the last one for a smaller distance.
        Distances between links count below ``CLOSE_M`` only.
        """
        placed = [self._placed(joints) for joints in path]
        turns, places = np.stack([turn for turn, _ in placed]), np.stack([place for _, place in placed])
        best, at = below, 0
        frames = self.frames @ turns.swapaxes(2, 3) + places[:, :, None]
        while at < len(path):
            found = min(self.distance(path[at], site.corners, site.table_z, best + AHEAD_M), best + AHEAD_M)
            best = min(best, found)
            at = later(frames.reshape(len(path), -1, 3), at, found - best)
        for one, two in PAIRS:
            frames = (self.frames[two] @ turns[:, two].swapaxes(1, 2) + (places[:, two] - places[:, one])[:, None]) @ (
                turns[:, one]
            )
            low, high = self.frames[one].min(axis=0), self.frames[one].max(axis=0)
            gaps = length(np.maximum(np.maximum(frames.min(axis=1) - high, low - frames.max(axis=1)), 0))
            best_of_pair, at = min(best, CLOSE_M), 0
            while at < len(path):
                within = best_of_pair + AHEAD_M
                far = gaps[at] > within
                found = gaps[at] if far else self.between(one, two, turns[at], places[at], within)
                best_of_pair = min(best_of_pair, found)
                at = later(frames, at, found - best_of_pair)
            best = min(best, best_of_pair) if best_of_pair < CLOSE_M else best
        return best

    def between(self, one: int, two: int, turn, place, below: float) -> float:
        """The distance, m, of two links, or a lower bound of it that is at least ``CLOSE_M`` or ``below``."""
        there = (self.rough[two] @ turn[two].T + place[two] - place[one]) @ turn[one]
        near = (
            (there > self.frames[one][0] - below - 2 * ROUGH_M) & (there < self.frames[one][-1] + below + 2 * ROUGH_M)
        ).all(axis=1)
        if not near.any():
            return below
        apart_m = self.trees[one].query(there[near], distance_upper_bound=below + 2 * ROUGH_M)[0].min()
        rough = at_least(max(apart_m - 2 * ROUGH_M, 0.0), 2 * HIDDEN_M)
        if rough >= min(below, CLOSE_M):
            return min(rough, below)
        a, b = np.flatnonzero(self.link == one), np.flatnonzero(self.link == two)
        middles = (turn[self.link] @ self.middles[:, :, None])[..., 0] + place[self.link]
        gaps = np.linalg.norm(middles[a][:, None] - middles[b], axis=2) - self.radii[a][:, None] - self.radii[b]
        a, b = a[(gaps < below).any(axis=1)], b[(gaps < below).any(axis=0)]
        if not len(a):
            return below
        both = [
            np.concatenate([self.triangles[i] @ turn[link].T + place[link] for i in cells])
            for cells, link in ((a, one), (b, two))
        ]
        return min(exact(both, apart, 2 * HIDDEN_M, below), below)

    def distance(self, joints, boxes, table_z: float, below: float, itself: bool = False, link: int = 0) -> float:
        """The smallest distance, m, of the moving links or of one, or infinite when it is not below ``below``."""
        turn, place = self._placed(joints)
        middles = (turn[self.link] @ self.middles[:, :, None])[..., 0] + place[self.link]
        best = below
        moves = self.link == link if link else self.link > 0
        world = lambda points, index: points[index] @ turn[self.link[index]].T + place[self.link[index]]  # noqa: E731
        for index in np.flatnonzero(moves & (middles[:, 2] - self.radii - table_z < best)):
            best = min(best, world(self.points, index)[:, 2].min() - table_z)
        for low, high in boxes:
            outside = partial(beyond, low, high)
            for index in np.flatnonzero(moves & (outside(middles)[0] - self.radii < best)):
                bound = at_least(outside(world(self.points, index))[0].min(), HIDDEN_M)
                if bound < min(best, CLOSE_M):
                    bound = exact([world(self.triangles, index)], outside, HIDDEN_M, best)
                best = min(best, bound)
        for one, two in PAIRS if itself else ():
            best = min(best, self.between(one, two, turn, place, best))
        return best if best < below else math.inf

    def _placed(self, joints) -> tuple[np.ndarray, np.ndarray]:
        """Rotations and origins of the links."""
        self.data.qpos[self.joints] = joints
        mujoco.mj_kinematics(self.model, self.data)
        return self.data.xmat[self.bodies].reshape(-1, 3, 3), self.data.xpos[self.bodies]

    def _frame(self, link: int) -> np.ndarray:
        """The corners of a box about a link: none of its points moves farther than the farthest of them."""
        points = np.concatenate([part for part, of in zip(self.points, self.link, strict=True) if of == link])
        return Obstacle("link", tuple(points.min(axis=0)), tuple(points.max(axis=0))).corners

    def _rough(self, link: int) -> np.ndarray:
        """Points ``(N, 3)`` m so that no corner of the link's is farther than ``ROUGH_M`` from the nearest."""
        points = np.concatenate([part for part, of in zip(self.points, self.link, strict=True) if of == link])
        side = 2 * ROUGH_M / math.sqrt(3)
        return (np.unique(np.floor(points / side), axis=0) + 0.5) * side


@dataclass(frozen=True)
class Cell:
    """What lies together of a link: triangles ``(T, 3, 3)`` and their corners ``(P, 3)`` m in its frame."""

    link: int
    triangles: np.ndarray
    points: np.ndarray


def later(frames: np.ndarray, at: int, spare_m: float) -> int:
    """The first place after ``at`` where one of the points ``(N, P, 3)`` lies more than ``spare_m`` from there."""
    moved = np.linalg.norm(frames[at + 1 :] - frames[at], axis=2).max(axis=1) > spare_m
    return at + 1 + int(moved.argmax() if moved.any() else len(moved))


def in_cells(link: int, triangles: np.ndarray) -> list[Cell]:
    cell = np.unique(np.floor(triangles.mean(axis=1) / CELL_M), axis=0, return_inverse=True)[1].ravel()
    parts = [triangles[part] for part in np.split(np.argsort(cell), np.cumsum(np.bincount(cell))[:-1])]
    return [Cell(link, part, np.unique(part.reshape(-1, 3).round(7), axis=0)) for part in parts]


@cache
def official_cells() -> tuple[Cell, ...]:
    return tuple(cell for link, part in official_triangles(EDGE_M).items() for cell in in_cells(link, part))


def length(vectors: np.ndarray) -> np.ndarray:
    return np.sqrt(np.einsum("ij,ij->i", vectors, vectors))


def at_least(distance, hidden_m: float):
    """How near a triangle may come whose nearest corner is so far away."""
    return np.sqrt(np.maximum(distance**2 - hidden_m**2, 0.0))


def beyond(low: np.ndarray, high: np.ndarray, points: np.ndarray) -> list[np.ndarray]:
    """How far points ``(N, 3)`` lie outside a box."""
    return [length(np.maximum(np.maximum(low - points, points - high), 0))]


def apart(one: np.ndarray, two: np.ndarray) -> list[np.ndarray]:
    """How far each of the points ``(N, 3)``, ``(M, 3)`` is from the nearest of the others."""
    return [cKDTree(two).query(one)[0], cKDTree(one).query(two)[0]]


def exact(sides: list[np.ndarray], measure, hidden_m: float, below: float) -> float:
    """The smallest distance, m, of triangles ``(T, 3, 3)``, cut smaller where they are near, or infinite.

    Args:
        sides: the triangles, or those of both bodies.
        measure: distances of the corners of each side from the other body.
        hidden_m: how far the nearest point of a triangle may lie from its corners, of both sides together.
        below: what is not nearer is not looked at closely.
    """
    while all(len(side) for side in sides):
        corners = [found.reshape(-1, 3).min(axis=1) for found in measure(*(side.reshape(-1, 3) for side in sides))]
        nearest = min(found.min() for found in corners)
        bounds = [at_least(found, hidden_m) for found in corners]
        least = max(found.min() for found in bounds)
        if nearest - least < EXACT_M or nearest < TOUCHED_M:
            return least
        sides = [quarters(side[bound < min(nearest, below)]) for side, bound in zip(sides, bounds, strict=True)]
        hidden_m /= 2
    return math.inf


def quarters(triangles: np.ndarray) -> np.ndarray:
    """Each triangle in four alike."""
    a, b, c = triangles.swapaxes(0, 1)
    ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
    return np.concatenate([np.stack(part, axis=1) for part in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))])


@dataclass(frozen=True)
class Site:
    boxes: tuple[Obstacle, ...]
    table_z: float
    tool: tuple[Obstacle, ...]

    @property
    def kind(self) -> str:
        return "empty" if not self.boxes else "sparse" if len(self.boxes) < 4 else "cluttered"

    @property
    def corners(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Of the boxes and the plate."""
        half = ClearanceParams.plate_half_width_m
        plate = [Obstacle(PLATE, (-half, -half, self.table_z), (half, half, 0.0))] if self.table_z < 0 else []
        return [(np.array(box.low_m), np.array(box.high_m)) for box in (*self.boxes, *plate)]


def random_site(rng: np.random.Generator, rig: Rig) -> tuple[Site, ArmClearance]:
    """Up to six boxes anywhere about the arm that leave it its home."""
    while True:
        boxes = []
        for number in range(rng.integers(0, 7)):
            middle = rng.uniform((-0.5, -0.8, 0.0), (1.0, 0.8, 0.9))
            half = rng.uniform(0.02, 0.2, 3)
            boxes.append(Obstacle(f"box {number}", tuple(middle - half), tuple(middle + half)))
        site = Site(tuple(boxes), float(rng.choice([0.0, -0.01, 0.05])), (PEN,) if rng.random() < 0.3 else ())
        check = ArmClearance(rig, site.boxes, site.table_z, tool=site.tool)
        if check.nearest(rig.home_joints_rad).distance_m >= check.params.margin_m:
            return site, check


@dataclass
class Motion:
    """One reach: the smallest distance on its way, whether it arrived, what the check said and how long it took."""

    nearest_m: float
    reached: bool
    reason: str
    took_s: list[float]
    halts: int


def drive(check: ArmClearance, judge: Judge, site: Site, joints, goal, rng, noise_m: float) -> Motion:
    kinematics = Kinematics()
    reference, true = joints.copy(), joints.copy()
    target = kinematics.tcp(joints)
    planner = Planner(target, SPEED_M_S, ACCELERATION_M_S2)
    before, last = target, target
    path, took, reason, held, halts = [], [], "", 0, 0
    share = 1 - math.exp(-SUBSTEP_S / LAG_S)
    for _ in range(TICKS):
        wish = goal - target + rng.normal(0, noise_m, 3) if noise_m else goal - target
        wish *= min(1.0, 0.025 / max(float(np.linalg.norm(wish)), 1e-9))
        tcp = kinematics.tcp(true)
        start = time.thread_time()  # of this thread alone: a machine busy with other work judges nothing
        verdict = check.step(true, target, target + wish, float(np.linalg.norm(tcp - before)) / SUBSTEP_S)
        took.append(time.thread_time() - start)
        target = target + verdict.scale * wish
        held = held + 1 if verdict.scale == 0 else 0
        if verdict.scale == 0:
            reason, halts = verdict.reason, halts + 1
        for substep in range(10):
            goal_now = target if substep >= DELAY_SUBSTEPS else last
            before = kinematics.tcp(true) if substep == 9 else before
            reference = kinematics.approach(reference, planner.advance(goal_now), DOWN, iterations=1)
            true = true + share * (reference - true)
            path.append(true)
        last = target
        if held > 3 or (np.linalg.norm(target - goal) < REACHED_M and np.linalg.norm(before - goal) < REACHED_M):
            break
    nearest = judge.along(path, site, FAR_M)
    return Motion(nearest, bool(np.linalg.norm(kinematics.tcp(true) - goal) < REACHED_M), reason, took, halts)


def oracle(check: ArmClearance, judge: Judge, site: Site, joints, goal, kinematics: Kinematics) -> tuple[float, str]:
    """The smallest distance on the straight way on the official meshes, and what forbids its posture."""
    start = kinematics.tcp(joints)
    count = int(np.ceil(np.linalg.norm(goal - start) / 0.004)) + 1
    path, why = [joints], ""
    for point in np.linspace(start, goal, count + 1)[1:]:
        following = kinematics.approach(joints, point, DOWN, iterations=3)
        if np.linalg.norm(kinematics.tcp(following) - point) > 1e-3:
            why = "reach"
        else:
            scale, reason = check._posture_scale(joints, following)
            why = "" if scale else reason
        if why:
            break
        joints = following
        path.append(joints)
    return judge.along(path, site, FAR_M), why


@cache
def judge_of(tool: tuple[Obstacle, ...]) -> Judge:
    return Judge(tool)


def chunk(seed: int, motions: int, margin_m: float = ClearanceParams.margin_m) -> dict:
    """Figures of so many motions from one seed."""
    rng, rig, kinematics = np.random.default_rng([20261, seed]), Rig.load(), Kinematics()
    figures = {"seed": seed, "motions": 0, "sites": 0, "within_margin": 0, "least_mm": 1e3, "refused": 0}
    figures |= {"allowed": 0, "refused_though_allowed": 0, "way_refused_though_allowed": 0, "least_refused_mm": []}
    figures |= {"way_allowed_but_within": 0, "reached": 0, "reached_after_halts": 0}
    took: dict[str, list[float]] = {"empty": [], "sparse": [], "cluttered": []}
    while figures["motions"] < motions:
        site, check = random_site(rng, rig)
        judge = judge_of(site.tool)
        figures["sites"] += 1
        for _ in range(MOTIONS_PER_SITE):
            start, goal = rng.uniform(rig.workspace.low, rig.workspace.high, (2, 3))
            try:
                joints = kinematics.solve(start, rig.home_joints_rad)
            except ReachError:
                continue
            if check._posture_scale(joints, joints)[0] == 0 or check.condition(joints) > check.params.singularity_stop:
                continue
            if judge.distance(joints, site.corners, site.table_z, FAR_M, True) < margin_m + 0.01:
                continue
            noise = 0.003 if rng.random() < 0.3 else 0.0
            nearest, why = oracle(check, judge, site, joints, goal, kinematics)
            motion = drive(check, judge, site, joints, goal, rng, noise)
            try:
                check.way(joints, goal)
                refusal = ""
            except SafetyStop as error:
                refusal = str(error)
            figures["motions"] += 1
            figures["least_mm"] = min(figures["least_mm"], float(motion.nearest_m) * 1000)
            figures["within_margin"] += int(motion.nearest_m < margin_m)
            figures["reached"] += int(motion.reached)
            figures["reached_after_halts"] += int(motion.reached and motion.halts > 0)
            took[site.kind] += motion.took_s
            if nearest >= margin_m and not why:
                figures["allowed"] += 1
                figures["way_refused_though_allowed"] += bool(refusal)
                figures["refused_though_allowed"] += bool(motion.reason and not motion.reached and not noise)
                if refusal:
                    figures["least_refused_mm"].append(round(nearest * 1000, 1))
            else:
                figures["refused"] += 1
                figures["way_allowed_but_within"] += not refusal
    figures["took_ms"] = {
        kind: [round(float(np.percentile(parts, q)) * 1000, 3) for q in (50, 95, 99, 100)]
        for kind, parts in took.items()
        if parts
    }
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--motions", type=int, default=200)
    parser.add_argument("--chunk", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="number of the first chunk")
    parser.add_argument("--into", type=Path)
    args = parser.parse_args()
    done = (
        [json.loads(line)["seed"] for line in args.into.read_text().splitlines()]
        if args.into and args.into.exists()
        else []
    )
    for seed in range(args.first, args.first + math.ceil(args.motions / args.chunk)):
        if seed in done:
            continue
        line = json.dumps(chunk(seed, args.chunk))
        print(line, flush=True)
        if args.into:
            with args.into.open("a") as file:
                file.write(line + "\n")


if __name__ == "__main__":
    main()
