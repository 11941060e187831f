import dataclasses
import json

import numpy as np
import pytest
import torch as th
from hypothesis import given
from hypothesis import strategies as st

from control.policies.policy import Observation
from control.policies.shipped import ActorPolicy, FusedProportionalPolicy, ProportionalPolicy, load_policy
from control.task.dynamics import DynamicsParams
from control.task.env import EnvParams, ReachEnv
from control.task.sources import TrueState
from datasets.common.errors import ModelError
from perception.estimator.estimate import PositionEstimate


def observation(xyz=(0.4, 0.0, 0.2), goal=(0.45, 0.1, 0.3), command=(0.0, 0.0, 0.0)) -> Observation:
    estimate = PositionEstimate(np.array(xyz), np.full(3, 0.003))
    return Observation(estimate, np.array(goal), np.array(command))


def test_the_shipped_actor_acts_as_the_trained_one(folder, actor, rig):
    policy, env = load_policy(folder, rig), ReachEnv(rig=rig)
    assert isinstance(policy, ActorPolicy)
    seen, _ = env.reset(seed=4)
    policy.reset()
    for _ in range(20):
        with th.no_grad():
            batch = {key: th.as_tensor(value[None]) for key, value in seen.items()}
            expected = actor(batch)[0].numpy() * rig.max_displacement_m
        action = policy.act(env.policy_observation)
        assert np.allclose(action, expected, atol=1e-6)
        seen, *_ = env.step((action / rig.max_displacement_m).astype(np.float32))


class SameAnswer:
    """Says the same whatever the pictures show."""

    def reset(self, seed):
        pass

    def estimate(self, tcp):
        return PositionEstimate(np.array([0.41, 0.02, 0.24]), np.full(3, 0.003))


def test_the_true_state_does_not_reach_the_policy(folder, rig):
    """The arm is elsewhere and moves otherwise, the estimates say the same: the action must be the same."""

    def step(source, shift_m):
        slow = EnvParams(dynamics=DynamicsParams(lag_s=(0.3, 0.3)))
        env, policy = ReachEnv(slow, source, rig), load_policy(folder, rig)
        env.reset(seed=1)
        policy.act(env.policy_observation)
        # The arm is somewhere else behind everybody's back, which no action can bring about.
        env._dynamics._path.append(env.tcp + shift_m)
        seen, *_ = env.step(np.array([0.5, 0.2, 0.1], np.float32))
        return policy.act(env.policy_observation), seen["state"], env.tcp

    (action, state, tcp), (other_action, other_state, other_tcp) = step(SameAnswer(), 0.0), step(SameAnswer(), 0.07)
    assert np.linalg.norm(other_tcp - tcp) > 0.05
    assert not np.allclose(state, other_state, atol=0.01)
    assert np.array_equal(action, other_action)
    assert not np.array_equal(step(TrueState(), 0.0)[0], step(TrueState(), 0.07)[0])


def test_reset_forgets_the_episode(folder, rig):
    policy = load_policy(folder, rig)
    first = policy.act(observation())
    for _ in range(5):
        policy.act(observation(xyz=(0.5, 0.1, 0.3), command=(0.02, 0.0, 0.0)))
    assert not np.array_equal(policy.act(observation()), first)
    policy.reset()
    assert np.array_equal(policy.act(observation()), first)


def test_after_a_held_period_a_policy_acts_as_if_it_had_seen_nothing_in_it(folder, rig):
    blind = PositionEstimate(np.array([0.4, 0.0, 0.2]), np.full(3, 1e4))
    for make in (
        lambda: load_policy(folder, rig),
        lambda: FusedProportionalPolicy(0.5, 0.025, 0.1),
        lambda: ProportionalPolicy(0.5, 0.025),
    ):
        holding, acting = make(), make()
        for policy in (holding, acting):
            policy.act(observation())
            policy.act(observation(xyz=(0.41, 0.0, 0.2), command=(0.01, 0.0, 0.0)))
        holding.hold(np.array([0.02, 0.0, 0.0]))
        acting.act(Observation(blind, np.zeros(3), np.array([0.02, 0.0, 0.0])))
        seen = observation(xyz=(0.42, 0.0, 0.2))
        np.testing.assert_allclose(holding.act(seen), acting.act(seen), atol=1e-6)


@given(xyz=st.tuples(*[st.floats(-1, 1)] * 3), gain=st.floats(0.01, 2))
def test_displacements_point_at_the_goal_and_keep_the_limit(xyz, gain):
    goal = np.array([0.4, 0.1, 0.3])
    for policy in (ProportionalPolicy(gain, 0.025), FusedProportionalPolicy(gain, 0.025, 0.1)):
        step = policy.act(observation(xyz=xyz, goal=tuple(goal)))
        wanted = goal - np.array(xyz)
        assert np.linalg.norm(step) <= 0.025 + 1e-12
        assert np.linalg.norm(np.cross(step, wanted)) < 1e-9
        assert step @ wanted >= 0


@pytest.mark.parametrize(
    ("change", "key"),
    [({"max_displacement_m": 0.05}, "max_displacement_m"), ({"rate_hz": 20.0}, "rate_hz")],
)
def test_a_policy_for_another_rig_is_refused(folder, rig, change, key):
    with pytest.raises(ModelError, match=f"another rig: {key}"):
        load_policy(folder, dataclasses.replace(rig, **change))


def test_a_camera_that_stands_elsewhere_is_no_other_rig(folder, rig):
    load_policy(folder, dataclasses.replace(rig, camera_position_m=(1.4, 0.1, 0.7)))


def test_missing_and_damaged_files_are_named(folder, rig, tmp_path):
    with pytest.raises(ModelError, match=r"policy\.json: no such policy file"):
        load_policy(tmp_path, rig)
    description = json.loads((folder / "policy.json").read_text())
    (tmp_path / "actor.onnx").write_bytes(b"no graph")
    (tmp_path / "policy.json").write_text("{")
    with pytest.raises(ModelError, match="damaged"):
        load_policy(tmp_path, rig)
    (tmp_path / "policy.json").write_text(json.dumps(description))
    with pytest.raises(ModelError, match=r"actor\.onnx: not a network"):
        load_policy(tmp_path, rig)
    (tmp_path / "policy.json").write_text(json.dumps(description | {"features": 3}))
    with pytest.raises(ModelError, match="3 features"):
        load_policy(tmp_path, rig)
