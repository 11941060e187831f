"""A split is written shard by shard, can be taken up again, and is complete only when all of it is there."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.common.errors import DataError
from datasets.store.recording import RecordingWriter
from datasets.store.store import Column
from datasets.store.writer import SplitWriter, changed_keys, found_description

COLUMNS = {"tcp": Column((3,), "float64")}


def begin(url, frames=10, rows=4, **more):
    return SplitWriter.begin(str(url), "val", COLUMNS, {"frames": frames, "shard_frames": rows, **more})


def write(writer, shard):
    rows = writer.rows(shard)
    writer.write(shard, {"tcp": np.zeros((len(rows), 3))})


@given(frames=st.integers(1, 60), rows=st.integers(1, 13))
def test_shards_hold_every_frame_once_and_in_order(tmp_path_factory, frames, rows):
    writer = begin(tmp_path_factory.mktemp("store"), frames, rows)
    assert [row for shard in writer.pending() for row in writer.rows(shard)] == list(range(frames))


def test_what_is_written_is_pending_no_more_for_any_process(tmp_path):
    writer = begin(tmp_path)
    write(writer, 1)
    assert writer.pending() == SplitWriter(str(tmp_path), "val").pending() == begin(tmp_path).pending() == [0, 2]


def test_a_split_is_complete_only_after_all_of_it_was_written_and_finished(tmp_path):
    writer = begin(tmp_path)
    for shard in (0, 1):
        write(writer, shard)
    with pytest.raises(DataError, match="1 shards are not written; run the same again"):
        writer.finish()
    assert not writer.complete
    write(writer, 2)
    assert not writer.complete
    writer.finish()
    assert SplitWriter(str(tmp_path), "val").complete


def test_other_parameters_are_refused_by_key_and_the_split_stays(tmp_path):
    write(begin(tmp_path, scene={"light": [1, 2], "seed": 5}), 0)
    with pytest.raises(DataError, match=r"drawn with other parameters \(scene\.seed\)"):
        begin(tmp_path, scene={"light": (1, 2), "seed": 6})
    assert SplitWriter(str(tmp_path), "val").pending() == [1, 2]


def test_tuples_and_lists_are_the_same_parameters(tmp_path):
    begin(tmp_path, looks=("glance", "fovea"))
    same = {"frames": 10, "shard_frames": 4, "looks": ["glance", "fovea"]}
    assert changed_keys(str(tmp_path), "val", same) == []


def test_where_nothing_lies_nothing_is_found_and_nothing_made(tmp_path):
    assert found_description(str(tmp_path), "val") is None
    assert changed_keys(str(tmp_path), "val", {"frames": 1}) == []
    assert list(tmp_path.iterdir()) == []


def test_progress_is_no_part_of_what_a_split_was_drawn_with(tmp_path):
    writer = begin(tmp_path, frames=4)
    before = found_description(str(tmp_path), "val")
    write(writer, 0)
    writer.finish()
    assert found_description(str(tmp_path), "val") == before


def test_a_recording_is_taken_for_no_split(tmp_path, rig):
    RecordingWriter(str(tmp_path), "val", rig).close()
    with pytest.raises(DataError, match="is a recording; choose another name"):
        begin(tmp_path)
