r"""What a locator is trained on.

.. math::

    L = \sum_k w_k \left( |x_k - t_k|_1 + w_v \,\overline{|v_{ki} - t_k|_1} \right) +
    w_\sigma \sum_k \left(\frac{|x_k - t_k|}{\sigma_k} + \log \sigma_k\right)

over the targets k (the TCP first; :attr:`perception.networks.locator.LookSettings.targets`). The first term trains
the answer, the second every vote of a cell near the target, the third (Laplace's likelihood; robust, and no gradient of
it reaches the position) the uncertainty. Distances are counted in decimetres.
"""

from collections.abc import Sequence
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
        base: of where the arm's base is, relative to the TCP.
        landmarks: of each landmark, likewise.
        attention: of the cross-entropy between each target's attention and the cells that see it.
        spread_m: width, m, of the Gaussian in distance to the target by which cells should share the attention.
        near_m: cells that see a point within this distance of the target learn to vote.
    """

    votes: float = 0.5
    sigma: float = 0.05
    base: float = 0.3
    landmarks: float = 0.3
    attention: float = 0.0
    spread_m: float = 0.03
    near_m: float = 0.1


def position_loss(
    answer: Answer, targets: Tensor, seen: Tensor, weights: LossWeights, names: Sequence[str] = ("tcp",)
) -> Tensor:
    """Scalar loss of answers about targets ``(B, K, 3)`` m (about the view's origin).

    Args:
        answer: the network's.
        targets: where they are.
        seen: ``(B,)`` 1 where the targets can be seen at all; elsewhere only the uncertainty is trained.
        weights: of the terms.
        names: of the K targets.
    """
    by_name = {"tcp": 1.0, "base": weights.base}
    target_weights = targets.new_tensor([by_name.get(name, weights.landmarks) for name in names])
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
        if weights.attention and answer.scores is not None:
            error = _attention_error(answer.scores.log_softmax(-1), distance, mask, weights.spread_m)
            loss = loss + weights.attention * (error * target_weights).sum()
    likelihood = (answer.xyz.detach() - targets).abs() * (-answer.log_sigma).exp() + answer.log_sigma
    return loss + weights.sigma * likelihood.sum((1, 2)).mean()


def _attention_error(log_attention: Tensor, distance: Tensor, near: Tensor, spread_m: float) -> Tensor:
    """Mean cross-entropy ``(K,)`` of the attention to the cells ``near`` the target, in frames that have any."""
    far = distance.masked_fill(~near, 1e3)
    nearest = far.amin(2, keepdim=True)
    meant = (-(far**2 - nearest**2) / (2 * spread_m**2)).exp() * near
    meant = meant / meant.sum(2, keepdim=True).clamp_min(1e-6)
    seen = near.any(2)
    return -((meant * log_attention).sum(2) * seen).sum(0) / seen.sum(0).clamp_min(1)
