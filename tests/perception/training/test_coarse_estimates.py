"""Where the first look's estimate may lie that a second look is trained from."""

import numpy as np
import pytest
import torch

from datasets.common.errors import ConfigError
from datasets.rig.rig import Rig
from perception.training.coarse_estimates import (
    BESIDE,
    GlanceError,
    backproject,
    draw_coarse_estimate,
    inverse_transform,
    project,
    transform,
)


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


def test_a_coarse_estimate_of_a_tcp_far_outside_lies_beside_the_picture() -> None:
    intrinsics, image_px = torch.tensor([[615.0, 615, 320, 240]]), torch.tensor([[640.0, 480.0]])
    window = torch.tensor([[543.5, 383.5, 96, 96]])
    for aside in ([3.0, 0.0, 0.3], [-3.0, 2.0, 0.3], [0.0, -9.0, 1.0]):
        estimate = draw_coarse_estimate(torch.tensor([aside]), window, intrinsics, image_px, GlanceError(tail_share=0))
        share = project(estimate, intrinsics) / image_px
        assert float(share.min()) >= -BESIDE - 1e-4
        assert float(share.max()) <= 1 + BESIDE + 1e-4


def test_glance_errors_must_have_sizes() -> None:
    with pytest.raises(ConfigError, match="glance_error"):
        GlanceError(distance_m=-1)


def test_transforms_invert_each_other(rig: Rig) -> None:
    pose = torch.tensor(rig.t_base_camera[None])
    points = torch.randn(1, 3, dtype=torch.float64)
    np.testing.assert_allclose(transform(pose, inverse_transform(pose, points)), points, atol=1e-12)
