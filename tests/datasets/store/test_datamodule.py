"""Streaming: every frame once, the same order for the same seed, equal shares for ranks and workers."""

import itertools
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from hypothesis import given
from hypothesis import strategies as st

from datasets.common.errors import ConfigError, DataError
from datasets.store.datamodule import FramesDataModule
from datasets.store.store import FrameStore, schema
from datasets.store.stream import LookStream, Part, StreamLoader, share
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


def indices(batches) -> list[int]:
    return [int(i) for batch in batches for i in batch["tcp"][:, 0]]


def stream(store, rig, **changes) -> LookStream:
    return LookStream(FrameStore(store, "train"), **{"look": "glance", "rig": rig, "batch_size": 8, **changes})


def test_batch_is_as_documented_and_rows_belong_together(store):
    module = FramesDataModule("fovea", store, batch_size=8)
    batch = next(iter(module.train_dataloader()))
    shapes = {name: (tuple(value.shape), value.dtype) for name, value in batch.items()}
    assert shapes == {
        "rgb": ((8, 84, 84, 3), torch.uint8),
        "depth": ((8, 84, 84), torch.float32),
        "window": ((8, 4), torch.float32),
        "tcp": ((8, 3), torch.float32),
        "tcp_seen": ((8, 3), torch.float32),
        "base_seen": ((8, 3), torch.float32),
        "joints": ((8, 7), torch.float32),
        "intrinsics": ((8, 4), torch.float32),
        "image_px": ((8, 2), torch.float32),
        "T_base_camera": ((8, 4, 4), torch.float32),
        "T_base_camera_told": ((8, 4, 4), torch.float32),
    }
    index = batch["tcp"][:, 0]
    assert len(set(index.tolist())) == 8
    for name, value in batch.items():
        expected = index * 1e-4 if name == "depth" else index
        torch.testing.assert_close(value.reshape(8, -1)[:, -1].float(), expected)


def test_in_order_every_frame_comes_once(store):
    module = FramesDataModule("glance", store, batch_size=32)
    loader = module.val_dataloader()
    first = indices(loader)
    assert first == list(range(FRAMES)) == indices(loader)
    assert len(loader) == 4


def test_shuffled_epochs_differ_and_seeds_repeat(store, rig):
    loader = StreamLoader(stream(store, rig, seed=3), 0)
    first, second = indices(loader), indices(loader)
    assert sorted(set(first)) == sorted(first)
    assert len(first) == FRAMES // 8 * 8
    assert first != second
    again = StreamLoader(stream(store, rig, seed=3), 0)
    assert [indices(again), indices(again)] == [first, second]
    assert indices(StreamLoader(stream(store, rig, seed=4), 0)) != first


def test_seed_everything_decides_the_order(store):
    def order(seed):
        pl.seed_everything(seed)
        return indices(FramesDataModule("glance", store, batch_size=8).train_dataloader())

    assert order(1) == order(1) != order(2)


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


class Recorder(pl.LightningModule):
    """Notes which frames each epoch gave, and fits one number so that gradients are exchanged."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.epochs: dict[int, list[int]] = {}

    def training_step(self, batch, _):
        self.epochs.setdefault(self.current_epoch, []).extend(int(i) for i in batch["tcp"][:, 0])
        return (self.weight - batch["tcp"]).abs().mean()

    def validation_step(self, batch, _):
        self.log("seen", float(len(batch["tcp"])), on_epoch=True, reduce_fx="sum", sync_dist=True)

    def on_train_epoch_end(self):
        self.log("steps", float(self.global_step), sync_dist=True)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def trainer(folder, **options) -> pl.Trainer:
    return pl.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        default_root_dir=str(folder), **options,
    )  # fmt: skip


def test_resumed_training_sees_the_epochs_of_an_uninterrupted_one(store, tmp_path):
    def fit(epochs, **more):
        pl.seed_everything(11)
        model, run = Recorder(), trainer(tmp_path, max_epochs=epochs)
        run.fit(model, FramesDataModule("glance", store, batch_size=8), **more)
        run.save_checkpoint(tmp_path / f"{epochs}.ckpt")
        return model.epochs

    whole = fit(3)
    fit(2)
    assert fit(3, ckpt_path=tmp_path / "2.ckpt", weights_only=False) == {2: whole[2]}


@pytest.mark.slow
def test_two_processes_train_together(store, tmp_path):
    line = [sys.executable, str(Path(__file__).with_name("train_by_two.py")), store, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(line, capture_output=True, text=True, env=environment, timeout=200)
    assert done.returncode == 0, done.stderr
    metrics = json.loads(done.stdout.splitlines()[-1])
    assert metrics["steps"] == 2 * (FRAMES // 2 // 8)
    assert metrics["seen"] == FRAMES


def test_what_does_not_fit_is_refused_before_training(store, rig, tmp_path):
    with pytest.raises(DataError, match="has no look 'fovea', only glance"):
        FramesDataModule("fovea", store).setup("fit")
    with pytest.raises(DataError, match=r"no frames there; .* has train, val"):
        FramesDataModule("glance", store, val_split="vla").setup("fit")
    with pytest.raises(DataError, match="another rig"):
        stream(store, replace(rig, rate_hz=20.0))
    with pytest.raises(DataError, match="110 frames cannot feed 200 processes"):
        stream(store, rig, ranks=200)
    for wrong in ({"batch_size": 0}, {"workers": -1}, {"frames": 0}):
        with pytest.raises(ConfigError, match="data needs"):
            FramesDataModule("glance", store, **wrong)
