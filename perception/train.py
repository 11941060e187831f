"""Trains one look: ``python -m perception.train fit --config params/perception_glance.yaml``.

A LightningCLI: every value of the parameter file is an argument of :class:`perception.training.regressor.Regressor`, of
:class:`datasets.store.datamodule.FramesDataModule` or of Lightning's ``Trainer``, and can be given on the command line
too (``--model.learning_rate 1e-3 --trainer.max_epochs 2``). A training that was interrupted goes on after its last
whole epoch when it is called again with the same parameters, frames and code, and ends as if it had run through (to the
last bit with the same ``--threads``); ``--fresh`` begins anew. With other parameters, such as more epochs,
``--ckpt_path last`` goes on from what is there.
"""

import logging
import os
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # before torch and the other training packages are imported
    from datasets.common.training_packages import PERCEPTION, require_training

    require_training("perception.train", PERCEPTION)

import pytorch_lightning as pl
import torch
import yaml
from jsonargparse import ArgumentError, Namespace
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import ModelCheckpoint, Timer, TQDMProgressBar
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from pytorch_lightning.loggers import CSVLogger

from datasets.common.cli import NEGATIVE_NUMBER, command_line, require_writable
from datasets.common.config import one_line
from datasets.common.errors import ConfigError, ModelError
from datasets.common.files import holds_others, location
from datasets.store.datamodule import FramesDataModule
from perception.training.curves import EARLIER, keep_rows, write_curves
from perception.training.interruption import LAST, Interruptible, run_digest, unfinished, why_not_resumed
from perception.training.regressor import Regressor
from perception.training.summary import FILE, TrainingSummary

PROG = "python -m perception.train"
BEST = "best"
CONFIG = "log/config.yaml"
LOG = "log/metrics.csv"
WRITTEN = (CONFIG, LOG, f"{BEST}.ckpt", LAST, FILE)
"""What a training leaves in its folder."""


class TrainCLI(LightningCLI):
    """Adds where results go and how many threads compute; everything else is Lightning's own."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """``--output``, ``--curves`` and ``--threads``; the data's look and rig follow the model's."""
        parser._negative_number_matcher = NEGATIVE_NUMBER
        parser.add_argument("--output", type=str, default="runs/perception/look", help="folder of checkpoint and log")
        parser.add_argument("--curves", type=str, default=None, help="folder for the learning curves (CSV and PNG)")
        parser.add_argument(
            "--fresh", action="store_true", help="begin anew instead of going on with an interrupted run"
        )
        parser.add_argument("--threads", type=int, default=2, help="of torch; 1 where other work runs beside it")
        parser.link_arguments("model.look", "data.look")
        parser.link_arguments("model.rig", "data.rig")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Expand ``~``, and refuse unsuitable folders and checkpoints before anything is read."""
        super().parse_arguments(parser, args)
        subcommand = str(self.config.subcommand)
        arguments = self.config[subcommand]
        for key, value in arguments.items():
            if isinstance(value, str) and value.startswith("~"):
                arguments[key] = location(value)
        if subcommand == "fit":
            output = Path(arguments.output)
            require_own_training(output)
            require_writable(output / CONFIG, "--output")
            if arguments.curves is not None:
                require_writable(Path(arguments.curves) / f"{output.name}.csv", "--curves")
        require_checkpoint(arguments.get("ckpt_path"), Path(arguments.output))
        if subcommand == "fit" and arguments.fresh and arguments.ckpt_path is not None:
            raise ConfigError("--fresh begins anew and --ckpt_path goes on; give one of the two")

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
        self._timer = Timer()  # counts on where a stopped training goes on
        self._interruptible = Interruptible(output)
        shown = [TQDMProgressBar(refresh_rate=20)] if arguments.trainer.enable_progress_bar is not False else []
        self.trainer_defaults["callbacks"] = [checkpoint, self._timer, self._interruptible, *shown]
        if SLURMEnvironment.detect() and not asks_for_several(arguments.trainer):
            if rank := int(os.environ.get("SLURM_PROCID", 0)):
                raise ConfigError(
                    f"this is task {rank} of {os.environ['SLURM_NTASKS']} that srun started, and one process is asked "
                    "for; start one (srun --ntasks=1), or set trainer.devices and trainer.num_nodes"
                )
            kwargs["plugins"] = [LightningEnvironment()]  # Lightning takes any job for one that srun started
        try:
            trainer: pl.Trainer = super().instantiate_trainer(logger=CSVLogger(output, "", "log"), **kwargs)
        except (RuntimeError, ValueError) as error:
            raise ConfigError(f"this trainer cannot run here: {one_line(error)}") from error
        return trainer

    def before_fit(self) -> None:
        """Make sure that there are frames, and go on with a training that was interrupted in ``--output``.

        What it logged is kept: Lightning begins a new log.
        """
        self.datamodule.setup("fit")
        arguments = self.config.fit
        output = Path(arguments.output)
        digest = self._interruptible.digest = run_digest(arguments.as_dict())
        going_on = arguments.get("ckpt_path") is not None
        if not (going_on or arguments.fresh) and (found := unfinished(output)) is not None:
            if (why := why_not_resumed(found, digest)) is None:
                going_on, self.config_init.fit.ckpt_path = True, str(output / LAST)
                epochs = f"{found['epoch'] + 1} of {self.trainer.max_epochs}"
                print(f"{output}: goes on with the interrupted training after epoch {epochs}")
            else:
                print(f"{output}: begins anew, since the interrupted training {why}")
        log = output / LOG
        if not going_on:
            log.with_name(EARLIER).unlink(missing_ok=True)
        elif self.trainer.is_global_zero:
            keep_rows(log)

    def after_fit(self) -> None:
        """Leave the summary and the learning curves."""
        if not self.trainer.is_global_zero:
            return
        arguments = self.config.fit
        output, seconds = Path(arguments.output), self._timer.time_elapsed()
        TrainingSummary.of(self.trainer, self.model, arguments.seed_everything, seconds).write(output)
        if arguments.curves is not None:
            write_curves(output / LOG, Path(arguments.curves), output.name)


def asks_for_several(trainer: Namespace) -> bool:
    """Whether the arguments of Lightning's trainer ask for several processes or name a strategy."""
    return trainer.num_nodes > 1 or trainer.plugins is not None or trainer.devices not in ("auto", 1, "1", "0", [0])


def require_own_training(output: Path) -> None:
    """Raise ConfigError where a training would write over files that no training wrote."""
    try:
        found = yaml.safe_load((output / CONFIG).read_text(encoding="utf-8"))
        own = isinstance(found, dict) and found.keys() >= {"model", "data", "output"}
    except (OSError, ValueError, yaml.YAMLError):
        own = False
    names = [name for name in WRITTEN if (output / name).exists()]
    if names and not own:
        raise ConfigError(f"--output {output} {holds_others(names)}; choose another folder or move them away")


def require_checkpoint(given: str | None, output: Path) -> None:
    """Raise ModelError where the checkpoint to go on with is missing or cut short."""
    if given is None or given in ("best", "hpc"):
        return
    path = output / LAST if given == "last" else Path(given)
    if (path.exists() or given != "last") and not zipfile.is_zipfile(path):
        raise ModelError(f"{path}: checkpoint missing or cut short; start again without --ckpt_path")


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    # Lightning advises on loader workers and loggers at every start; what matters comes as an error.
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    with command_line(PROG, None):
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
