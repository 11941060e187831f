"""The module that is trained: its parameter files, and the precision that the processor allows."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml

from datasets.rig.projection import transform
from datasets.rig.rig import RIG_PATH, Rig
from perception.training.augment import AugmentSettings
from perception.training.regressor import Regressor, bfloat16_is_fast


@pytest.mark.parametrize(
    ("has", "fast"), [({}, False), ({"avx512_bf16": True}, True), ({"amx_bf16": True, "avx512_bf16": False}, True)]
)
def test_the_processor_not_its_load_decides_the_precision(has, fast, monkeypatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has)
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        assert bfloat16_is_fast() is fast
        states.append(torch.get_rng_state())
    assert torch.equal(*states)


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
