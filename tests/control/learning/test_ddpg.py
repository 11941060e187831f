import numpy as np
import pytest
import torch as th
from stable_baselines3 import DDPG
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn

from control.learning.asymmetric import AsymmetricPolicy
from control.learning.ddpg import BottleneckDDPG, EpisodeNoise
from control.learning.extractors import CriticExtractor
from control.policies.features import SIZE
from control.task.env import ReachEnv


class Bottleneck(BaseFeaturesExtractor):
    """Three features that should become a position, then the goal."""

    def __init__(self, space):
        super().__init__(space, 6)
        self.net = nn.Linear(SIZE, 3)

    def forward(self, seen):
        return th.cat([self.net(seen["observation"]), seen["desired_goal"]], dim=1)


def make(algorithm, **more):
    return algorithm(
        AsymmetricPolicy,
        ReachEnv(),
        learning_starts=60,
        batch_size=32,
        action_noise=NormalActionNoise(np.zeros(3), np.full(3, 0.1)),
        policy_kwargs={
            "net_arch": [16, 16],
            "features_extractor_class": Bottleneck,
            "critic_features_extractor_class": CriticExtractor,
        },
        seed=5,
        device="cpu",
        **more,
    )


def weights(agent) -> th.Tensor:
    return nn.utils.parameters_to_vector(agent.policy.parameters())


def test_without_a_bottleneck_loss_it_is_stock_ddpg():
    stock = make(DDPG).learn(150)
    ours = make(BottleneckDDPG).learn(150)
    other = make(BottleneckDDPG, bottleneck_weight=1.0).learn(150)
    assert th.equal(weights(stock), weights(ours))
    assert not th.equal(weights(stock), weights(other))


def test_the_bottleneck_becomes_the_position_and_both_gradients_are_logged():
    agent = make(BottleneckDDPG, bottleneck_weight=10.0, gradient_log_interval=1, learning_rate=3e-3)
    seen = {}

    def error() -> float:
        data = agent.replay_buffer.sample(64)
        with th.no_grad():
            features = agent.actor.extract_features(data.observations, agent.actor.features_extractor)
        return float((features[:, :3] - data.observations["achieved_goal"]).abs().mean())

    agent.learn(100)
    before = error()
    agent.learn(400, reset_num_timesteps=False)
    seen = agent.logger.name_to_value
    assert error() < before / 2
    assert seen["train/extractor_gradient_rl"] > 0
    assert seen["train/extractor_gradient_position"] > 0


def test_the_actor_waits_for_the_critic():
    agent = make(BottleneckDDPG, actor_starts=40)
    before = nn.utils.parameters_to_vector(agent.actor.parameters()).clone()
    critic = nn.utils.parameters_to_vector(agent.critic.parameters()).clone()
    agent.learn(90)
    assert th.equal(nn.utils.parameters_to_vector(agent.actor.parameters()), before)
    assert not th.equal(nn.utils.parameters_to_vector(agent.critic.parameters()), critic)
    agent.learn(60, reset_num_timesteps=False)
    assert not th.equal(nn.utils.parameters_to_vector(agent.actor.parameters()), before)


def test_saved_and_loaded_with_its_own_settings(tmp_path):
    agent = make(BottleneckDDPG, bottleneck_weight=2.0, actor_starts=7)
    agent.save(tmp_path / "agent.zip")
    loaded = BottleneckDDPG.load(tmp_path / "agent.zip", device="cpu")
    assert (loaded.bottleneck_weight, loaded.actor_starts) == (2.0, 7)
    assert th.equal(weights(loaded), weights(agent))


def test_episodes_are_explored_with_different_noise():
    noise = EpisodeNoise(3, 0.02, 0.3)
    sizes = []
    for _ in range(200):
        noise.reset()
        sizes.append(float(noise._sigma[0]))
    assert 0.02 <= min(sizes) < 0.03
    assert 0.2 < max(sizes) <= 0.3
    assert np.median(sizes) == pytest.approx(np.sqrt(0.02 * 0.3), rel=0.4)
