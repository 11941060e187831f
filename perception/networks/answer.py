"""The answer that every network gives."""

from typing import NamedTuple

from torch import Tensor


class Answer(NamedTuple):
    """Positions in the view's frame, about the view's origin.

    Attributes:
        xyz: ``(B, K, 3)`` m; the first of K targets is the TCP.
        log_sigma: ``(B, K, 3)``, natural logarithm of the standard deviations in m, before calibration.
        votes: ``(B, K, 3, N)`` m, what each of N cells says, or ``None`` where a network does not vote.
        cells: ``(B, 3, N)`` m, the point that each cell sees, or ``None``.
        eligible: ``(B, N)`` bool, the cells that may vote, or ``None``.
        scores: ``(B, K, N)``; their softmax over the cells is the weight of each cell's vote; or ``None``.
    """

    xyz: Tensor
    log_sigma: Tensor
    votes: Tensor | None = None
    cells: Tensor | None = None
    eligible: Tensor | None = None
    scores: Tensor | None = None
