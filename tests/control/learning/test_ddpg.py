import gymnasium as gym
import numpy as np
import pytest
import torch as th
from stable_baselines3 import DDPG
from stable_baselines3.common.noise import NormalActionNoise
from torch import nn

from control.learning.asymmetric import AsymmetricPolicy
from control.learning.ddpg import BottleneckDDPG, EpisodeNoise, relocated
from control.learning.extractors import ActorExtractor, CriticExtractor
from control.policies.features import ESTIMATE, REST, SIZE
from control.task.env import ReachEnv

PX = 24
KEYS = {"features_extractor_class": ActorExtractor, "critic_features_extractor_class": CriticExtractor}


class Spots(gym.ObservationWrapper):
    """Shows the TCP as a spot, whose brightness tells how far away it is, and the pose of a camera above."""

    def __init__(self):
        super().__init__(ReachEnv())
        more = {
            "image": gym.spaces.Box(0, 255, (3, PX, PX), np.uint8),
            "camera": gym.spaces.Box(-1e4, 1e4, (16,), np.float32),
            "seen_tcp": gym.spaces.Box(-2, 2, (3,), np.float32),
        }
        self.observation_space = gym.spaces.Dict({**self.env.observation_space, **more})

    def observation(self, seen):
        tcp = seen["achieved_goal"]
        off = (np.arange(PX) + 0.5) / PX - 0.5
        spot = np.exp(-(((off - (tcp[1])) / 0.05) ** 2)) * np.exp(-(((off - (tcp[0] - 0.4)) / 0.05) ** 2))[:, None]
        image = np.broadcast_to(200 * (0.5 + tcp[2]) * spot, (3, PX, PX)).astype(np.uint8)
        pose = np.array([[0, -1, 0, 0.4], [1, 0, 0, 0], [0, 0, -1, 1.3]])
        camera = np.concatenate([pose.ravel(), [PX, PX, PX / 2, PX / 2]], dtype=np.float32)
        return seen | {"image": image, "camera": camera, "seen_tcp": tcp}

    def compute_reward(self, *args):
        return self.env.compute_reward(*args)


def make(algorithm, env=ReachEnv, locator=None, **more):
    return algorithm(
        AsymmetricPolicy,
        env(),
        learning_starts=60,
        batch_size=32,
        action_noise=NormalActionNoise(np.zeros(3), np.full(3, 0.1)),
        policy_kwargs={"net_arch": [16, 16], "normalize_images": False, "locator_kwargs": locator, **KEYS}
        if locator
        else {"net_arch": [16, 16], **KEYS},
        seed=5,
        device="cpu",
        **more,
    )


def locating(**more):
    return make(BottleneckDDPG, Spots, {"points": 4, "shift_px": 1}, **more)


def parameters(network: nn.Module) -> th.Tensor:
    return th.cat([one.detach().flatten() for one in network.parameters()])


def weights(agent) -> th.Tensor:
    return parameters(agent.policy)


def test_without_a_locator_it_is_stock_ddpg():
    stock = make(DDPG).learn(150)
    ours = make(BottleneckDDPG).learn(150)
    assert th.equal(weights(stock), weights(ours))


def test_the_bottleneck_becomes_the_position_and_both_gradients_are_logged():
    agent = locating(bottleneck_weight=10.0, gradient_log_interval=1, learning_rate=3e-3)

    def error() -> float:
        data = agent.replay_buffer.sample(64).observations
        with th.no_grad():
            position = agent.locator.eval()(data["image"], data["camera"])
        return float((position - data["seen_tcp"]).abs().mean())

    agent.learn(100)
    before = error()
    agent.learn(300, reset_num_timesteps=False)
    assert error() < before / 2
    assert agent.logger.name_to_value["train/locator_gradient_rl"] > 0
    assert agent.logger.name_to_value["train/locator_gradient_position"] > 0


def test_the_rl_gradient_moves_the_locator_too():
    """Without the bottleneck's loss nothing else could."""
    agent = locating(bottleneck_weight=0.0)
    before = parameters(agent.locator)
    agent.learn(90)
    assert not th.equal(parameters(agent.locator), before)


def test_another_position_moves_the_rest_point_by_as_much():
    rng = th.Generator().manual_seed(0)
    seen = {"observation": th.rand(5, SIZE, generator=rng), "desired_goal": th.rand(5, 3, generator=rng)}
    same = relocated(seen, seen["observation"][:, ESTIMATE])
    th.testing.assert_close(same["observation"], seen["observation"])
    by = th.rand(5, 3, generator=rng)
    moved = relocated(seen, seen["observation"][:, ESTIMATE] + by)
    for part in (REST, ESTIMATE):
        th.testing.assert_close(moved["observation"][:, part], seen["observation"][:, part] + by)
    assert th.equal(moved["observation"][:, ESTIMATE.stop :], seen["observation"][:, ESTIMATE.stop :])
    assert th.equal(moved["desired_goal"], seen["desired_goal"])


def test_the_actor_waits_for_the_critic():
    agent = make(BottleneckDDPG, actor_starts=40)
    before = parameters(agent.actor)
    critic = parameters(agent.critic)
    agent.learn(90)
    assert th.equal(parameters(agent.actor), before)
    assert not th.equal(parameters(agent.critic), critic)
    agent.learn(60, reset_num_timesteps=False)
    assert not th.equal(parameters(agent.actor), before)


def test_while_the_critic_starts_the_locator_learns_positions_alone():
    agent = locating(bottleneck_weight=10.0, actor_starts=1000)
    actor, locator = agent.actor.mu, agent.locator
    before = [parameters(one) for one in (actor, locator)]
    agent.learn(90)
    assert th.equal(parameters(actor), before[0])
    assert not th.equal(parameters(locator), before[1])


def test_saved_and_loaded_with_its_own_settings(tmp_path):
    agent = locating(bottleneck_weight=2.0, actor_starts=7)
    agent.save(tmp_path / "agent.zip")
    loaded = BottleneckDDPG.load(tmp_path / "agent.zip", device="cpu")
    assert (loaded.bottleneck_weight, loaded.actor_starts) == (2.0, 7)
    assert th.equal(weights(loaded), weights(agent))


def test_episodes_are_explored_with_different_noise():
    noise = EpisodeNoise(3, 0.02, 0.3)
    sizes = []
    for _ in range(200):
        noise.reset()
        sizes.append(float(noise._sigma[0]))  # of SB3's class, which shows it in no other way
    assert 0.02 <= min(sizes) < 0.03
    assert 0.2 < max(sizes) <= 0.3
    assert np.median(sizes) == pytest.approx(np.sqrt(0.02 * 0.3), rel=0.4)
