"""A look's answers are places in the frame that it works in, and its settings are checked."""

import pytest
import torch

from datasets.common.errors import ConfigError
from datasets.rig.rig import Rig
from perception.networks.locator import (
    Locator,
    LookSettings,
    glance_from_camera,
    glance_to_camera,
    graph,
    zero_inputs,
)


def test_a_glance_with_landmarks_answers_five_points_and_is_run_alike() -> None:
    settings = LookSettings("glance", "voting:16x5+context", "rgbd", 84, landmarks=True)
    answers = graph(Locator(settings).eval())(*zero_inputs(settings, 2).values())
    assert [tuple(each.shape) for each in answers] == [(2, 5, 3)] * 2


@pytest.mark.parametrize("within_reach", [False, True])
def test_what_a_glance_answers_and_learns_is_the_same_place(rig, within_reach: bool) -> None:
    pose = torch.tensor(rig.t_base_camera)[None].repeat(2, 1, 1)
    points = torch.rand(2, 5, 3, dtype=torch.float64)
    answers = glance_from_camera(points, pose, within_reach=within_reach)
    torch.testing.assert_close(glance_to_camera(answers, pose, within_reach=within_reach), points)
    torch.testing.assert_close(torch.cdist(answers, answers), torch.cdist(points, points))


def test_a_parafovea_with_landmarks_answers_three_points_about_what_it_was_told() -> None:
    settings = LookSettings("parafovea", "voting:16x2", "rgbd", 84, landmarks=True)
    assert settings.targets == ("tcp", "wrist", "axis")
    inputs = zero_inputs(settings, 2)
    here = graph(Locator(settings).eval())
    moved = {**inputs, "pose": inputs["pose"].clone(), "estimate": inputs["estimate"].clone()}
    moved["pose"][:, :3, 3] += torch.tensor([0.1, 0.2, 0.3])
    moved["estimate"] += torch.tensor([0.1, 0.2, 0.3])
    (before, _), (after, _) = here(*inputs.values()), here(*moved.values())
    assert before.shape == (2, 3, 3)
    torch.testing.assert_close(after - before, torch.tensor([0.1, 0.2, 0.3]).expand(2, 3, 3), atol=1e-5, rtol=0)


@pytest.mark.parametrize("look", ["fovea", "base"])
def test_landmarks_are_no_business_of_fovea_and_base(look) -> None:
    with pytest.raises(ConfigError, match="landmarks"):
        LookSettings(look, "voting", "rgbd", 84, landmarks=True)


SIZE = 84


def test_channels_are_checked(rig: Rig) -> None:
    with pytest.raises(ConfigError, match="channels"):
        Locator(LookSettings("glance", "conv3", "depth", SIZE))  # type: ignore[arg-type]
