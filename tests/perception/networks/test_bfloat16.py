"""Who computes in bfloat16: processors that have it, in perception and control alike."""

import pytest
import torch
from gymnasium import spaces

from control.learning.locators import PictureLocator
from perception.networks.bfloat16 import bfloat16_is_fast


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


@pytest.mark.parametrize("wanted", [False, True])
@pytest.mark.parametrize("fast", [False, True])
def test_an_end_to_end_network_computes_in_it_only_where_it_is_fast(wanted, fast, monkeypatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": fast})
    pictures = spaces.Dict({"image": spaces.Box(0, 255, (3, 84, 84), "uint8")})
    assert PictureLocator(pictures, bf16=wanted).bf16 is (wanted and fast)
