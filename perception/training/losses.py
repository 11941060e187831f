r"""What a locator is trained on.

.. math::

    L = \sum_k w_k \left( |x_k - t_k|_1 + w_v \,\overline{|v_{ki} - t_k|_1} \right) +
    w_\sigma \sum_k \left(\frac{|x_k - t_k|}{\sigma_k} + \log \sigma_k\right)

over the targets k (the TCP; for the glance also the arm's base, and landmarks where asked for). The first term trains
the answer, the second every vote of a cell near the target, the third (Laplace's likelihood; robust, and no gradient of
it reaches the position) the uncertainty. Distances are counted in decimetres.
"""

from dataclasses import dataclass

from torch import Tensor

from perception.networks import Answer

UNIT_M = 0.1


@dataclass(frozen=True)
class LossWeights:
    """Weights of the loss's terms.

    Attributes:
        votes: of the votes' own errors.
        sigma: of the likelihood.
        base: of the second target, the arm's base, relative to the TCP.
        landmarks: of each further target, likewise.
        near_m: cells that see a point within this distance of the target learn to vote.
    """

    votes: float = 0.5
    sigma: float = 0.05
    base: float = 0.3
    landmarks: float = 0.3
    near_m: float = 0.1


def position_loss(answer: Answer, targets: Tensor, seen: Tensor, weights: LossWeights) -> Tensor:
    """Scalar loss of answers about targets ``(B, K, 3)`` m (about the view's origin).

    Args:
        answer: the network's.
        targets: where they are.
        seen: ``(B,)`` 1 where the targets can be seen at all; elsewhere only the uncertainty is trained.
        weights: of the terms.
    """
    further = [weights.base, *[weights.landmarks] * targets.shape[1]]
    target_weights = targets.new_tensor([1.0, *further])[: targets.shape[1]]
    share = seen / seen.sum().clamp_min(1)
    error = (answer.xyz - targets).abs().sum(-1)
    loss = (error * share[:, None] * target_weights).sum() / UNIT_M
    if answer.votes is not None and answer.cells is not None and answer.eligible is not None:
        distance = (answer.cells[:, None] - targets[..., None]).norm(dim=2)
        mask = (distance < weights.near_m) & answer.eligible[:, None] & (seen[:, None, None] > 0)
        vote_error = ((answer.votes - targets[..., None]).abs().sum(2) * mask).sum((0, 2)) / mask.sum((0, 2)).clamp_min(
            1
        )
        loss = loss + weights.votes / UNIT_M * (vote_error * target_weights).sum()
    likelihood = (answer.xyz.detach() - targets).abs() * (-answer.log_sigma).exp() + answer.log_sigma
    return loss + weights.sigma * likelihood.sum((1, 2)).mean()
