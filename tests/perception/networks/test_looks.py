"""Networks, losses, augmentation and coarse estimates."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.common.errors import ConfigError
from datasets.rig.rig import Rig
from perception.networks import Answer, build_backbone
from perception.networks.locator import Locator, LookSettings
from perception.networks.preprocess import View
from perception.training.augment import AugmentSettings, ColourChange, corrupt, punch_holes
from perception.training.coarse_estimates import (
    GlanceError,
    backproject,
    draw_coarse_estimate,
    inverse_transform,
    project,
    transform,
)
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


def pictures(batch: int = 6) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rgb = torch.randint(0, 256, (batch, SIZE, SIZE, 3), dtype=torch.uint8)
    return rgb, torch.full((batch, SIZE, SIZE), 1.2), torch.full((batch, 2), 40.0)


def test_nothing_is_corrupted_unless_asked() -> None:
    rgb, depth, pixel = pictures()
    corrupted_rgb, corrupted_depth, seen = corrupt(rgb, depth, pixel, share=0.0)
    assert torch.equal(rgb, corrupted_rgb)
    assert torch.equal(depth, corrupted_depth)
    assert seen.tolist() == [1.0] * 6


def test_corrupted_frames_are_marked_and_the_originals_left_alone() -> None:
    torch.manual_seed(0)
    rgb, depth, pixel = pictures(64)
    kept_rgb, kept_depth = rgb.clone(), depth.clone()
    corrupted_rgb, corrupted_depth, seen = corrupt(rgb, depth, pixel, share=1.0)
    assert torch.equal(rgb, kept_rgb)
    assert torch.equal(depth, kept_depth)
    assert corrupted_rgb.shape == rgb.shape
    assert corrupted_depth.shape == depth.shape
    blackened = (corrupted_rgb.amax((1, 2, 3)) < 12) & (corrupted_depth.amin((1, 2)) > 0)
    assert torch.equal(seen > 0, blackened)  # colour alone may go: the point map still shows the arm


@settings(max_examples=20)
@given(u=st.floats(-30, 120), v=st.floats(-30, 120))
def test_corruption_copes_with_a_tcp_outside_the_picture(u: float, v: float) -> None:
    rgb, depth, _ = pictures(12)
    corrupt(rgb, depth, torch.tensor([[u, v]]).repeat(12, 1), share=1.0)


def test_holes_only_take_readings_away() -> None:
    depth = torch.ones(32, SIZE, SIZE)
    holed = punch_holes(depth, share=1.0)
    assert set(holed.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(punch_holes(depth, share=0.0), depth)


def test_colours_change_the_same_way_for_the_same_seed() -> None:
    rgb, _, _ = pictures(10)
    changed = []
    for _ in range(2):
        torch.manual_seed(3)
        changed.append(ColourChange(AugmentSettings(colour=1.0, group=4), seed=5)(rgb))
    assert changed[0].shape == rgb.shape
    assert changed[0].dtype == torch.uint8
    assert torch.equal(changed[0], changed[1])
    assert not torch.equal(changed[0], rgb)


def test_coarse_estimates_lie_within_their_windows_middle_pixel_unless_at_the_edge() -> None:
    intrinsics = torch.tensor([[615.0, 615, 320, 240]]).repeat(2, 1)
    window = torch.tensor([[199.5, 150.5, 96, 96], [-0.5, 150.5, 96, 96]])
    tcp = backproject(torch.tensor([[250.0, 200], [5.0, 200]]), torch.tensor([[1.1], [1.1]]), intrinsics)
    torch.manual_seed(0)
    image_px = torch.tensor([[640.0, 480.0]]).repeat(2, 1)
    estimate = draw_coarse_estimate(tcp, window, intrinsics, image_px, GlanceError(tail_share=0))
    pixel = project(estimate, intrinsics)
    assert float((pixel[0] - torch.tensor([247.5, 198.5])).abs().max()) <= 0.5
    assert abs(float(pixel[1, 0]) - 5) < 20  # the window was pushed inwards: its middle says nothing
    assert float((estimate[:, 2] - 1.1).abs().max()) < 0.05


def test_glance_errors_must_have_sizes() -> None:
    with pytest.raises(ConfigError, match="glance_error"):
        GlanceError(distance_m=-1)


def test_transforms_invert_each_other(rig: Rig) -> None:
    pose = torch.tensor(rig.t_base_camera[None])
    points = torch.randn(1, 3, dtype=torch.float64)
    np.testing.assert_allclose(transform(pose, inverse_transform(pose, points)), points, atol=1e-12)


def test_channels_are_checked(rig: Rig) -> None:
    with pytest.raises(ConfigError, match="channels"):
        Locator(LookSettings("glance", "conv3", "depth", SIZE))  # type: ignore[arg-type]
