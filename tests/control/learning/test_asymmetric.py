import numpy as np
import pytest
import torch as th
from stable_baselines3 import DDPG

from control.learning.asymmetric import AsymmetricPolicy
from control.learning.extractors import ActorExtractor, CriticExtractor
from control.task.env import EnvParams, ReachEnv

KEYS = {"features_extractor_class": ActorExtractor, "critic_features_extractor_class": CriticExtractor}


def make(**more) -> DDPG:
    return DDPG(
        AsymmetricPolicy, ReachEnv(), policy_kwargs={"net_arch": [16, 16], **KEYS, **more}, seed=0, device="cpu"
    )


def observations(count: int = 5) -> dict[str, th.Tensor]:
    env = ReachEnv()
    seen = [env.reset(seed=seed)[0] for seed in range(count)]
    return {key: th.as_tensor(np.stack([one[key] for one in seen])) for key in seen[0]}


@pytest.mark.parametrize("gain", [0.0, 40.0])
def test_the_true_state_moves_the_critic_and_never_the_actor(gain):
    policy, seen = make(gain=gain).policy, observations()
    actions = policy.actor(seen)
    for key in ("achieved_goal", "state"):
        changed = seen | {key: seen[key] + 0.05}
        assert th.equal(policy.actor(changed), actions)
        assert th.equal(policy.actor_target(changed), policy.actor_target(seen))
        assert not th.equal(policy.critic(changed, actions)[0], policy.critic(seen, actions)[0])


def test_actor_and_critic_have_extractors_of_their_own_classes():
    policy = make().policy
    for network in (policy.actor, policy.actor_target):
        assert type(network.features_extractor) is ActorExtractor
    for network in (policy.critic, policy.critic_target):
        assert type(network.features_extractor) is CriticExtractor


@pytest.mark.parametrize("gain", [0.0, 40.0])
def test_saved_and_loaded_exactly(tmp_path, gain):
    agent, seen = make(gain=gain, residual_scale=0.3), observations()
    agent.learn(150)
    agent.save(tmp_path / "agent.zip")
    agent.policy.save(str(tmp_path / "policy.pt"))
    for policy in (
        DDPG.load(tmp_path / "agent.zip", device="cpu").policy,
        AsymmetricPolicy.load(tmp_path / "policy.pt"),
    ):
        assert type(policy) is AsymmetricPolicy
        assert (policy.gain, policy.residual_scale) == (gain, 0.3)
        assert th.equal(policy.actor(seen), agent.policy.actor(seen))
        action = agent.policy.actor(seen)
        assert th.equal(policy.critic(seen, action)[0], agent.policy.critic(seen, action)[0])


def test_a_residual_actor_begins_as_the_controller_it_corrects_and_rests_at_the_goal():
    policy, seen = make(gain=40.0, residual_scale=0.5).policy, observations()
    wanted = 40.0 * (seen["desired_goal"] - seen["observation"][:, :3])
    expected = wanted / wanted.norm(dim=1, keepdim=True).clamp(min=1)
    assert th.allclose(policy.actor(seen), expected)
    with th.no_grad():
        policy.actor.mu[-2].bias.fill_(3.0)
    assert not th.allclose(policy.actor(seen), expected)
    assert th.all(policy.actor(seen).norm(dim=1) <= 1 + 1e-6)
    there = seen | {"desired_goal": seen["observation"][:, :3]}
    assert th.equal(policy.actor(there), th.zeros(5, 3))


def test_sharing_features_is_refused():
    with pytest.raises(ValueError, match="cannot share"):
        make(share_features_extractor=True)


def test_learns_with_hindsight_replay_and_sparse_rewards():
    from stable_baselines3 import HerReplayBuffer

    from control.task.rewards import RewardParams

    env = ReachEnv(EnvParams(reward=RewardParams(kind="sparse")))
    agent = DDPG(
        AsymmetricPolicy,
        env,
        replay_buffer_class=HerReplayBuffer,
        learning_starts=60,
        policy_kwargs={"net_arch": [16, 16], **KEYS},
        device="cpu",
    )
    agent.learn(120)
    assert agent.num_timesteps == 120
