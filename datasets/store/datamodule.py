"""The frames of one look for Lightning: shuffled training batches, and any split in a fixed order."""

from typing import Any

import pytorch_lightning as pl
import torch

from datasets.common.errors import ConfigError
from datasets.rig.rig import RIG_PATH, Rig
from datasets.store.store import FrameStore, LookName
from datasets.store.stream import LookStream, StreamLoader


class FramesDataModule(pl.LightningDataModule):
    """Streams one look of a frame store; batches are described at :data:`datasets.store.stream.Batch`.

    Every process of a distributed run reads a part of its own, so Lightning's samplers are not needed. The order of
    training batches follows ``seed_everything`` and the epoch, also after a resume.

    Args:
        store: folder or fsspec URL that ``python -m datasets.generate`` wrote.
        look: which look to train on.
        batch_size: frames per batch and process.
        workers: loader processes; 0 reads in the training process, which is fast enough for small networks.
        rig: the rig file the frames must have been drawn for.
        frames: train on only this many frames (None: all).
        train_split, val_split: names of the splits.
    """

    def __init__(
        self,
        look: LookName,
        store: str = "data/frames",
        batch_size: int = 64,
        workers: int = 0,
        rig: str = str(RIG_PATH),
        frames: int | None = None,
        train_split: str = "train",
        val_split: str = "val",
    ) -> None:
        super().__init__()
        if batch_size < 1 or workers < 0 or (frames is not None and frames < 1):
            raise ConfigError(
                f"data needs batch_size >= 1, workers >= 0 and frames >= 1, got {batch_size}, {workers} and {frames}"
            )
        self.save_hyperparameters()
        self.look: LookName = look
        self.batch_size = batch_size
        self._store, self._workers, self._rig_path, self._frames = store, workers, rig, frames
        self._train_split, self._val_split = train_split, val_split
        self._training: LookStream | None = None
        self._first_epoch = 0

    def setup(self, stage: str | None = None) -> None:
        """Check both splits before anything is trained.

        Raises:
            DataError: a split is missing, unfinished, cut short, drawn for another rig, or without the look.
        """
        if stage in (None, "fit"):
            self._stream(self._train_split, shuffled=True)
        if stage in (None, "fit", "validate"):
            self._stream(self._val_split, shuffled=False)

    def train_dataloader(self) -> StreamLoader:
        """Shuffled batches of the training split, all of one size."""
        stream = self._training = self._stream(self._train_split, shuffled=True)
        trainer = self.trainer
        # Lightning starts the first epoch after a resume before it knows its number.
        epoch = (lambda: max(trainer.current_epoch, self._first_epoch)) if trainer else None
        return StreamLoader(stream, self._workers, epoch)

    def state_dict(self) -> dict[str, int]:
        """Which epoch comes after the one that is under way, for a checkpoint."""
        return {} if self._training is None else {"next_epoch": self._training.epoch + 1}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Go on with the epoch that a checkpoint names."""
        self._first_epoch = state_dict["next_epoch"]

    def val_dataloader(self) -> StreamLoader:
        """Every frame of the validation split, in a fixed order."""
        return self.loader(self._val_split)

    def loader(self, split: str) -> StreamLoader:
        """Every frame of any split, in a fixed order."""
        return StreamLoader(self._stream(split, shuffled=False), self._workers)

    def _stream(self, split: str, shuffled: bool) -> LookStream:
        store = FrameStore(self._store, split)
        rig = Rig.load(self._rig_path)
        rank, ranks = _rank_and_ranks(self.trainer)
        seed = torch.initial_seed() % 2**63 if shuffled else None
        frames = self._frames if shuffled else None
        return LookStream(store, self.look, rig, self.batch_size, seed, rank, ranks, frames)


def _rank_and_ranks(trainer: Any) -> tuple[int, int]:
    if trainer is not None:
        return trainer.global_rank, trainer.world_size
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1
