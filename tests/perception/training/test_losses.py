"""What a locator is trained on: positions by their distance, sigma by likelihood, attention by what cells see."""

import torch

from perception.networks import Answer
from perception.training.losses import LossWeights, position_loss


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


def test_attention_is_drawn_to_cells_that_see_the_target_and_to_none_far_from_it() -> None:
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
