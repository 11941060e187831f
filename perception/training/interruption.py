"""Goes on with a training that was interrupted, where its parameters, frames and program are still the same."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from datasets.common.code_digest import code_digest, fingerprint
from datasets.common.config import one_line
from datasets.common.errors import ModelError
from datasets.store.store import FrameStore
from perception.training.regressor import Regressor
from perception.training.summary import FILE

LAST = "last.ckpt"
_KEY = "run"
WITHOUT_EFFECT = ("ckpt_path", "config", "curves", "fresh", "threads")
"""Arguments that change nothing in what is learnt, except that threads may change the last bit."""


def run_digest(arguments: Mapping[str, Any]) -> str:
    """Digest of what decides what a training learns: its arguments, the frames that it reads, and the program.

    Args:
        arguments: of ``perception.train fit``, as plain values. ``output`` counts as the whole path: Lightning forgets
            how good the best checkpoint was when its folder has moved.

    Raises:
        DataError: a split is missing or unfinished.
    """
    values = {key: value for key, value in arguments.items() if key not in WITHOUT_EFFECT}
    values["output"] = str(Path(arguments["output"]).resolve())
    data = arguments["data"]
    splits = [FrameStore(data["store"], data[key]).attributes for key in ("train_split", "val_split")]
    start = arguments["model"]["warm_start"]
    files = [] if start is None else [Path(start)]
    return fingerprint([values, splits, code_digest("perception.train")], *files)


def unfinished(output: Path) -> dict[str, Any] | None:
    """The last checkpoint in ``output`` if the training there did not finish, else None; empty if it is cut short.

    Raises:
        ModelError: it is not a checkpoint of Lightning's.
    """
    path = output / LAST
    if not path.is_file() or (output / FILE).is_file():
        return None
    if not zipfile.is_zipfile(path):
        return {}
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        _ = checkpoint["epoch"]
    except Exception as error:  # pickle and torch raise many types; each one means an unusable file
        raise ModelError(
            f"{path}: not a checkpoint with which a training could go on ({one_line(error)}); begin anew with --fresh"
        ) from error
    return checkpoint


def why_not_resumed(checkpoint: Mapping[str, Any], digest: str) -> str | None:
    """Why the training that left a checkpoint cannot go on as the run of ``digest``; None where it can.

    Args:
        checkpoint: from :func:`unfinished`.
        digest: the :func:`run_digest` of the training that is to go on.
    """
    if not checkpoint:
        return "left a checkpoint that is cut short"
    if digest_of(checkpoint) != digest:
        return "had other parameters, frames or code"
    if not checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["is_last_batch"]:
        return "left a checkpoint from the middle of an epoch (val_check_interval), whose batches would not follow"
    return None


def digest_of(checkpoint: Mapping[str, Any]) -> str | None:
    """The :func:`run_digest` of the training that wrote a checkpoint; None for one of an earlier version."""
    digest: str | None = checkpoint.get(_KEY, {}).get("digest")
    return digest


class Interruptible(Callback):
    """Writes into every checkpoint what is needed to go on as if there had been no interruption.

    That is the digest of the run and the state of the random numbers; Lightning keeps everything else.
    """

    def __init__(self, output: Path) -> None:
        self.digest = ""
        self._output = output
        self._random: dict[str, Any] | None = None

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add digest and random numbers."""
        assert isinstance(pl_module, Regressor)
        random = {
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all(),
            "colour": pl_module.colour.random_state,
        }
        checkpoint[_KEY] = {"digest": self.digest, "random": random}

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keep what :meth:`on_train_start` continues with; after a part of another run, this one is neither of both."""
        if digest_of(checkpoint) != self.digest:
            self.digest = ""
        self._random = checkpoint.get(_KEY, {}).get("random")

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Continue the random numbers of the checkpoint, if there was one; the folder has no finished training now.

        A training that begins anew also deletes the last checkpoint of the former one, with which it must not go on.
        """
        assert isinstance(pl_module, Regressor)
        if trainer.is_global_zero:
            (self._output / FILE).unlink(missing_ok=True)
            if trainer.ckpt_path is None:
                (self._output / LAST).unlink(missing_ok=True)
        if self._random is not None:
            torch.set_rng_state(self._random["torch"])
            if len(self._random["cuda"]) == torch.cuda.device_count():
                torch.cuda.set_rng_state_all(self._random["cuda"])
            # The loader draws once at the start of an epoch; Lightning starts the first one before this is called.
            torch.empty((), dtype=torch.int64).random_()
            pl_module.colour.random_state = self._random["colour"]
