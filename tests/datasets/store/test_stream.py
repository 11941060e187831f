"""Batches read shard by shard: every frame once, the same order for the same seed, equal shares."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.store.store import FrameStore
from datasets.store.stream import LookStream, Part, StreamLoader, share

FRAMES = 110
"""Of the store in conftest.py."""


def indices(batches) -> list[int]:
    return [int(i) for batch in batches for i in batch["tcp"][:, 0]]


def stream(store, rig, **changes) -> LookStream:
    return LookStream(FrameStore(store, "train"), **{"look": "glance", "rig": rig, "batch_size": 8, **changes})


def test_shuffled_epochs_differ_and_seeds_repeat(store, rig):
    loader = StreamLoader(stream(store, rig, seed=3), 0)
    first, second = indices(loader), indices(loader)
    assert sorted(set(first)) == sorted(first)
    assert len(first) == FRAMES // 8 * 8
    assert first != second
    again = StreamLoader(stream(store, rig, seed=3), 0)
    assert [indices(again), indices(again)] == [first, second]
    assert indices(StreamLoader(stream(store, rig, seed=4), 0)) != first


@pytest.mark.parametrize("shuffled", [True, False])
@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("workers", [0, 2])
def test_ranks_and_workers_share_the_frames(store, rig, shuffled, ranks, workers):
    seen, counts = [], set()
    for rank in range(ranks):
        part = stream(store, rig, seed=5 if shuffled else None, rank=rank, ranks=ranks)
        loader = StreamLoader(part, workers)
        batches = list(loader)
        assert len(batches) == len(loader)
        counts.add(len(batches))
        seen += indices(batches)
    assert len(counts) == 1
    assert len(set(seen)) == len(seen)
    if not shuffled:
        assert sorted(seen) == list(range(FRAMES))


def test_small_split_still_gives_a_batch(store, rig):
    assert len(indices(StreamLoader(stream(store, rig, seed=1, batch_size=64, frames=20), 0))) == 20
    assert len(indices(StreamLoader(stream(store, rig, seed=1, batch_size=64, frames=20, ranks=2), 0))) == 10


@given(st.lists(st.integers(1, 30), min_size=1, max_size=12), st.integers(1, 9))
def test_shares_cut_the_frames_without_gap_or_overlap(sizes, streams):
    starts = np.cumsum([0, *sizes])
    parts = [Part(int(a), int(b)) for a, b in itertools.pairwise(starts)]
    shares = [share(parts, k, streams) for k in range(streams)]
    assert [i for mine in shares for part in mine for i in range(part.start, part.stop)] == list(range(sum(sizes)))
    counts = [sum(part.stop - part.start for part in mine) for mine in shares]
    assert max(counts) - min(counts) <= 1
