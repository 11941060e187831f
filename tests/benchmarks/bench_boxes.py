"""Goals among five boxes, through the whole runtime on the twin: ``python tests/benchmarks/bench_boxes.py``.

Each goal is refused with a reason before anything moves, or run as a rehearsal runs it. The twin's true joints are
noted all the while, and how near they came to table, boxes and each other is judged on the official meshes, by another
computation than the check's (:mod:`bench_clearance`). Writes metrics.json to ``--into``, distances in mm.
"""

import argparse
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from tqdm import tqdm

from bench_clearance import Judge, Site
from control.arms.site import SiteParams
from control.clearance.shapes import LINKS
from control.task.goals import GoalSampler
from datasets.rig.rig import Rig
from pipelines.rehearse.__main__ import without_refused
from pipelines.runtime.goals import run_goals
from pipelines.setup.assemble import make_runtime
from pipelines.setup.devices import DeviceNames, open_devices
from pipelines.setup.settings import RuntimeParams
from pipelines.setup.setup import Setup
from pipelines.twin.settings import TwinParams

SITE, INTO = Path("params/boxes.yaml"), Path("results/boxes")
RADIUS_M, REACHED_M, BELOW_M = 0.25, 0.005, 0.1
NOTED_EVERY_S, SAME_RAD = 0.01, 1e-4


@contextmanager
def noted_joints(twin) -> Iterator[list[np.ndarray]]:
    """The twin's true joints while inside, a hundred times a second."""
    path, over = [], threading.Event()

    def note() -> None:
        while not over.wait(NOTED_EVERY_S):
            path.append(twin.controller.joints())

    thread = threading.Thread(target=note)
    thread.start()
    try:
        yield path
    finally:
        over.set()
        thread.join()


def run(setup: Setup, goals: list[np.ndarray], twin: TwinParams) -> tuple[list, list[np.ndarray]]:
    """Results of all goals, begun anew after each stop, and the joints on the way."""
    results, path = [], []
    while len(results) < len(goals):
        with open_devices(DeviceNames(), setup, twin) as devices, noted_joints(devices.twin) as noted:
            runtime = make_runtime(setup, devices, setup.policy)
            results += run_goals(devices.arm, runtime, goals[len(results) :], home_after=False)
        path += noted
    return results, path


def nearest(path: list[np.ndarray], site: Site, judge: Judge) -> tuple[float, tuple[str, str]]:
    """How near the official meshes came to anything on a path, m, and what to what."""
    joints = [at for before, at in pairwise([np.full(7, np.inf), *path]) if np.abs(at - before).max() > SAME_RAD]
    least, where = BELOW_M, np.zeros(7)
    for at in tqdm(joints, desc="judged", disable=None):
        found = judge.distance(at, site.corners, site.table_z, least, itself=True)
        least, where = (found, at) if found < least else (least, where)
    things = [("the table", [], site.table_z)]
    things += [(box.name, [corners], -np.inf) for box, corners in zip(site.boxes, site.corners, strict=False)]
    for name, boxes, table_z in things:
        for link in range(1, len(LINKS)):
            if judge.distance(where, boxes, table_z, BELOW_M, link=link) <= least + 1e-9:
                return least, (LINKS[link], name)
    return least, ("the arm", "itself")


def patient(setup: Setup) -> Setup:
    """The same with deadlines so long that a machine busy with other work stops no run; the margins stay."""
    limits = replace(setup.settings.limits, max_frame_age_s=2.0, overruns_in_row=1000, repeats_held=20)
    arm = replace(setup.arm, report_deadline_s=1.0, command_deadline_s=1.0)
    camera = replace(setup.camera, max_gap_s=2.0)
    return replace(setup, settings=replace(setup.settings, watchdog_s=1.0, limits=limits), arm=arm, camera=camera)


def figures(setup: Setup, goals: list[np.ndarray], twin: TwinParams) -> dict:
    """What came of the goals."""
    clearance = setup.clearance_as_driven
    clear, refused = without_refused(setup, goals)
    results, path = run(setup, clear, twin)
    least_m, pair = nearest(path, Site(clearance.obstacles, clearance.table_z_m, clearance.tool), Judge(clearance.tool))
    return {
        "goals": len(goals),
        "reached": sum(result.residual_m <= REACHED_M for result in results),
        "refused": refused,
        "stopped": [str(result.stop) for result in results if result.stop is not None],
        "missed_mm": [round(1e3 * r.residual_m, 1) for r in results if r.stop is None and r.residual_m > REACHED_M],
        "least_mm": round(1e3 * least_m, 1),
        "pair": pair,
        "margin_mm": 1e3 * clearance.params.margin_m,
        "postures": len(path),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--goals", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--site", type=Path, default=SITE)
    parser.add_argument("--patient", action="store_true", help="deadlines for a machine that is busy with other work")
    parser.add_argument("--into", type=Path, default=INTO)
    args = parser.parse_args()
    setup = Setup.load(Rig.load(), RuntimeParams.load(), site=SiteParams.load(args.site))
    setup = replace(setup, arm=replace(setup.arm, slow_speed_m_s=0.25))
    setup = patient(setup) if args.patient else setup
    sampler, rng = GoalSampler(setup.site_rig, setup.fence, RADIUS_M), np.random.default_rng(args.seed)
    found = figures(setup, [sampler.sample(rng) for _ in range(args.goals)], TwinParams.load())
    args.into.mkdir(parents=True, exist_ok=True)
    (args.into / "metrics.json").write_text(json.dumps(found | {"seed": args.seed}, indent=2) + "\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
