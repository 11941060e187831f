"""The reward is the better the nearer the goal and the smaller the effort, and never more than nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from control.task.rewards import RewardParams, goal_term, reward_terms
from datasets.common.errors import ConfigError

points = arrays(np.float64, 3, elements=st.floats(-1, 1))
kinds = st.sampled_from(["dense", "sparse"])


@given(achieved=points, desired=points, kind=kinds, weight=st.floats(0.1, 100), success_m=st.floats(0.001, 0.5))
def test_no_place_is_worth_more_than_the_goal_itself(achieved, desired, kind, weight, success_m):
    params = RewardParams(kind, weight, success_m)
    assert goal_term(achieved, desired, params) <= goal_term(desired, desired, params) == 0


@given(start=points, goal=points, kind=kinds, part=st.floats(0, 1))
def test_a_step_straight_towards_the_goal_is_never_worse(start, goal, kind, part):
    params = RewardParams(kind)
    nearer = start + part * (goal - start)
    assert goal_term(nearer, goal, params) >= goal_term(start, goal, params) - 1e-12


@pytest.mark.parametrize(("distance_m", "reward"), [(0.0, 0.0), (0.049, 0.0), (0.05, 0.0), (0.051, -1.0), (1.0, -1.0)])
def test_the_sparse_reward_tells_within_from_beyond(distance_m, reward):
    params = RewardParams("sparse", success_m=0.05)
    assert goal_term(np.zeros(3), np.array([distance_m, 0, 0]), params) == reward


def test_the_dense_reward_is_the_weighted_distance():
    five_cm = np.array([0.03, 0.04, 0.0])
    assert goal_term(np.zeros(3), five_cm, RewardParams(distance_weight=10.0)) == pytest.approx(-0.5)


@given(achieved=arrays(np.float64, (4, 3), elements=st.floats(-1, 1)), kind=kinds)
def test_replay_computes_a_batch_as_each_step_by_itself(achieved, kind):
    params, goal = RewardParams(kind), np.zeros((4, 3))
    one_by_one = [goal_term(achieved[i], goal[i], params) for i in range(4)]
    np.testing.assert_array_equal(goal_term(achieved, goal, params), one_by_one)


@given(action=points, weight=st.floats(0, 5))
def test_effort_costs_the_squared_action_and_stands_apart(action, weight):
    terms = reward_terms(np.zeros(3), np.ones(3), action, RewardParams(effort_weight=weight))
    assert set(terms) == {"goal", "effort"}
    assert terms["effort"] == pytest.approx(-weight * action @ action)
    assert terms["goal"] == goal_term(np.zeros(3), np.ones(3), RewardParams())


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        ({"distance_weight": 0.0}, "distance_weight"),
        ({"success_m": 0.0}, "success_m"),
        ({"success_m": float("nan")}, "success_m"),
        ({"effort_weight": -0.1}, "effort_weight"),
    ],
)
def test_a_weight_of_no_use_is_refused_by_name(wrong, key):
    with pytest.raises(ConfigError, match=rf"reward\.{key}"):
        RewardParams(**wrong)
