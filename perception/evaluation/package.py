"""Packs the trained looks into the folder that :class:`perception.estimator.estimator.PositionEstimator` loads."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from datasets.common.errors import ModelError
from datasets.common.files import read_json, write_whole
from datasets.rig.envelope import CameraEnvelope
from datasets.rig.rig import Rig
from perception.estimator.doubt import Doubt
from perception.estimator.estimator import CHANNELS, DESCRIPTION, FURTHER_GRAPHS, GRAPHS, rig_part
from perception.networks.export import export_look
from perception.networks.locator import Locator
from perception.training.regressor import Regressor

CHECKPOINT = "best.ckpt"


def load_look(run: Path, look: str | None = None) -> Regressor:
    """The best checkpoint of a training run, in evaluation mode.

    Raises:
        ModelError: there is none, it cannot be read, or it is of another look.
    """
    path = run / CHECKPOINT
    if not path.is_file():
        raise ModelError(f"{path}: no such checkpoint; run `python -m perception.train fit --config params/...` first")
    try:
        model = Regressor.load_from_checkpoint(path, map_location="cpu", weights_only=False)
    except Exception as error:  # pickle and torch raise many types; each one means an unusable file
        raise ModelError(f"{path}: not a checkpoint of this version ({error}); train again") from error
    if look is not None and model.settings.look != look:
        raise ModelError(f"{path}: was trained as the {model.settings.look}, not as the {look}")
    return model.eval()


def pack(looks: dict[str, Locator], rig: Rig, envelope: CameraEnvelope, folder: Path) -> None:
    """Write graphs and description of an estimator whose sigma is not calibrated: its factors are 1."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, locator in looks.items():
        with torch.no_grad():
            export_look(locator, folder / (GRAPHS | FURTHER_GRAPHS)[name])
    description = {
        "channels": CHANNELS,
        "rig": rig_part(rig),
        "envelope": asdict(envelope),
        "looks": {name: {"backbone": look.settings.backbone} for name, look in looks.items()},
        "sigma_scale": {},
        "versions": {name: version(name) for name in ("torch", "onnx")},
    }
    (folder / DESCRIPTION).write_text(json.dumps(description))
    describe_sigma(folder, {name: np.ones(3) for name in looks})


def describe_sigma(folder: Path, sigma_scale: Mapping[str, NDArray], doubt: Doubt | None = None) -> None:
    """Give the estimator in ``folder`` another calibration: factors on sigma per look, and which answers to doubt."""
    description = read_json(folder / DESCRIPTION)
    description["sigma_scale"] = {
        name: [round(float(value), 4) for value in scale] for name, scale in sigma_scale.items()
    }
    description.pop("doubt", None)
    if doubt is not None:
        description["doubt"] = doubt.to_json()
    write_whole(folder / DESCRIPTION, json.dumps(description, indent=2) + "\n")
