"""The module that is trained: its parameter files, and the precision that the processor allows."""

from pathlib import Path

import pytest
import torch
import yaml

from datasets.rig.rig import RIG_PATH, Rig
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


def test_the_shipped_parameter_files_are_understood() -> None:
    for path in sorted(Path("params").glob("perception_*.yaml")):
        model = yaml.safe_load(path.read_text())["model"]
        assert Regressor(**model).rig == Rig.load(model.get("rig", RIG_PATH))
