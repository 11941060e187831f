"""Figures of one look by itself, on the glances that the store keeps of the test splits."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from datasets.common.config import load_params
from datasets.common.errors import DataError, ModelError
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


def measure_look(run: Path, store: str, params: LocateParams) -> dict[str, Any]:
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
        camera = glance_to_camera(answer.xyz, told, within_reach=model.settings.landmarks)[:, 0]
        errors.append((transform(told, camera) - batch["tcp"]).numpy())
    return np.concatenate(errors)
