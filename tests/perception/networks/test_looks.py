"""Networks of one look and their losses: what each answers with, and what it follows."""

import pytest

from datasets.common.errors import ConfigError
from perception.networks import build_backbone
from views import SIZE, view


@pytest.mark.parametrize("name", ["voting", "voting:16x2", "conv3", "timm:mobilenetv3_small_050"])
@pytest.mark.parametrize("channels", [3, 7])
def test_every_backbone_answers_with_position_and_sigma(name: str, channels: int) -> None:
    answer = build_backbone(name, channels, SIZE, 0.1)(view())
    assert answer.xyz.shape == (2, 1, 3)
    assert answer.log_sigma.shape == (2, 1, 3)


@pytest.mark.parametrize("name", ["resnet", "voting:64", "voting:0x3", "timm:", "timm:no_such_net", "conv4"])
def test_an_unknown_backbone_is_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigError, match=name.partition(":")[2] or name):
        build_backbone(name, 7, SIZE, 0.1)


def test_only_voting_finds_more_than_one_target() -> None:
    assert build_backbone("voting:16x1", 7, SIZE, 0.1, targets=2)(view()).xyz.shape == (2, 2, 3)
    with pytest.raises(ConfigError, match="one target"):
        build_backbone("conv3", 7, SIZE, 0.1, targets=2)
