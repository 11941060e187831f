"""Streaming: every frame once, the same order for the same seed, equal shares for ranks and workers."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch

from datasets.common.errors import ConfigError, DataError
from datasets.store.datamodule import FramesDataModule
from datasets.store.store import FrameStore
from datasets.store.stream import LookStream

FRAMES = 110
"""Of the store in conftest.py."""


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


def test_seed_everything_decides_the_order(store):
    def order(seed):
        pl.seed_everything(seed)
        return indices(FramesDataModule("glance", store, batch_size=8).train_dataloader())

    assert order(1) == order(1) != order(2)


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
