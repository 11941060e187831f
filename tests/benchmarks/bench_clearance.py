"""The clearance check against the official meshes: ``python tests/benchmarks/bench_clearance.py --motions 100000``.

Random sites (boxes, table, base plate, a tool), starts and targets. The arm is driven as the loop drives it: a
displacement a tick, as far as the check lets it, followed with the controller's speed and acceleration, a delay and a
lag. Distances of the whole motion are judged at 100 Hz by another computation than the check's own, on the points of
the official meshes. Prints one line of JSON; ``--into FILE`` keeps a line a chunk, and a later run goes on from there.

How near a flat triangle with edges up to ``EDGE_M`` comes to something convex, its corners tell to within
``sqrt(d^2 - EDGE_M^2 / 3)``: from the nearest point of the triangle a corner lies at most EDGE_M / sqrt(3) away, at a
right angle to the way to the other body.
"""

import argparse
import json
import math
import os
import time
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import mujoco
import numpy as np
from scipy.spatial import cKDTree

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
CELL_M = 0.03
FAR_M = 0.035
SPEED_M_S, ACCELERATION_M_S2, DELAY_SUBSTEPS, LAG_S = 0.25, 2.0, 3, 0.03
TICKS = 120
REACHED_M = 0.003
MOTIONS_PER_SITE = 5
PEN = Obstacle("the pen", (-0.006, 0.02, 0.0), (0.006, 0.032, 0.19))
DOWN = pointing_down()


class Judge:
    """Distances on the official meshes, the gripper at many openings at once, with points in cells of a grid."""

    def __init__(self, tool: tuple[Obstacle, ...] = (), edge_m: float = EDGE_M) -> None:
        points = {link: np.unique(part.reshape(-1, 3).round(6), axis=0) for link, part in official(edge_m).items()}
        for box in tool:
            axes = [np.arange(a, b + edge_m, edge_m).clip(a, b) for a, b in zip(box.low_m, box.high_m, strict=True)]
            grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
            skin = ((grid == box.low_m) | (grid == box.high_m)).any(axis=1)
            points[7] = np.concatenate([points[7], grid[skin]])
        self.points, self.link, self.cells, self.middles, self.radii = [], [], [], [], []
        for link, part in points.items():
            cell = np.unique(np.floor(part / CELL_M), axis=0, return_inverse=True)[1].ravel()
            order = np.argsort(cell, kind="stable")
            for one in np.split(order, np.cumsum(np.bincount(cell))[:-1]):
                self.cells.append(part[one])
                self.middles.append((part[one].min(axis=0) + part[one].max(axis=0)) / 2)
                self.radii.append(np.linalg.norm(part[one] - self.middles[-1], axis=1).max())
                self.link.append(link)
        self.link, self.middles, self.radii = np.array(self.link), np.array(self.middles), np.array(self.radii)
        self.hidden2 = edge_m**2 / 3
        self.model = arm_spec("own", shapes=False).compile()
        self.data = mujoco.MjData(self.model)
        self.joints = [self.model.joint(name).qposadr[0] for name in ARM_JOINTS]
        self.bodies = [self.model.body(name).id for name in LINKS]

    def distance(self, joints, boxes, table_z: float, below: float, itself: bool = False, link: int = 0) -> float:
        """The smallest distance, m, of the moving links or of one, or infinite when it is not below ``below``."""
        self.data.qpos[self.joints] = joints
        mujoco.mj_kinematics(self.model, self.data)
        turn, place = self.data.xmat[self.bodies].reshape(-1, 3, 3), self.data.xpos[self.bodies]
        middles = (turn[self.link] @ self.middles[:, :, None])[..., 0] + place[self.link]
        best = below
        moves = self.link == link if link else self.link > 0
        world = lambda index: self.cells[index] @ turn[self.link[index]].T + place[self.link[index]]  # noqa: E731
        for index in np.flatnonzero(moves & (middles[:, 2] - self.radii - table_z < best)):
            best = min(best, world(index)[:, 2].min() - table_z)
        for low, high in boxes:
            far = length(np.maximum(np.maximum(low - middles, middles - high), 0)) - self.radii
            for index in np.flatnonzero(moves & (far < best)):
                points = world(index)
                out = length(np.maximum(np.maximum(low - points, points - high), 0)).min()
                best = min(best, math.sqrt(max(out**2 - self.hidden2, 0.0)))
        if itself:
            for one, two in combinations(range(8), 2):
                if two - one < 2:
                    continue
                a, b = np.flatnonzero(self.link == one), np.flatnonzero(self.link == two)
                far = np.linalg.norm(middles[a][:, None] - middles[b], axis=2) - self.radii[a][:, None] - self.radii[b]
                if (near := far < best).any():
                    here = np.concatenate([world(i) for i in a[near.any(axis=1)]])
                    there = np.concatenate([world(i) for i in b[near.any(axis=0)]])
                    out = cKDTree(here).query(there)[0].min()
                    best = min(best, math.sqrt(max(out**2 - 2 * self.hidden2, 0.0)))
        return best if best < below else math.inf


def length(vectors: np.ndarray) -> np.ndarray:
    return np.sqrt(np.einsum("ij,ij->i", vectors, vectors))


_OFFICIAL: dict[float, dict] = {}


def official(edge_m: float) -> dict:
    if edge_m not in _OFFICIAL:
        _OFFICIAL[edge_m] = official_triangles(edge_m)
    return _OFFICIAL[edge_m]


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
    nearest, took, reason, held, halts, corners = FAR_M, [], "", 0, 0, site.corners
    share = 1 - math.exp(-SUBSTEP_S / LAG_S)
    for tick in range(TICKS):
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
            nearest = min(nearest, judge.distance(true, corners, site.table_z, nearest, substep == 9 and tick % 4 == 3))
        last = target
        if held > 3 or (np.linalg.norm(target - goal) < REACHED_M and np.linalg.norm(before - goal) < REACHED_M):
            break
    return Motion(nearest, bool(np.linalg.norm(kinematics.tcp(true) - goal) < REACHED_M), reason, took, halts)


def oracle(check: ArmClearance, judge: Judge, site: Site, joints, goal, kinematics: Kinematics) -> tuple[float, str]:
    """The smallest distance on the straight way on the official meshes, and what forbids its posture."""
    start = kinematics.tcp(joints)
    count = int(np.ceil(np.linalg.norm(goal - start) / 0.004)) + 1
    nearest = judge.distance(joints, site.corners, site.table_z, FAR_M, True)
    nearest, why = min(nearest, FAR_M), ""
    for number, point in enumerate(np.linspace(start, goal, count + 1)[1:]):
        following = kinematics.approach(joints, point, DOWN, iterations=3)
        if np.linalg.norm(kinematics.tcp(following) - point) > 1e-3:
            return nearest, "reach"
        scale, why = check._posture_scale(joints, following)
        if scale == 0:
            return nearest, why
        joints = following
        nearest = min(nearest, judge.distance(joints, site.corners, site.table_z, nearest, number % 10 == 9))
    return nearest, ""


def chunk(seed: int, motions: int, margin_m: float = ClearanceParams.margin_m) -> dict:
    """Figures of so many motions from one seed."""
    rng, rig, kinematics = np.random.default_rng([20261, seed]), Rig.load(), Kinematics()
    judges = {(): Judge(), (PEN,): Judge((PEN,))}
    figures = {"seed": seed, "motions": 0, "sites": 0, "within_margin": 0, "least_mm": 1e3, "refused": 0}
    figures |= {"allowed": 0, "refused_though_allowed": 0, "way_refused_though_allowed": 0, "least_refused_mm": []}
    figures |= {"way_allowed_but_within": 0, "reached": 0, "reached_after_halts": 0}
    took: dict[str, list[float]] = {"empty": [], "sparse": [], "cluttered": []}
    while figures["motions"] < motions:
        site, check = random_site(rng, rig)
        judge = judges[site.tool]
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
