"""Networks that find a point in a view, by name.

``voting[:WIDTHxBLOCKS[+context][+mode]]``, ``conv3`` and ``timm:NAME``.
"""

from torch import nn

from datasets.common.errors import ConfigError
from perception.networks.answer import Answer
from perception.networks.regression import RegressionNet, conv3, timm_features
from perception.networks.voting import VotingNet

__all__ = ["Answer", "build_backbone"]


def build_backbone(name: str, channels: int, size_px: int, offset_m: float, targets: int = 1) -> nn.Module:
    """The network called ``name`` for images of ``channels`` and ``size_px`` squared; see the module's list of names.

    ``offset_m`` is the unit of its outputs. Networks other than ``voting`` answer with a single target.

    Raises:
        ConfigError: the name is unknown, or timm has no such model.
    """
    kind, _, detail = name.partition(":")
    if kind == "voting":
        return VotingNet(channels, offset_m, targets, *_voting_size(name, detail))
    if targets != 1:
        raise ConfigError(f"backbone {name!r} answers with one target only; use 'voting' for {targets}")
    if name == "conv3":
        return RegressionNet(*conv3(channels, size_px), offset_m=offset_m)
    if kind == "timm" and detail:
        return RegressionNet(*timm_features(detail, channels), offset_m=offset_m)
    raise ConfigError(
        f"backbone {name!r} is unknown; choose 'voting', 'voting:WIDTHxBLOCKS[+context][+mode]', 'conv3' or 'timm:NAME'"
    )


def _voting_size(name: str, detail: str) -> tuple[int, int, bool, bool]:
    if not detail:
        return 64, 3, False, False
    size, *more = detail.split("+")
    width, _, blocks = size.partition("x")
    positive = width.isdigit() and blocks.isdigit() and int(width) > 0 and int(blocks) > 0
    if not positive or not {*more} <= {"context", "mode"} or len({*more}) < len(more):
        raise ConfigError(f"backbone {name!r}: expected 'voting:WIDTHxBLOCKS[+context][+mode]' such as 'voting:64x3'")
    return int(width), int(blocks), "context" in more, "mode" in more
