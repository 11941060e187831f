"""A store whose every number is the frame's own index."""

import numpy as np
import pytest

from datasets.store.store import schema
from datasets.store.writer import SplitWriter

FRAMES, SHARD = 110, 16


@pytest.fixture(scope="module")
def store(tmp_path_factory, rig) -> str:
    """Splits whose every number is the frame's own index."""
    url = str(tmp_path_factory.mktemp("frames"))
    for split, looks in {"train": ("glance", "fovea"), "val": ("glance",)}.items():
        columns = schema(looks, rig.input_px)
        description = {"frames": FRAMES, "shard_frames": SHARD, "looks": looks, "rig": rig.to_json()}
        writer = SplitWriter.begin(url, split, columns, description)
        for shard in writer.pending():
            rows = writer.rows(shard)
            index = np.array(rows)
            writer.write(
                shard,
                {
                    name: np.broadcast_to(index.reshape(-1, *[1] * len(c.shape)), (len(rows), *c.shape)).astype(c.dtype)
                    for name, c in columns.items()
                },
            )
        writer.finish()
    return url
