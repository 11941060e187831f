"""A look that sees a single cell: its votes have no spread, and its sigma must be a number all the same."""

import numpy as np
import onnxruntime
import torch

from datasets.rig.rig import Rig
from perception.networks import build_backbone
from perception.networks.export import export_look
from perception.networks.locator import (
    Locator,
    LookSettings,
    graph,
    zero_inputs,
)
from perception.networks.preprocess import Pixels
from views import SIZE, view


def test_sigma_is_a_number_when_one_cell_alone_votes(tmp_path):
    torch.manual_seed(0)
    settings = LookSettings.for_rig("fovea", "voting:16x1", "rgbd", Rig.load())
    locator = Locator(settings).eval()
    inputs = zero_inputs(settings)
    inputs["depth"] = torch.zeros_like(inputs["depth"])
    inputs["depth"][:, 40:44, 40:44] = 1.0
    inputs["columns"], inputs["rows"] = inputs["columns"] + 278, inputs["rows"] + 198
    with torch.no_grad():
        _, sigma = graph(locator)(*inputs.values())
    export_look(locator, tmp_path / "fovea.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "fovea.onnx", providers=["CPUExecutionProvider"])
    (exported,) = session.run(["sigma"], {name: value.numpy() for name, value in inputs.items()})
    assert torch.isfinite(sigma).all()
    assert np.isfinite(exported).all()
    assert np.allclose(exported, sigma.numpy(), rtol=1e-3)


def test_the_answer_follows_the_points() -> None:
    """Votes start at the points: when all points move, the same picture's answer moves along."""
    net = build_backbone("voting:16x2", 7, SIZE, 0.1).eval()
    seen = view()
    shift = torch.tensor([0.3, -0.2, 0.1])
    moved = seen._replace(points=seen.points + shift[None, :, None, None])
    torch.testing.assert_close(net(moved).xyz, net(seen).xyz + shift)


def test_without_any_reading_the_answer_is_finite() -> None:
    answer = build_backbone("voting:16x2", 7, SIZE, 0.1)(view(valid=0.0))
    assert torch.isfinite(answer.xyz).all()
    assert torch.isfinite(answer.log_sigma).all()


def test_context_reaches_every_cell_and_its_lack_does_not() -> None:
    for name, reached in (("voting:16x1", False), ("voting:16x1+context", True)):
        torch.manual_seed(0)
        locator = Locator(LookSettings("glance", name, "rgbd", 84)).eval()
        inputs = zero_inputs(locator.settings)
        view = locator.view(locator_pixels(inputs), inputs["pose"], torch.zeros(1, 3))
        before = locator.answer(view).votes
        image = view.image.clone()
        image[..., -8:, -8:] += 5.0
        after = locator.answer(view._replace(image=image)).votes
        assert bool((before[..., 0] != after[..., 0]).any()) is reached


def locator_pixels(inputs):
    return Pixels(*(inputs[name] for name in ("rgb", "depth", "columns", "rows", "intrinsics")))
