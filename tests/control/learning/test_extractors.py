"""What actor and critic compute on: relative to the goal, scaled, and each from its own keys alone."""

import numpy as np
import pytest
import torch as th

from control.learning.extractors import FAR_M, NEAR_M, ActorExtractor, CriticExtractor, StateExtractor
from control.policies.features import ESTIMATE, REST
from control.task.env import ReachEnv


@pytest.fixture(scope="module")
def task():
    """The task's observation space, and what was seen at the start of three episodes."""
    env = ReachEnv()
    seen = [env.reset(seed=seed)[0] for seed in range(3)]
    return env.observation_space, {key: th.as_tensor(np.stack([one[key] for one in seen])) for key in seen[0]}


@pytest.mark.parametrize("kind", [ActorExtractor, StateExtractor, CriticExtractor])
def test_a_batch_has_as_many_features_as_were_promised(task, kind):
    space, seen = task
    extractor = kind(space)
    assert extractor(seen).shape == (3, extractor.features_dim)


@pytest.mark.parametrize("kind", [ActorExtractor, StateExtractor, CriticExtractor])
def test_it_needs_the_keys_that_it_names_and_heeds_no_others(task, kind):
    space, seen = task
    extractor = kind(space)
    features = extractor({key: seen[key] for key in kind.KEYS})
    for key, values in seen.items():
        changed = not th.equal(extractor(seen | {key: values + 0.05}), features)
        assert changed == (key in kind.KEYS), key


def test_at_the_goal_nothing_is_left_to_go(task):
    space, seen = task
    there = seen | {"desired_goal": seen["observation"][:, REST]}
    assert not ActorExtractor(space)(there)[:, :6].any()
    there = seen | {"desired_goal": seen["achieved_goal"]}
    assert not StateExtractor(space)(there)[:, :6].any()


def test_what_is_left_to_go_counts_in_both_scales(task):
    space, seen = task
    step = th.tensor([0.004, -0.002, 0.0])
    features = ActorExtractor(space)(seen | {"desired_goal": seen["observation"][:, REST] + step})
    th.testing.assert_close(features[:, :3], (step / FAR_M).expand(3, 3), atol=1e-5, rtol=0)
    th.testing.assert_close(features[:, 3:6], th.tanh(step / NEAR_M).expand(3, 3), atol=1e-4, rtol=0)


def test_where_all_is_moved_alike_only_the_place_in_the_workspace_differs(task):
    space, seen = task
    shift = th.tensor([0.05, -0.03, 0.02])
    moved = seen["observation"].clone()
    for part in (REST, ESTIMATE):
        moved[:, part] += shift
    features = ActorExtractor(space)(seen)
    shifted = ActorExtractor(space)(seen | {"observation": moved, "desired_goal": seen["desired_goal"] + shift})
    th.testing.assert_close(shifted[:, :-3], features[:, :-3], atol=1e-4, rtol=0)
    th.testing.assert_close(shifted[:, -3:] - features[:, -3:], (shift / FAR_M).expand(3, 3), atol=1e-4, rtol=0)
