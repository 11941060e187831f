"""Networks that regress a position see the channels they are given, and count in the unit they are told."""

import pytest
import torch

from datasets.common.errors import ConfigError
from perception.networks.preprocess import View
from perception.networks.regression import INITIAL_LOG_SIGMA, RegressionNet, conv3, timm_features

SIZE = 84


def view(batch=2):
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(batch, 7, SIZE, SIZE, generator=generator)
    return View(image, torch.zeros(batch, 3, SIZE, SIZE), torch.ones(batch, 1, SIZE, SIZE))


def net(channels=3, offset_m=0.1):
    torch.manual_seed(0)
    features, width, seen = conv3(channels, SIZE)
    return RegressionNet(features, width, seen, offset_m).eval()


@pytest.mark.parametrize("channels", [3, 7])
def test_only_the_channels_it_was_made_for_are_seen(channels):
    seen, looking = view(), net(channels)
    for channel in range(7):
        image = seen.image.clone()
        image[:, channel] += 1.0
        changed = not torch.equal(looking(seen._replace(image=image)).xyz, looking(seen).xyz)
        assert changed == (channel < channels)


def test_each_picture_of_a_batch_is_answered_by_itself():
    both, looking = view(), net()
    for index in range(2):
        one = View(*(part[index : index + 1] for part in both[:3]))
        torch.testing.assert_close(looking(one).xyz[0], looking(both).xyz[index], atol=1e-5, rtol=1e-4)


def test_positions_are_counted_in_its_unit_and_sigma_is_not():
    near, far = net(offset_m=0.1)(view()), net(offset_m=0.4)(view())
    torch.testing.assert_close(far.xyz, 4 * near.xyz)
    torch.testing.assert_close(far.log_sigma, near.log_sigma)


def test_a_head_that_says_nothing_is_unsure_by_the_initial_sigma():
    looking = net()
    torch.nn.init.zeros_(looking.head.weight)
    torch.nn.init.zeros_(looking.head.bias)
    answer = looking(view())
    assert not answer.xyz.any()
    assert torch.all(answer.log_sigma == INITIAL_LOG_SIGMA)


def test_a_model_of_timm_has_the_width_that_is_told_and_is_ready_to_learn():
    features, width, channels = timm_features("mobilenetv3_small_050", 7)
    assert features.training
    assert features(view().image).shape == (2, width)
    assert channels == 7


def test_a_name_that_timm_lacks_is_refused_with_names_like_it():
    with pytest.raises(ConfigError, match=r"no model 'resnet_none'; names like it: \['.*resnet"):
        timm_features("resnet_none", 3)
