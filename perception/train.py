"""Trains one look: ``python -m perception.train fit --config params/perception_glance.yaml``.

A LightningCLI: every value of the parameter file is an argument of :class:`perception.training.regressor.Regressor`, of
:class:`datasets.store.datamodule.FramesDataModule` or of Lightning's ``Trainer``, and can be given on the command line
too (``--model.learning_rate 1e-3 --trainer.max_epochs 2``). A run that was stopped goes on with ``--ckpt_path last``.
"""

import logging
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from jsonargparse import ArgumentError
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import ModelCheckpoint, TQDMProgressBar
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from pytorch_lightning.loggers import CSVLogger

from datasets.common.cli import command_line
from datasets.common.errors import ConfigError
from datasets.store.datamodule import FramesDataModule
from perception.training.curves import write_curves
from perception.training.regressor import Regressor
from perception.training.summary import TrainingSummary

PROG = "python -m perception.train"
BEST = "best"


class TrainCLI(LightningCLI):
    """Adds where results go and how many threads compute; everything else is Lightning's own."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """``--output``, ``--curves`` and ``--threads``; the data's look and rig follow the model's."""
        parser.add_argument("--output", type=str, default="runs/perception/look", help="folder of checkpoint and log")
        parser.add_argument("--curves", type=str, default=None, help="folder for the learning curves (CSV and PNG)")
        parser.add_argument("--threads", type=int, default=2, help="of torch; 1 where other work runs beside it")
        parser.link_arguments("model.look", "data.look")
        parser.link_arguments("model.rig", "data.rig")

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        """A trainer that logs to CSV and keeps the best and the last checkpoint in ``--output``."""
        arguments = self.config[str(self.subcommand)]
        if arguments.threads < 1:
            raise ConfigError(f"threads must be at least 1, got {arguments.threads}")
        torch.set_num_threads(arguments.threads)
        output = Path(arguments.output)
        checkpoint = ModelCheckpoint(
            output,
            BEST,
            monitor="val/median_mm",
            save_last=True,
            enable_version_counter=False,
            auto_insert_metric_name=False,
        )
        shown = arguments.trainer.enable_progress_bar is not False
        self.trainer_defaults["callbacks"] = [checkpoint, *([TQDMProgressBar(refresh_rate=20)] if shown else [])]
        trainer: pl.Trainer = super().instantiate_trainer(logger=CSVLogger(output, "", "log"), **kwargs)
        return trainer

    def before_fit(self) -> None:
        """Start the clock."""
        self._started = time.monotonic()

    def after_fit(self) -> None:
        """Leave the summary and the learning curves."""
        if not self.trainer.is_global_zero:
            return
        arguments = self.config.fit
        seconds = time.monotonic() - self._started
        TrainingSummary.of(self.trainer, self.model, arguments.seed_everything, seconds).write(Path(arguments.output))
        if arguments.curves is not None:
            log = Path(arguments.output) / "log" / "metrics.csv"
            write_curves(log, Path(arguments.curves), Path(arguments.output).name)


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    # Lightning advises on loader workers and loggers at every start; what matters comes as an error.
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    with command_line(PROG):
        try:
            TrainCLI(
                Regressor,
                FramesDataModule,
                save_config_callback=SaveConfigCallback,
                save_config_kwargs={"overwrite": True},
                seed_everything_default=0,
                # A misspelt key must not pass as the abbreviation of another.
                parser_kwargs={
                    "exit_on_error": False,
                    "allow_abbrev": False,
                    "fit": {"exit_on_error": False, "allow_abbrev": False},
                },
                trainer_defaults={"accelerator": "auto"},
                auto_configure_optimizers=False,
                args=arguments,
            )
        except (ArgumentError, MisconfigurationException) as error:
            raise ConfigError(f"{error}; `{PROG} fit --help` lists every key") from error


if __name__ == "__main__":
    main(sys.argv[1:])
