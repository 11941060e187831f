"""Measures one trained look by itself on the test splits' stored glances: ``python -m perception.baseline conv3_rgb``.

Writes ``results/perception/baselines/<name>.json``, which ``perception.evaluate`` shows beside the default estimator.
The position is found in the camera's frame and carried to the base by the pose that the estimator is told.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from datasets.config import command_line, load_params
from datasets.datamodule import FramesDataModule
from datasets.errors import ModelError
from datasets.files import write_whole
from datasets.projection import Array
from datasets.store import FrameStore
from perception.evaluate import LocateParams
from perception.first_estimate import transform
from perception.metrics import summarize
from perception.package import load_look
from perception.preprocess import Pixels, grid_coordinates
from perception.regressor import Regressor
from perception.summary import TrainingSummary

PROG = "python -m perception.baseline"
RUNS = Path("runs/perception")


def measure(run: Path, store: str, splits: tuple[str, ...], rig: str) -> dict[str, Any]:
    """Figures of the look trained in ``run``, by split.

    Raises:
        ModelError: it was trained as a fovea, which needs a first estimate: give it to ``perception.evaluate`` instead.
    """
    model = load_look(run)
    if model.settings.look != "glance":
        raise ModelError(f"{run}: only a whole view answers by itself, and this is a {model.settings.look}")
    data = FramesDataModule("glance", store, batch_size=100, rig=rig)
    figures: dict[str, Any] = {}
    for split in splits:
        if FrameStore(store, split).frames == 0:
            figures[split] = {"n": 0, "reason": "the split is empty"}
            continue
        figures[split] = summarize(_errors(model, data, split))
    summary = TrainingSummary.read(run)
    return figures | {"train": summary.__dict__}


@torch.no_grad()
def _errors(model: Regressor, data: FramesDataModule, split: str) -> Array:
    errors = []
    for batch in tqdm(data.loader(split), desc=split, unit="batch"):
        columns, rows = grid_coordinates(batch["window"], model.settings.size_px)
        pixels = Pixels(batch["rgb"], batch["depth"], columns, rows, batch["intrinsics"])
        told = batch["T_base_camera_told"]
        answer = model.locator.answer(model.locator.view(pixels, told, batch["tcp"]))
        camera = answer.xyz[:, 0] + model.locator.origin(batch["tcp"])
        errors.append((transform(told, camera) - batch["tcp"]).numpy())
    return np.concatenate(errors)


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog=PROG, description=(__doc__ or "").split("\n")[0])
    parser.add_argument("name", help="of the training run, a folder of --runs")
    parser.add_argument("--config", default="params/locate.yaml", help="names the splits (default: params/locate.yaml)")
    parser.add_argument("--store", default="data/frames", help="the frames (default: data/frames)")
    parser.add_argument("--runs", default=str(RUNS), help=f"folder of training runs (default: {RUNS})")
    options = parser.parse_args(arguments)
    with command_line(PROG):
        params = load_params(options.config, LocateParams)
        figures = measure(Path(options.runs) / options.name, options.store, params.splits, params.rig)
        path = Path(params.results) / "baselines" / f"{options.name}.json"
        write_whole(path, json.dumps(figures, indent=2) + "\n")
        for split in params.splits:
            print(split, figures[split])


if __name__ == "__main__":
    main()
