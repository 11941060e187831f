r"""What a locator is trained on.

.. math::

    L = |x - t|_1 + w_v \,\overline{|v_i - t|_1} +
    w_\sigma \sum_k \left(\frac{|x_k - t_k|}{\sigma_k} + \log \sigma_k\right)

The first term trains the answer, the second every vote of a cell near the target, the third (Laplace's likelihood;
robust, and no gradient of it reaches the position) the uncertainty. Distances are counted in decimetres.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from perception.backbones import Answer

UNIT_M = 0.1


@dataclass(frozen=True)
class LossWeights:
    """Weights of the loss's terms.

    Attributes:
        votes: of the votes' own errors.
        sigma: of the likelihood.
        near_m: cells that see a point within this distance of the target learn to vote.
    """

    votes: float = 0.5
    sigma: float = 0.05
    near_m: float = 0.1


def position_loss(answer: Answer, target: Tensor, moved: Tensor, seen: Tensor, weights: LossWeights) -> Tensor:
    """Scalar loss of answers about targets ``(B, 3)`` m (about the view's origin).

    Args:
        answer: the network's.
        target: the TCP.
        moved: ``(B, 3)`` m, what is added to the error before the uncertainty sees it.
        seen: ``(B,)`` 1 where the TCP can be seen at all; elsewhere only the uncertainty is trained.
        weights: of the terms.
    """
    error = (answer.xyz[:, 0] - target).abs()
    share = seen / seen.sum().clamp_min(1)
    loss = (error.sum(-1) * share).sum() / UNIT_M
    if answer.votes is not None and answer.cells is not None and answer.eligible is not None:
        near = answer.eligible & ((answer.cells - target[:, :, None]).norm(dim=1) < weights.near_m)
        mask = near * seen[:, None]
        vote_error = (answer.votes[:, 0] - target[:, :, None]).abs().sum(1)
        loss = loss + weights.votes / UNIT_M * (vote_error * mask).sum() / mask.sum().clamp_min(1)
    likelihood = (answer.xyz[:, 0].detach() - target + moved).abs() * (-answer.log_sigma).exp() + answer.log_sigma
    return loss + weights.sigma * torch.nan_to_num(likelihood).sum(-1).mean()
