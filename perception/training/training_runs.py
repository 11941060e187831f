"""Trainings as processes of their own, some side by side; finished ones are kept and stopped ones go on."""

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tqdm import tqdm

from datasets.common.errors import ConfigError, DataError, ModelError
from perception.training.summary import FILE as SUMMARY
from perception.training.summary import TrainingSummary

SETTINGS = ("model", "data", "trainer")
LAST = "last.ckpt"
POLL_S = 0.5


@dataclass(frozen=True)
class TrainingRun:
    """One training of the parameter file ``config`` with another ``seed``, in a folder of its own."""

    config: Path
    seed: int
    folder: Path

    @property
    def log(self) -> Path:
        """What the process says."""
        return self.folder / "output.log"

    def wanted(self) -> dict[str, Any]:
        """What the parameter file tells of network, frames and trainer.

        Raises:
            ConfigError: there is no such file, or it is no YAML of settings.
        """
        try:
            content = yaml.safe_load(self.config.read_text())
            return {"seed_everything": self.seed} | {key: content[key] for key in SETTINGS if key in content}
        except (OSError, yaml.YAMLError, TypeError) as error:
            reason = " ".join(str(error).split())
            raise ConfigError(f"{self.config}: not a training's parameter file ({reason})") from error

    def finished(self) -> bool:
        """Whether the folder holds a finished training by these settings."""
        try:
            TrainingSummary.read(self.folder)
        except ModelError:
            return False
        return self._same_settings()

    def begin(self, threads: int | None) -> "subprocess.Popen[bytes]":
        """Train it, or go on with it, with ``threads`` of torch or with those of the file.

        Raises:
            DataError: the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not self._same_settings():
                # What a training by other settings left must not be taken for this one's.
                for name in (SUMMARY, LAST):
                    (self.folder / name).unlink(missing_ok=True)
            with self.log.open("ab") as log:
                return subprocess.Popen(self.command(threads), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        except OSError as error:
            raise DataError(
                f"{self.folder}: cannot be written ({error}); make room or choose another --runs"
            ) from error

    def command(self, threads: int | None) -> list[str]:
        """The command that trains it, or goes on with it."""
        resumed = ["--ckpt_path", str(self.folder / LAST)] if (self.folder / LAST).is_file() else []
        return [
            *(sys.executable, "-m", "perception.train", "fit", "--config", str(self.config)),
            *("--seed_everything", str(self.seed), "--output", str(self.folder), "--curves", str(self.folder)),
            *("--trainer.enable_progress_bar", "false"),
            *(("--threads", str(threads)) if threads is not None else ()),
            *resumed,
        ]

    def epochs_done(self) -> int:
        """Epochs that the log of a running training tells of."""
        try:
            rows = (self.folder / "log" / "metrics.csv").read_text().splitlines()
        except OSError:
            return 0
        if not rows:  # just being written anew
            return 0
        place = rows[0].split(",").index("val/median_mm") if "val/median_mm" in rows[0] else None
        return 0 if place is None else sum(1 for row in rows[1:] if row.split(",")[place : place + 1] not in ([], [""]))

    def _same_settings(self) -> bool:
        try:
            kept = yaml.safe_load((self.folder / "log" / "config.yaml").read_text())
        except (OSError, yaml.YAMLError):
            return False
        return _within(self.wanted(), kept)


def _within(wanted: Any, kept: Any) -> bool:
    """Whether ``kept``, where defaults are written out, says all that ``wanted`` says."""
    if isinstance(wanted, dict):
        return isinstance(kept, dict) and all(key in kept and _within(wanted[key], kept[key]) for key in wanted)
    return bool(wanted == kept)


def train_all(runs: Sequence[TrainingRun], workers: int) -> None:
    """Train what is not finished, ``workers`` at a time; several get one thread each.

    Raises:
        ModelError: a training failed; the others are stopped, and go on when the same is run again.
    """
    waiting = [run for run in runs if not run.finished()]
    epochs = {run: int(run.wanted().get("trainer", {}).get("max_epochs", 1)) for run in waiting}
    running: dict[TrainingRun, subprocess.Popen[bytes]] = {}
    done = 0
    with tqdm(total=sum(epochs.values()), desc="training", unit="epoch", disable=not waiting) as bar:
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    run = waiting.pop(0)
                    running[run] = run.begin(1 if workers > 1 else None)
                time.sleep(POLL_S)
                for run in [run for run, process in running.items() if process.poll() is not None]:
                    _check(run, running.pop(run).returncode)
                    done += epochs[run]
                bar.n = done + sum(min(run.epochs_done(), epochs[run]) for run in running)
                bar.set_postfix_str(", ".join(f"{run.folder.name} of seed {run.seed}" for run in running))
        finally:
            for process in running.values():
                process.terminate()
            for process in running.values():
                process.wait()


def _check(run: TrainingRun, code: int) -> None:
    if code != 0 or not run.finished():
        lines = run.log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
        raise ModelError(f"training {run.folder} failed: {lines[-1]}; see {run.log}, then run the same again")
