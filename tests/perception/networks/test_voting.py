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


def test_where_cells_disagree_the_mode_is_one_of_the_places_and_the_mean_is_none() -> None:
    net = build_backbone("voting:16x1+mode", 7, SIZE, 0.1).eval()
    votes = torch.zeros(1, 1, 3, 9)
    votes[..., 0, :5], votes[..., 0, 5:] = 0.3, -0.3
    votes[..., 1, :] = torch.linspace(-0.005, 0.005, 9)
    scores = torch.zeros(1, 1, 9)
    mean = votes.mean(-1)
    found = net._mode(scores, votes, mean)[0, 0]  # the law of the search itself, whatever a network votes
    assert abs(mean[0, 0, 0]) < 0.04
    assert abs(found[0] - 0.3) < 1e-3
    assert abs(found[1]) < 0.004


def test_in_training_the_answer_is_the_mean_and_in_use_the_mode() -> None:
    answers = []
    for name in ("voting:16x1", "voting:16x1+mode"):
        torch.manual_seed(0)
        net = build_backbone(name, 7, SIZE, 0.1)
        answers.append((net.train()(view()).xyz, net.eval()(view()).xyz))
    (mean, used_mean), (trained, mode) = answers
    torch.testing.assert_close(trained, mean)
    assert not torch.allclose(mode, used_mean)


def test_the_mode_is_exported_as_it_is_computed(tmp_path) -> None:
    torch.manual_seed(0)
    locator = Locator(LookSettings("fovea", "voting:16x1+mode", "rgbd", 84)).eval()
    inputs = zero_inputs(locator.settings)
    inputs["rgb"] = torch.randint(0, 255, inputs["rgb"].shape, dtype=torch.uint8)
    with torch.no_grad():
        xyz, _ = graph(locator)(*inputs.values())
    export_look(locator, tmp_path / "fovea.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "fovea.onnx", providers=["CPUExecutionProvider"])
    (exported,) = session.run(["xyz"], {name: value.numpy() for name, value in inputs.items()})
    assert np.allclose(exported, xyz.numpy(), atol=1e-5)


def locator_pixels(inputs):
    return Pixels(*(inputs[name] for name in ("rgb", "depth", "columns", "rows", "intrinsics")))
