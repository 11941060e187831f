"""A glance that knows the arm: its landmarks are the arm's, and its options leave the default as it was."""

import numpy as np
import pytest
import torch

from datasets.arm.kinematics import Kinematics
from datasets.common.errors import ConfigError
from perception.networks import Answer, build_backbone
from perception.networks.locator import (
    Locator,
    LookSettings,
    glance_from_camera,
    glance_to_camera,
    graph,
    zero_inputs,
)
from perception.networks.preprocess import Pixels
from perception.training.landmarks import AXIS_M, frames, landmarks
from perception.training.losses import LossWeights, position_loss


def test_landmarks_are_where_the_arms_own_kinematics_have_them() -> None:
    rng, kinematics = np.random.default_rng(0), Kinematics()
    joints = rng.uniform(*kinematics.joint_limits.T, (20, 7))
    poses = np.array([kinematics.tcp_pose(each) for each in joints])
    links = frames(torch.from_numpy(joints)).numpy()
    np.testing.assert_allclose(links[:, 6, :3, 3] + 0.172 * links[:, 6, :3, 2], poses[:, :3, 3], atol=1e-9)
    elbow, wrist, axis = landmarks(torch.from_numpy(joints), torch.from_numpy(poses[:, :3, 3])).numpy().swapaxes(0, 1)
    # The user manual's dimensions: the upper arm with its shoulder's offset, the forearm, the tool's axis.
    shoulder = np.array([0.0, 0.0, 0.267])
    np.testing.assert_allclose(np.linalg.norm(elbow - shoulder, axis=1), np.hypot(0.293, 0.0525), atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(wrist - elbow, axis=1), np.hypot(0.3425, 0.0775), atol=1e-9)
    np.testing.assert_allclose(axis, poses[:, :3, 3] - AXIS_M * poses[:, :3, 2], atol=1e-9)


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


@pytest.mark.parametrize("name", ["voting:16", "voting:16x2+", "voting:16x2+more", "voting:0x2+context"])
def test_misspelt_sizes_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"WIDTHxBLOCKS\[\+context\]"):
        build_backbone(name, 7, 84, 0.1)


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


def test_attention_is_drawn_to_the_cells_that_see_the_target_and_to_none_where_nothing_is_near() -> None:
    cells = torch.tensor([[0.0, 0, 0], [0.02, 0, 0], [0.5, 0, 0]]).T[None]
    target = torch.tensor([[[0.0, 0, 0.05]]])
    weights = LossWeights(votes=0, sigma=0, attention=1.0)

    def gradient(where: torch.Tensor) -> torch.Tensor:
        scores = torch.zeros(1, 1, 3, requires_grad=True)
        none = torch.zeros(1, 1, 3)
        votes = where[..., None].expand(1, 1, 3, 3)
        answer = Answer(where, none, votes, cells, torch.ones(1, 3, dtype=torch.bool), scores)
        position_loss(answer, where, torch.ones(1), weights).backward()
        return scores.grad[0, 0]

    near = gradient(target)
    assert near[0] < near[1] < near[2]
    assert near[2] > 0
    assert float(gradient(target + 5.0).abs().max()) == 0


def test_landmarks_are_no_business_of_the_look_at_the_base() -> None:
    with pytest.raises(ConfigError, match="landmarks"):
        LookSettings("base", "voting", "rgbd", 84, landmarks=True)
