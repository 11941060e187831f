"""Networks of one look and their losses: what each answers with, and what it follows."""

import pytest
import torch

from datasets.common.errors import ConfigError
from datasets.rig.rig import Rig
from perception.networks import Answer, build_backbone
from perception.networks.locator import Locator, LookSettings
from perception.networks.preprocess import View
from perception.training.losses import LossWeights, position_loss

SIZE = 84


def view(batch: int = 2, valid: float = 1.0) -> View:
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(batch, 7, SIZE, SIZE, generator=generator)
    mask = torch.full((batch, 1, SIZE, SIZE), valid)
    return View(image, torch.randn(batch, 3, SIZE, SIZE, generator=generator) * mask, mask)


@pytest.mark.parametrize("name", ["voting", "voting:16x2", "conv3", "timm:mobilenetv3_small_050"])
@pytest.mark.parametrize("channels", [3, 7])
def test_every_backbone_answers_with_position_and_sigma(name: str, channels: int) -> None:
    answer = build_backbone(name, channels, SIZE, 0.1)(view())
    assert answer.xyz.shape == (2, 1, 3)
    assert answer.log_sigma.shape == (2, 1, 3)


@pytest.mark.parametrize("name", ["resnet", "voting:64", "voting:0x3", "timm:", "timm:no_such_net", "conv4"])
def test_an_unknown_backbone_is_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigError, match=name.partition(":")[2] or name):
        build_backbone(name, 7, SIZE, 0.1)


def test_only_voting_finds_more_than_one_target() -> None:
    assert build_backbone("voting:16x1", 7, SIZE, 0.1, targets=2)(view()).xyz.shape == (2, 2, 3)
    with pytest.raises(ConfigError, match="one target"):
        build_backbone("conv3", 7, SIZE, 0.1, targets=2)


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


def answer(xyz: torch.Tensor, log_sigma: torch.Tensor) -> Answer:
    return Answer(xyz[:, None], log_sigma[:, None])


def test_uncertainty_never_pulls_at_the_position() -> None:
    xyz = torch.zeros(4, 3, requires_grad=True)
    log_sigma = torch.zeros(4, 3, requires_grad=True)
    targets = torch.full((4, 1, 3), 2.0)
    unseen = position_loss(answer(xyz, log_sigma), targets, torch.zeros(4), LossWeights())
    unseen.backward()
    assert xyz.grad is None or float(xyz.grad.abs().max()) == 0
    assert log_sigma.grad is not None
    assert float(log_sigma.grad.abs().min()) > 0


def test_sigma_is_best_at_the_size_of_the_error() -> None:
    def loss(sigma_m: float) -> float:
        spread = torch.full((1, 3), sigma_m).log()
        error = torch.full((1, 3), 0.02)
        none = torch.zeros(1, 1, 3)
        return float(position_loss(answer(error, spread), none, torch.ones(1), LossWeights()))

    assert loss(0.02) < loss(0.015)
    assert loss(0.02) < loss(0.03)


def test_channels_are_checked(rig: Rig) -> None:
    with pytest.raises(ConfigError, match="channels"):
        Locator(LookSettings("glance", "conv3", "depth", SIZE))  # type: ignore[arg-type]
