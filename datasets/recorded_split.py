"""Converts recordings to labelled frames: cut into all looks and stored as a split that training reads like any other.

``python -m datasets.recorded_split runs/real/20260807-101500 --out data/recorded --split train``
"""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np
from tqdm import tqdm

from datasets.common.cli import CommandParser, command_line, require_writable_folder
from datasets.common.cli import seed as a_seed
from datasets.common.config import load_params
from datasets.common.errors import ConfigError, DataError
from datasets.generation.splits import JITTER_TIMES, FramesParams, WindowJitter
from datasets.rig.projection import Intrinsics, invert, transform
from datasets.rig.rig import BASE_TARGET_M, RIG_PATH, Rig
from datasets.store.recording import STOPPED, Recording
from datasets.store.store import LABELS, Columns, LookName, depth_to_units, schema
from datasets.store.writer import SplitWriter, changed_keys

_LOOKS: tuple[LookName, ...] = get_args(LookName)
_SHARD_FRAMES = 250

_EPILOG = """\
The labels are the recorded ones: the TCP by the arm's encoders, the camera's calibrated pose, its intrinsics. A step
without a TCP is left out, and so is the one that a stop came at. A command that was stopped goes on where it stopped
when it is given again; a split of other recordings is refused and never written over.

examples:
  python -m datasets.recorded_split runs/real/20260807-101500 --out data/recorded --split val
  python -m datasets.recorded_split runs/real/202608* --out data/recorded --split train
then
  python -m perception.train fit --config params/perception_fovea.yaml --data.store data/recorded
"""


def cut_recordings(
    recordings: Sequence[Recording],
    url: str,
    split: str,
    rig: Rig,
    window_jitter: WindowJitter | None = None,
    seed: int = 0,
    quiet: bool = True,
) -> int:
    """Store the recordings' labelled frames, one after the other, as a split with all looks; returns their number.

    The labels are the recorded ones: the TCP by the arm's encoders and the camera's calibrated pose. The fovea's
    windows lie about the TCP's pixel as in simulation. Steps without a TCP are left out, and so is the step at which
    the run was stopped. ``scene_seed`` is the step's number in its recording: there is no scene to draw again.

    Raises:
        DataError: a recording is of another rig or holds no labelled frame, frames of another description are there,
            or the split cannot be written.
    """
    for recording in recordings:
        recording.require_rig(rig)
    labels = [{name: recording.read(name) for name in LABELS} for recording in recordings]
    steps = [
        (number, int(index))
        for number, recording in enumerate(recordings)
        for index in _labelled(recording, labels[number])
    ]
    jitter = window_jitter or WindowJitter()
    description = {
        "arm_model": "recorded",
        "recordings": [recording.where for recording in recordings],
        "frames": len(steps),
        "shard_frames": _SHARD_FRAMES,
        "looks": _LOOKS,
        "rig": rig.to_json(),
        "seed": seed,
        "window_jitter": jitter.as_plain(),
    }
    if changed := changed_keys(url, split, description):
        raise DataError(
            f"{url}/{split}: other frames are there already ({', '.join(changed[:6])} differ); "
            "choose another --split or --out"
        )
    columns = schema(_LOOKS, rig.input_px)
    writer = SplitWriter.begin(url, split, columns, description)
    pending = writer.pending()
    missing = sum(len(writer.rows(shard)) for shard in pending)
    with tqdm(total=len(steps), initial=len(steps) - missing, unit="frame", desc=split, disable=quiet) as bar:
        for shard in pending:
            rows = []
            for row in writer.rows(shard):
                number, index = steps[row]
                random = np.random.default_rng([seed, number, index])
                rows.append(_row(recordings[number], index, labels[number], rig, jitter.sample(random)))
                bar.update()
            writer.write(shard, {name: np.stack([row[name] for row in rows]) for name in columns})
    if not writer.complete:
        writer.finish()
    return len(steps)


def _labelled(recording: Recording, labels: Columns) -> np.ndarray:
    """Numbers of the steps to learn from; raises DataError if there are no labelled steps."""
    labelled = np.isfinite(labels["tcp"]).all(axis=1) & np.isfinite(labels["joints"]).all(axis=1)
    if STOPPED in recording.arrays:
        labelled &= recording.read(STOPPED) == 0
    if {"held", "estimate"} <= {*recording.arrays}:  # doubted: a hand before the gripper, a camera just knocked
        labelled &= ~((recording.read("held") > 0) & np.isfinite(recording.read("estimate")).all(axis=1))
    if not labelled.any():
        raise DataError(
            f"{recording.where}: no step has a TCP and joints recorded, besides those at which a stop came or an "
            "estimate was too uncertain; nothing to learn from"
        )
    return np.flatnonzero(labelled)


def _row(recording: Recording, index: int, labels: Columns, rig: Rig, miss_m: np.ndarray) -> Columns:
    """One row of every column; the fovea's window misses the TCP by ``miss_m`` ``(2,)``, across the view."""
    frame = recording.frame(index)
    own = {name: values[index] for name, values in labels.items()}
    k = Intrinsics.from_array(own["intrinsics"], rig.camera.width, rig.camera.height)
    point = transform(invert(own["T_base_camera"]), own["tcp"])
    windows = {
        "glance": rig.glance_window(own["T_base_camera_told"], k),
        "parafovea": rig.parafovea_window(point, k, JITTER_TIMES["parafovea"] * miss_m * k.fx / point[2]),
        "fovea": rig.fovea_window(point, k, miss_m * k.fx / point[2]),
        "base": rig.base_window(transform(invert(own["T_base_camera"]), BASE_TARGET_M), k),
    }
    row = own | {"tcp_seen": own["tcp"], "base_seen": np.array(BASE_TARGET_M)}
    row |= {"image_px": np.array([k.width, k.height], float), "scene_seed": np.array(index, np.uint64)}
    for look, window in windows.items():
        rgb, depth = frame.cut(window, rig.input_px)
        row |= {f"{look}/rgb": rgb, f"{look}/depth": depth_to_units(depth), f"{look}/window": window.as_array()}
    return row


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = CommandParser(
        prog="python -m datasets.recorded_split",
        result=True,
        description="Cut recorded runs into labelled RGB-D frames: a split that training reads like simulated ones.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("recordings", nargs="+", type=Path, metavar="RECORDING", help="folder of a recorded run")
    add("--out", required=True, metavar="FOLDER", help="folder or any fsspec URL that the split becomes a part of")
    add("--split", required=True, metavar="NAME", help="name of the split: training reads train, and judges by val")
    add("--rig", default=str(RIG_PATH), metavar="FILE", help="what was recorded with (default: %(default)s)")
    add(
        "--config",
        default="params/frames.yaml",
        metavar="FILE",
        help="its window_jitter says how far the fovea's windows lie from the TCP (default: %(default)s)",
    )
    add("--seed", type=a_seed, default=0, help="of the windows (default: %(default)s)")
    options = parser.parse_args(arguments)
    with command_line("datasets.recorded_split", options) as tell:
        if not re.fullmatch(r"\w[\w-]*", options.split):
            raise ConfigError(f"--split {options.split!r}: give a name of letters, digits, - and _, such as train")
        require_writable_folder(options.out, "--out")
        rig = Rig.load(options.rig)
        jitter = load_params(options.config, FramesParams).window_jitter
        recordings = [Recording.at(path) for path in options.recordings]
        frames = cut_recordings(recordings, options.out, options.split, rig, jitter, options.seed, quiet=False)
        tell(
            {"out": options.out, "split": options.split, "frames": frames, "recordings": len(recordings)},
            f"{options.out}/{options.split}: {frames} frames of {len(recordings)} recordings",
        )


if __name__ == "__main__":
    main()
