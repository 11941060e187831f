"""The module that is trained: its parameter files, windows and warm starts."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml

from datasets.common.errors import ModelError
from datasets.rig.projection import transform
from datasets.rig.rig import RIG_PATH, Rig
from perception.training.augment import AugmentSettings
from perception.training.regressor import Regressor


@pytest.mark.parametrize(("look", "found"), [("fovea", [1.0, 0.0]), ("parafovea", [1.0, 1.0])])
def test_a_fovea_s_window_on_another_part_of_the_arm_teaches_no_position(look, found, rig) -> None:
    model = Regressor(look, "voting:8x1", augment=AugmentSettings(colour=0.0, spoilt=0.0, holes=0.0))
    model.on_fit_start()
    model.trainer = SimpleNamespace(training=True)  # type: ignore[assignment]
    near = torch.tensor([272.0, 192.0, 96.0, 96.0])
    tcp = torch.tensor(transform(rig.t_base_camera, np.array([0.0, 0.0, 1.1]))).float()
    batch = {
        "rgb": torch.zeros(2, 84, 84, 3, dtype=torch.uint8),
        "depth": torch.ones(2, 84, 84),
        "window": torch.stack([near, near + torch.tensor([130.0, 0.0, 0.0, 0.0])]),
        "intrinsics": torch.tensor([[615.0, 615.0, 320.0, 240.0]] * 2),
        "image_px": torch.tensor([[640.0, 480.0]] * 2),
        "T_base_camera": torch.tensor(rig.t_base_camera).float().expand(2, 4, 4),
        **dict.fromkeys(("tcp", "tcp_seen"), tcp.expand(2, 3)),
    }
    assert model.on_before_batch_transfer(batch, 0)["seen"].tolist() == found


def test_the_shipped_parameter_files_are_understood() -> None:
    for path in sorted(Path("params").glob("perception_*.yaml")):
        model = yaml.safe_load(path.read_text())["model"]
        assert Regressor(**model).rig == Rig.load(model.get("rig", RIG_PATH))


def test_a_warm_start_takes_what_agrees_and_leaves_the_rest(tmp_path) -> None:
    torch.manual_seed(1)
    given, path = Regressor("glance", "voting:8x2"), tmp_path / "given.ckpt"
    torch.save({"state_dict": given.state_dict()}, path)
    model = Regressor("parafovea", "voting:8x3", landmarks=True, warm_start=str(path))
    fresh = {name: weights.clone() for name, weights in model.state_dict().items()}
    model.setup("fit")
    shared = {name for name, weights in given.state_dict().items() if fresh[name].shape == weights.shape}
    assert {"locator.net.stem.0.0.weight", "locator.net.blocks.1.0.weight"} <= shared
    assert {"locator.net.head.weight", "locator.net.blocks.2.0.weight"} <= fresh.keys() - shared
    for name, weights in model.state_dict().items():
        assert torch.equal(weights, given.state_dict()[name] if name in shared else fresh[name])


def test_a_warm_start_is_for_training_alone(tmp_path) -> None:
    """A checkpoint opens where the one that its training began with is no longer at hand."""
    Regressor("glance", "voting:8x2", warm_start=str(tmp_path / "gone.ckpt")).setup("validate")


@pytest.mark.parametrize("what", ["missing", "cut short", "another network"])
def test_a_warm_start_that_gives_nothing_is_refused_by_name(what, tmp_path) -> None:
    path = tmp_path / "given.ckpt"
    if what != "missing":
        torch.save({"state_dict": Regressor("glance", "voting:16x2").state_dict()}, path)
    if what == "cut short":
        path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ModelError, match=r"given\.ckpt.*(train the look|of the same width)"):
        Regressor("fovea", "voting:8x2", warm_start=str(path)).setup("fit")
