"""A million frames need no more memory to read than ten thousand."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from datasets.store.store import schema
from datasets.store.writer import SplitWriter

SHARD = 250

READER = """
import sys
import torch
from datasets.rig.rig import Rig
from datasets.store.store import FrameStore
from datasets.store.stream import LookStream, StreamLoader

def peak_kb():  # a child inherits its parent's ru_maxrss, but not this
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))

before = peak_kb()
loader = StreamLoader(LookStream(FrameStore(sys.argv[1], "train"), "glance", Rig.load(), 64, seed=1), 0)
seen = 0
for batch in loader:
    seen += len(batch["tcp"])
    if seen >= 5_000:
        break
print(seen, (peak_kb() - before) / 1024)
"""


def store_of(folder: Path, frames: int, rig) -> str:
    """A store whose shards are all the same file, linked: full size for the reader, one shard on the disk."""
    columns = schema(("glance",), rig.input_px)
    description = {"frames": frames, "shard_frames": SHARD, "looks": ["glance"], "rig": rig.to_json()}
    writer = SplitWriter.begin(str(folder), "train", columns, description)
    rng = np.random.default_rng(0)
    writer.write(0, {n: rng.integers(0, 255, (SHARD, *c.shape)).astype(c.dtype) for n, c in columns.items()})
    for name in (*columns, "written"):
        first = next((folder / "train" / name).glob("c.0*"))
        for shard in range(1, frames // SHARD):
            os.link(first, first.with_name(first.name.replace("c.0", f"c.{shard}", 1)))
    writer.finish()
    return str(folder)


@pytest.mark.slow
def test_peak_memory_does_not_grow_with_the_number_of_frames(tmp_path, rig):
    peaks = {}
    for frames in (10_000, 1_000_000):
        url = store_of(tmp_path / str(frames), frames, rig)
        answer = subprocess.run([sys.executable, "-c", READER, url], capture_output=True, text=True, check=True)
        seen, peak_mb = answer.stdout.split()
        assert int(seen) >= 5_000
        peaks[frames] = float(peak_mb)
    assert peaks[1_000_000] < peaks[10_000] + 50, peaks
