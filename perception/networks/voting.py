r"""A network whose cells vote for where the target is, each from the point that it sees.

Cell :math:`i` sees the mean valid point :math:`\bar p_i` of its pixels and answers :math:`v_i = \bar p_i + o_i`; the
position is the attention-weighted mean :math:`\sum_i a_i v_i`; with ``mode``, once trained, it is the mean of the votes
that agree. Geometry and depth come from the point map, so the network learns only which part of the arm it looks at;
noise averages over the votes.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from perception.networks.answer import Answer
from perception.networks.preprocess import View

STRIDE = 4
FEWEST_VALID = 0.25
"""Cells with a smaller fraction of valid pixels do not vote."""
DILATIONS = (1, 2, 4)
WIDE_DILATIONS = (1, 2, 4, 8)
INITIAL_LOG_SIGMA = -5.0
MODE_BANDWIDTH, MODE_STEPS = 0.4, 5
"""Width, in units of the offsets, and steps of the search for the votes' mode. Chosen on the flange's validation split:
0.06 of its parafovea's answers were off by more than 60 mm as means, 0.048 as modes; half or twice the width is worse.
"""


class VotingNet(nn.Module):
    """Two strided convolutions to a quarter of the size, residual dilated ones, and the voting head.

    Args:
        channels: of the image.
        offset_m: the unit of the offsets, m.
        targets: how many points to find; the first is the TCP.
        width: features per cell.
        blocks: dilated convolutions; their dilations cycle through 1, 2, 4.
        context: each cell also gets information on the whole view: dilations reach 8, and every block adds a function
            of the features' mean and largest values.
    """

    def __init__(
        self,
        channels: int,
        offset_m: float,
        targets: int,
        width: int,
        blocks: int,
        context: bool = False,
        mode: bool = False,
    ) -> None:
        super().__init__()
        self.channels, self.offset_m, self.targets, self.mode = channels, offset_m, targets, mode
        self.stem = nn.Sequential(_conv(channels, width // 2, stride=2), _conv(width // 2, width, stride=2))
        dilations = WIDE_DILATIONS if context else DILATIONS
        self.blocks = nn.ModuleList(_conv(width, width, dilation=dilations[i % len(dilations)]) for i in range(blocks))
        self.context = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(blocks if context else 0))
        self.head = nn.Conv2d(width, targets * 4, 1)
        self.sigma = nn.ModuleList(
            nn.Sequential(nn.Linear(width + 4, 64), nn.ReLU(), nn.Linear(64, 3)) for _ in range(targets)
        )

    def forward(self, view: View) -> Answer:
        """The answer to a batch of views."""
        features = self.stem(view.image[:, : self.channels])
        for index, block in enumerate(self.blocks):
            if self.context:
                whole = torch.cat([features.mean((2, 3)), features.amax((2, 3))], dim=1)
                features = features + self.context[index](whole)[:, :, None, None]
            features = features + block(features)
        head = self.head(features).float().flatten(2).unflatten(1, (self.targets, 4))
        filled = functional.avg_pool2d(view.valid, STRIDE).flatten(2)
        points = functional.avg_pool2d(view.points, STRIDE).flatten(2) / filled.clamp_min(1e-3)
        eligible = filled[:, 0] >= FEWEST_VALID
        votes = points[:, None] + self.offset_m * head[:, :, 1:]
        scores = head[:, :, 0].masked_fill(~eligible[:, None], -1e4)
        attention = torch.softmax(scores, dim=-1)
        xyz = (attention[:, :, None] * votes).sum(-1)
        seen = features.float().flatten(2)
        log_sigma = [
            self._log_sigma(head, seen, attention[:, k], votes[:, k], xyz[:, k], eligible)
            for k, head in enumerate(self.sigma)
        ]
        if self.mode and not self.training:
            xyz = self._mode(scores, votes, xyz)
        return Answer(xyz, torch.stack(log_sigma, dim=1), votes, points, eligible, scores)

    def _mode(self, scores: Tensor, votes: Tensor, xyz: Tensor) -> Tensor:
        """Mean shift with a Gaussian kernel from ``xyz`` ``(B, K, 3)`` m (Comaniciu and Meer, PAMI 24, 2002)."""
        width = MODE_BANDWIDTH * self.offset_m
        for _ in range(MODE_STEPS):
            near = (votes - xyz[..., None]).square().sum(2) / (2 * width**2)
            xyz = (torch.softmax(scores - near, dim=-1)[:, :, None] * votes).sum(-1)
        return xyz

    def _log_sigma(
        self, head: nn.Module, features: Tensor, attention: Tensor, votes: Tensor, xyz: Tensor, eligible: Tensor
    ) -> Tensor:
        """Log sigma from what the attended cells saw and their votes' spread; no gradient reaches the position."""
        features, attention, votes, xyz = (tensor.detach() for tensor in (features, attention, votes, xyz))
        seen = (features * attention[:, None]).sum(-1)
        # Clamped, because the ONNX exporter would drop an addition of 1e-8, and the logarithm of 0 makes sigma NaN.
        spread = (attention[:, None] * (votes - xyz[:, :, None]) ** 2).sum(-1).clamp_min(1e-8).sqrt()
        share = eligible.float().mean(-1, keepdim=True)
        log_sigma: Tensor = head(torch.cat([seen, spread.log() - INITIAL_LOG_SIGMA, share], dim=-1))
        return INITIAL_LOG_SIGMA + log_sigma


def _conv(inputs: int, outputs: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, stride, padding=dilation, dilation=dilation, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())
