"""Measures the calibration: on hidden twins, spoiled captures and real frames, and beside what else is there.

  python -m pipelines.calibrate.study                     all cases, into results/calibration
  python -m pipelines.calibrate.study --twins 3 --fresh   fewer, and nothing kept of an earlier run

Every case is kept as soon as it is measured (cases.jsonl), and the same command continues with the remaining cases.
Distances of a pose are the largest displacement over the workspace's corners and middle. Real frames are measured where
the variable REAL_FRAMES names their folder: ``halves_mm`` is how far apart two halves of them, calibrated separately,
place the flange (the median of its places; ``halves_worst_mm``, the largest; ``halves_workspace_mm``, as for twins).
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from datasets.arm.kinematics import Kinematics
from datasets.common.cli import CommandParser, command_line, require_writable_folder
from datasets.common.errors import Sim2RealError
from datasets.common.files import write_whole
from datasets.rig.projection import Array, invert, transform
from datasets.rig.rig import Rig
from perception.calibration.captures import NO_TOOL, Captures
from perception.calibration.depth_noise import measure_noise
from perception.calibration.registration.arm_view import ArmView
from perception.calibration.registration.motion import displacement, places, standard_deviation
from perception.calibration.registration.register import register
from perception.calibration.registration.result import CalibrationError, Registration
from pipelines.calibrate.delays import delays
from pipelines.calibrate.networks import Sighting, locate_camera
from pipelines.capture.moves import film_moves
from pipelines.capture.postures import choose_postures
from pipelines.setup.devices import DeviceNames, open_devices
from pipelines.setup.settings import RuntimeParams
from pipelines.setup.setup import PROPORTIONAL, Setup
from pipelines.twin.hidden.captures import Spoil, hidden_captures, spoiled
from pipelines.twin.hidden.truth import Truth
from pipelines.twin.settings import TwinParams

PROG = "pipelines.calibrate.study"
OUT = Path("results/calibration")
VARIABLE = "REAL_FRAMES"
REAL = "xarm7_realsense"
HALVES = ((0, 1, 2), (3, 4))
POSTURES = 10
FIRST_SEED = 1000
"""First seed of the hidden twins; none of these seeds was used while the calibration was developed."""
LATENCY_ROUNDS = 4
PEERS = {"roboreg": "measured beside this by `python -m studies.peers --only registration`, in results/peers"}

Row = dict[str, Any]


class Study:
    """All cases by name; each gives plain figures, or the reason why there are none."""

    def __init__(self, twins: int) -> None:
        self._rig = Rig.load()
        self._setup = Setup.load(self._rig, RuntimeParams.load(), policy=PROPORTIONAL)
        self._places = places(self._rig.workspace)
        self._twins = twins

    def cases(self) -> Iterator[tuple[str, Callable[[], Row]]]:
        """The name of each case, and the function that measures it."""
        seeds = range(FIRST_SEED, FIRST_SEED + self._twins)
        for seed in seeds:
            yield f"hidden {seed}", partial(self._hidden, seed)
        for seed in (FIRST_SEED, FIRST_SEED + 1):
            for kind in Spoil:
                yield f"spoiled {kind} {seed}", partial(self._spoiled, kind, seed)
        for seed in seeds:
            yield f"offsets {seed}", partial(self._offsets, seed)
        if VARIABLE in os.environ:
            folder = Path(os.environ[VARIABLE]) / REAL
            yield "real with masks", partial(self._real, folder, masks=True)
            yield "real without masks", partial(self._real, folder, masks=False)
        for seed in seeds[:3]:
            yield f"latency {seed}", partial(self._latency, seed)

    def _plan(self, seed: int) -> Array:
        return choose_postures(self._rig, self._setup.fence, self._setup.clearance, POSTURES, seed)

    def _hidden(self, seed: int) -> Row:
        captures, truth = hidden_captures(seed, self._plan(seed), rig=self._rig)
        began = time.process_time()
        found = register(captures)
        row = {"seconds": time.process_time() - began, **self._off(found, truth)}
        # The depth of the joints is read at one metre, where scale and offset both contribute.
        row["scale_percent"] = 100 * abs(found.depth_scale - truth.depth_scale)
        noise = measure_noise(captures.depth, captures.postures, captures.intrinsics.fx, captures.setting.depth_unit_m)
        row["noise_percent"] = 100 * abs(noise.level / truth.depth_noise - 1)
        x, y, _ = (self._rig.workspace.low + self._rig.workspace.high) / 2
        if found.table is not None:
            height = (found.table[3] - found.table[0] * x - found.table[1] * y) / found.table[2]
            row["table_mm"] = 1e3 * abs(height - truth.table_z_m)
        return row | {"tcp": self._by_networks(captures, truth)}

    def _by_networks(self, captures: Captures, truth: Truth) -> Row:
        """The calibration that the networks give from the first frame of each posture."""
        first = np.unique(captures.postures, return_index=True)[1]
        sightings = [Sighting(captures.frames[index], captures.tcp[index]) for index in first]
        try:
            pose = locate_camera(sightings, self._setup.estimator, captures.intrinsics)[0]
        except Sim2RealError as error:
            return {"reason": str(error)}
        far, turned = displacement(pose, truth.pose, self._places)
        return {"mm": 1e3 * far, "deg": float(np.degrees(turned))}

    def _offsets(self, seed: int) -> Row:
        captures, truth = hidden_captures(seed, self._plan(seed), rig=self._rig, joint_offsets=True)
        found = register(captures)
        fitted = self._off(register(captures, start=found.t_base_camera, fit_joints=True), truth)
        return {**self._off(found, truth), "fitted_mm": fitted["mm"], "fitted_deg": fitted["deg"]}

    def _off(self, found: Registration, truth: Truth) -> Row:
        far, turned = displacement(found.t_base_camera, truth.pose, self._places)
        deviation = standard_deviation(found.covariance, self._places)
        return {"mm": 1e3 * far, "deg": float(np.degrees(turned)), "deviation_mm": 1e3 * deviation}

    def _spoiled(self, kind: Spoil, seed: int) -> Row:
        try:
            register(spoiled(kind, seed, self._plan(seed), rig=self._rig))
        except CalibrationError as error:
            return {"cause": error.cause.name, "said": str(error)}
        return {"cause": None}

    def _real(self, folder: Path, *, masks: bool) -> Row:
        """Compare two halves of the frames with each other, and the outline of all frames with the masks."""
        captures = Captures.load(folder)
        given = captures if masks else replace(captures, masks=None)
        options: dict[str, Any] = {"tool": NO_TOOL, "least_postures": 2, "most_deviation_m": 1.0}
        row: Row = {}
        try:
            whole = register(given, **options)
            published = json.loads((folder / "frames.json").read_text())["T_base_camera_published"]
            row["outline_inside"] = inside_masks(captures, whole.t_base_camera)
            row["published_outline_inside"] = inside_masks(captures, np.array(published))
            row["deviation_mm"] = 1e3 * standard_deviation(whole.covariance, self._places)
            halves = [register(given.select(np.isin(given.postures, half)), **options) for half in HALVES]
        except CalibrationError as error:
            return row | {"reason": str(error)}
        one, other = (each.t_base_camera for each in halves)
        far, turned = displacement(one, other, self._places)
        flange = Kinematics(tcp_offset_m=0.0).tcps(captures.joints)
        apart = 1e3 * np.linalg.norm(transform(other @ invert(one), flange) - flange, axis=1)
        return row | {
            "halves_mm": float(np.median(apart)),
            "halves_worst_mm": float(apart.max()),
            "halves_workspace_mm": 1e3 * far,
            "halves_deg": float(np.degrees(turned)),
        }

    def _latency(self, seed: int) -> Row:
        truth = Truth.draw(seed, self._rig)
        with open_devices(DeviceNames(), self._setup, TwinParams.load(), hidden=truth) as devices:
            devices.arm.home()
            filmed = film_moves(devices.camera, devices.arm, LATENCY_ROUNDS, seed)  # type: ignore[arg-type]  # it is an XArm
        speed = self._setup.fence.max_displacement_m * self._rig.rate_hz
        found = next(iter(delays(filmed, speed, self._setup.arm).values()))
        return {"ms": 1e3 * abs(found.mean_s - truth.latency_s), "interval_ms": 2e3 * found.error_s}


def inside_masks(captures: Captures, pose: Array) -> float:
    """Share of the arm's model, at a camera's pose (4x4), that lies within the masks of the captures."""
    k, drawn, inside = captures.intrinsics, 0, 0
    view = ArmView((k.width, k.height), tool=captures.setting.tool != NO_TOOL)
    try:
        for joints, mask in zip(captures.joints, captures.masks if captures.masks is not None else (), strict=True):
            view.place(joints)
            arm = view.draw(pose, k)[0] > 0
            drawn, inside = drawn + int(arm.sum()), inside + int((arm & mask).sum())
    finally:
        view.close()
    return inside / max(drawn, 1)


def metrics(rows: Mapping[str, Row]) -> dict[str, Any]:
    """The figures of all cases; for one that was not measured ``n`` is 0 and ``reason`` says why."""
    hidden, offsets = _of(rows, "hidden"), _of(rows, "offsets")
    spoils, latency = _of(rows, "spoiled"), _of(rows, "latency")
    tcp = [row["tcp"] for row in hidden if "tcp" in row]
    return {
        "hidden": {
            **_poses(hidden),
            "seconds": _round(np.median([row["seconds"] for row in hidden if "seconds" in row] or [0.0])),
            **_coverage(hidden),
        },
        "hidden_with_joint_offsets": {
            **_poses(offsets),
            **_coverage(offsets),
            "offsets_fitted": _poses(
                [{"mm": row["fitted_mm"], "deg": row["fitted_deg"]} for row in offsets if "fitted_mm" in row]
            ),
        },
        "spoiled": {"n": len(spoils), "refused": sum(row.get("cause") is not None for row in spoils)},
        "scale_percent": _worst(hidden, "scale_percent"),
        "latency_ms": _worst(latency, "ms"),
        "noise_percent": _worst(hidden, "noise_percent"),
        "table_mm": _worst(hidden, "table_mm"),
        "real": _real(rows, "real with masks") | {"without_masks": _real(rows, "real without masks")},
        "peers": {
            "this": _poses(hidden),
            "tcp_point_by_the_networks": _poses(tcp),
            **{name: {"n": 0, "reason": reason} for name, reason in PEERS.items()},
        },
    }


def _of(rows: Mapping[str, Row], kind: str) -> list[Row]:
    return [row for name, row in rows.items() if name.split()[0] == kind]


def _poses(rows: Sequence[Row]) -> Row:
    """The median and the largest error; ``refused`` counts the cases that gave no pose."""
    found = [row for row in rows if "mm" in row]
    if not found:
        return {"n": 0, "reason": "; ".join(sorted({row["reason"] for row in rows if "reason" in row})) or "not run"}
    mm, deg = np.array([row["mm"] for row in found]), np.array([row["deg"] for row in found])
    figures = {"median_mm": np.median(mm), "median_deg": np.median(deg), "worst_mm": mm.max(), "worst_deg": deg.max()}
    return {"n": len(found), "refused": len(rows) - len(found), **{key: _round(each) for key, each in figures.items()}}


def _coverage(rows: Sequence[Row]) -> Row:
    """The share of poses within two of their own standard deviations, and the median of error over deviation."""
    ratios = [row["mm"] / row["deviation_mm"] for row in rows if "deviation_mm" in row]
    if not ratios:
        return {}
    return {"within_two_deviations": _round(np.mean(np.array(ratios) <= 2)), "deviations": _round(np.median(ratios))}


def _worst(rows: Sequence[Row], key: str) -> float | None:
    values = [row[key] for row in rows if key in row]
    return _round(max(values)) if values else None


def _real(rows: Mapping[str, Row], name: str) -> Row:
    row = rows.get(name)
    if row is None:
        return {"n": 0, "reason": f"{VARIABLE} names no folder of real frames"}
    return {
        "n": sum(map(len, HALVES)),
        **{key: each if isinstance(each, str) else _round(each) for key, each in row.items()},
    }


def _round(value: float | np.floating[Any]) -> float:
    return float(f"{float(value):.3g}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = CommandParser(
        prog=f"python -m {PROG}", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--twins", type=int, default=10, metavar="N", help="hidden twins (default %(default)s)")
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR", help="default: %(default)s")
    parser.add_argument("--fresh", action="store_true", help="measure again what is there")
    parser.add_argument(
        "--only", default="", metavar="WORD", help="cases whose name begins so; others stay as they are"
    )
    options = parser.parse_args(arguments)
    with command_line(PROG, options):
        require_writable_folder(options.out, "--out")
        kept = options.out / "cases.jsonl"
        lines = kept.read_text().splitlines() if kept.is_file() and not options.fresh else []
        rows: dict[str, Row] = {line.pop("case"): line for line in map(json.loads, lines)}
        for name, measure in Study(options.twins).cases():
            if name in rows or not name.startswith(options.only):
                continue
            try:
                rows[name] = measure()
            except Sim2RealError as error:
                rows[name] = {"reason": str(error)}
            print(f"{name}: {rows[name]}", flush=True)
            options.out.mkdir(parents=True, exist_ok=True)
            write_whole(kept, "".join(json.dumps({"case": key, **row}) + "\n" for key, row in rows.items()))
        found = metrics(rows)
        write_whole(options.out / "metrics.json", json.dumps(found, indent=2) + "\n")
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
