"""Recordings as labelled frames: cut into both looks and kept as a split, which training reads like any other."""

from dataclasses import asdict

import numpy as np

from datasets.common.errors import DataError
from datasets.generation.splits import WindowJitter
from datasets.rig.projection import Intrinsics, Window, invert, project, transform
from datasets.rig.rig import Rig
from datasets.store.recording import STOPPED, Recording
from datasets.store.store import LABELS, Columns, LookName, depth_to_units, schema
from datasets.store.writer import SplitWriter

_LOOKS: tuple[LookName, ...] = ("glance", "fovea")
_SHARD_FRAMES = 250


def cut_recording(
    recording: Recording, url: str, split: str, rig: Rig, window_jitter: WindowJitter | None = None, seed: int = 0
) -> int:
    """Store the recording's labelled frames as a split with both looks; how many there are.

    The labels are the recorded ones: the TCP by the arm's encoders and the camera's calibrated pose. The fovea's
    windows lie about the TCP's pixel as in simulation. Steps without a TCP are left out, and the one that a stop came
    at. ``scene_seed`` is the step's number in the recording: there is no scene to draw again.

    Raises:
        DataError: the recording is of another rig or holds no labelled frame, or the split cannot be written.
    """
    recording.require_rig(rig)
    labels = {name: recording.read(name) for name in LABELS}
    labelled = np.isfinite(labels["tcp"]).all(axis=1) & np.isfinite(labels["joints"]).all(axis=1)
    if STOPPED in recording.arrays:
        labelled &= recording.read(STOPPED) == 0
    usable = np.flatnonzero(labelled)
    if not len(usable):
        raise DataError(
            f"{recording.where}: no step has a TCP and joints recorded, besides one that a stop came at; "
            "nothing to learn from"
        )
    jitter = window_jitter or WindowJitter()
    description = {
        "arm_model": "recorded",
        "recording": recording.where,
        "frames": len(usable),
        "shard_frames": _SHARD_FRAMES,
        "looks": _LOOKS,
        "rig": rig.to_json(),
        "seed": seed,
        "window_jitter": asdict(jitter),
    }
    columns = schema(_LOOKS, rig.input_px)
    writer = SplitWriter.begin(url, split, columns, description)
    for shard in writer.pending():
        rows = [_row(recording, int(i), labels, rig, jitter, seed) for i in usable[list(writer.rows(shard))]]
        writer.write(shard, {name: np.stack([row[name] for row in rows]) for name in columns})
    if not writer.complete:
        writer.finish()
    return len(usable)


def _row(recording: Recording, index: int, labels: Columns, rig: Rig, jitter: WindowJitter, seed: int) -> Columns:
    frame = recording.frame(index)
    own = {name: values[index] for name, values in labels.items()}
    k = Intrinsics.from_array(own["intrinsics"], rig.camera.width, rig.camera.height)
    pixel = project(transform(invert(own["T_base_camera"]), own["tcp"]), k)
    pixel = pixel + jitter.sample(np.random.default_rng([seed, index]))
    window = Window.around(pixel, rig.fovea_side_px, k)
    glance_rgb, glance_depth = frame.cut(rig.glance_window, rig.input_px)
    fovea_rgb, fovea_depth = frame.cut(window, rig.input_px)
    return {
        **own,
        "glance/rgb": glance_rgb,
        "glance/depth": depth_to_units(glance_depth),
        "fovea/rgb": fovea_rgb,
        "fovea/depth": depth_to_units(fovea_depth),
        "fovea/window": window.as_array(),
        "scene_seed": np.array(index, np.uint64),
    }
