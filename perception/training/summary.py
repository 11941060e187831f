"""What a training run leaves besides its weights: how long it took, from which seed, and what it reached."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import pytorch_lightning as pl
import torch

from datasets.common.errors import ModelError
from datasets.common.files import write_whole
from perception.training.regressor import Regressor

FILE = "training.json"


@dataclass(frozen=True)
class TrainingSummary:
    """One training run; validation figures are those of the checkpoint that is kept."""

    backbone: str
    channels: str
    seed: int
    train_s: float
    steps: int
    parameters: int
    threads: int
    val_median_mm: float

    @classmethod
    def of(cls, trainer: pl.Trainer, model: Regressor, seed: int, seconds: float) -> "TrainingSummary":
        """The summary of a finished ``fit``."""
        best = getattr(trainer.checkpoint_callback, "best_model_score", None)
        return cls(
            backbone=model.settings.backbone,
            channels=model.settings.channels,
            seed=int(seed),
            train_s=round(seconds, 1),
            steps=int(trainer.global_step),
            parameters=sum(parameter.numel() for parameter in model.parameters()),
            threads=torch.get_num_threads(),
            val_median_mm=round(float("nan") if best is None else float(best), 3),
        )

    def write(self, folder: Path) -> None:
        """Write into ``folder``, whole or not at all."""
        write_whole(folder / FILE, json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def read(cls, folder: Path) -> "TrainingSummary":
        """The summary in ``folder``.

        Raises:
            ModelError: there is none, because training never finished there.
        """
        try:
            return cls(**json.loads((folder / FILE).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise ModelError(
                f"{folder / FILE}: no summary of a finished training ({error}); run `python -m perception.train fit`"
            ) from error
