"""A shard is drawn and written whole, by a drawer that is kept as long as it fits."""

from dataclasses import replace

import numpy as np
import pytest

from datasets.common.errors import DataError
from datasets.generation.shards import Shard, ShardDrawer
from datasets.generation.splits import FramesParams, SplitParams, SplitPlan
from datasets.scene.randomization import CameraRandomization
from datasets.store.store import schema
from datasets.store.writer import SplitWriter


class Drawer:
    """Fills every array with the frame's number."""

    made: list["Drawer"]

    def __init__(self, plan):
        self.plan, self.closed = plan, 0

    def draw(self, index):
        columns = schema(self.plan.looks, self.plan.rig.input_px)
        return {name: np.full(column.shape, index).astype(column.dtype) for name, column in columns.items()}

    def close(self):
        self.closed += 1


@pytest.fixture
def plan(rig):
    split = SplitParams(10, 5, CameraRandomization(), looks=("glance",))
    return SplitPlan.of(FramesParams({"train": split, "val": replace(split, seed=6)}, shard_frames=4), "train", rig)


@pytest.fixture
def begun(tmp_path, plan, rig):
    """The store's place, with an empty split in it, and what draws shards into it."""
    about = {"frames": 10, "shard_frames": 4, "looks": plan.looks, "rig": rig.to_json()}
    SplitWriter.begin(str(tmp_path), plan.name, schema(plan.looks, rig.input_px), about)
    made = []

    def make(plan):
        made.append(Drawer(plan))
        return made[-1]

    return str(tmp_path), ShardDrawer(str(tmp_path), make), made


def test_each_shard_is_its_own_frames_and_marked_once_written(begun, plan):
    url, draw, _ = begun
    assert [draw(Shard(plan, index)) for index in (2, 0)] == [2, 4]
    writer = SplitWriter(url, plan.name)
    assert writer.pending() == [1]
    assert draw(Shard(plan, 1)) == 4
    writer.finish()
    assert writer.complete


def test_one_drawer_serves_all_shards_of_a_plan_and_another_plan_has_its_own(begun, plan):
    _, draw, made = begun
    for index in (0, 1):
        draw(Shard(plan, index))
    assert len(made) == 1
    draw(Shard(replace(plan, seed=99), 2))
    assert [drawer.closed for drawer in made] == [1, 0]
    assert [drawer.plan.seed for drawer in made] == [plan.seed, 99]
    for _ in range(2):
        draw.close()
    assert [drawer.closed for drawer in made] == [1, 1]


def test_a_disk_that_fails_is_told_and_leaves_the_shard_to_be_drawn(begun, plan, monkeypatch):
    url, draw, _ = begun

    def full(*given):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Drawer, "draw", full)
        with pytest.raises(DataError, match=r"shard 1 of .*No space left on device"):
            draw(Shard(plan, 1))
    assert 1 in SplitWriter(url, plan.name).pending()
