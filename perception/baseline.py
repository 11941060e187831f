"""Measures one trained look by itself on the test splits' stored glances: ``python -m perception.baseline conv3_rgb``.

Writes ``results/perception/baselines/<name>.json``, which ``perception.evaluate`` shows beside the default estimator.
The position is found in the camera's frame and carried to the base by the pose that the estimator is given.
"""

import json
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # before torch and the other training packages are imported
    from datasets.common.training_packages import require_training

    require_training("perception.baseline")

import numpy as np
import torch
from tqdm import tqdm

from datasets.common.cli import CommandParser, command_line, require_writable
from datasets.common.config import load_params
from datasets.common.errors import DataError, ModelError
from datasets.common.files import write_whole
from datasets.generation.splits import FramesParams, SplitPlan
from datasets.rig.projection import Array
from datasets.rig.rig import Rig
from datasets.store.datamodule import FramesDataModule
from datasets.store.store import FrameStore
from datasets.store.writer import changed_keys
from perception.evaluation.comparison import frames_digest
from perception.evaluation.metrics import summarize
from perception.evaluation.package import load_look
from perception.evaluation.params import LocateParams
from perception.networks.locator import glance_to_camera
from perception.networks.preprocess import Pixels, grid_coordinates
from perception.training.coarse_estimates import transform
from perception.training.regressor import Regressor
from perception.training.summary import TrainingSummary

PROG = "python -m perception.baseline"
RUNS = Path("runs/perception")


def measure(run: Path, store: str, params: LocateParams) -> dict[str, Any]:
    """Figures of the look trained in ``run``, by split of ``params``.

    Raises:
        ModelError: it was trained as a fovea, which needs a coarse estimate: use ``perception.evaluate`` instead.
        DataError: the store holds other frames than the parameters describe.
    """
    rig, frames = Rig.load(params.rig), load_params(params.frames, FramesParams)
    model = load_look(run)
    if model.settings.look != "glance":
        raise ModelError(f"{run}: only a whole view answers by itself, and this is a {model.settings.look}")
    data = FramesDataModule("glance", store, batch_size=100, rig=params.rig)
    filled = {name: FrameStore(store, name).frames > 0 for name in params.splits}
    for split in (name for name, any_frames in filled.items() if any_frames):
        plan = SplitPlan.of(frames, split, rig)
        if changed := changed_keys(store, split, {"arm_model": plan.randomization.arm, **plan.description()}):
            raise DataError(
                f"{store}/{split}: {', '.join(changed)} differ from {params.frames}; draw it with `dvc repro frames`"
            )
    figures: dict[str, Any] = {
        split: summarize(_errors(model, data, split)) if any_frames else {"n": 0, "reason": "the split is empty"}
        for split, any_frames in filled.items()
    }
    digest = frames_digest(frames, rig)
    return figures | {"train": TrainingSummary.read(run).__dict__, "frames": digest}


@torch.no_grad()
def _errors(model: Regressor, data: FramesDataModule, split: str) -> Array:
    errors = []
    for batch in tqdm(data.loader(split), desc=split, unit="batch"):
        columns, rows = grid_coordinates(batch["window"], model.settings.size_px)
        pixels = Pixels(batch["rgb"], batch["depth"], columns, rows, batch["intrinsics"])
        told = batch["T_base_camera_told"]
        answer = model.locator.answer(model.locator.view(pixels, told, batch["tcp"]))
        camera = glance_to_camera(answer.xyz, told)[:, 0]
        errors.append((transform(told, camera) - batch["tcp"]).numpy())
    return np.concatenate(errors)


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = CommandParser(prog=PROG, description=(__doc__ or "").split("\n")[0], result=True)
    parser.add_argument("name", help="of the training run, a folder of --runs")
    parser.add_argument("--config", default="params/locate.yaml", help="names the splits (default: params/locate.yaml)")
    parser.add_argument("--store", default="data/frames", help="the frames (default: data/frames)")
    parser.add_argument("--runs", default=str(RUNS), help=f"folder of training runs (default: {RUNS})")
    options = parser.parse_args(arguments)
    with command_line(PROG, options) as tell:
        params = load_params(options.config, LocateParams)
        path = Path(params.results) / "baselines" / f"{options.name}.json"
        require_writable(path, "results")
        figures = measure(Path(options.runs) / options.name, options.store, params)
        write_whole(path, json.dumps(figures, indent=2) + "\n")
        tell(figures, "\n".join(f"{split} {figures[split]}" for split in params.splits))


if __name__ == "__main__":
    main()
