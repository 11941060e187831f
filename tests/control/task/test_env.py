import dataclasses

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env as gymnasium_check
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3.common.env_checker import check_env as sb3_check

from control.arms.fence import Fence
from control.task import ENV_ID
from control.task.dynamics import DynamicsParams
from control.task.env import EnvParams, ReachEnv
from control.task.goals import GoalSampler
from control.task.rewards import RewardParams
from control.task.sources import ErrorModel, Surrogate
from datasets.arm.kinematics import Kinematics
from datasets.common.errors import ConfigError

LATE = DynamicsParams(camera_delay_s=(0.06, 0.14), frame_jitter_s=(0.0, 0.03), dropped_frames=(0.0, 0.2))


def run(env: ReachEnv, seed: int, actions: np.ndarray) -> list[dict[str, np.ndarray]]:
    seen = [env.reset(seed=seed)[0]]
    seen.extend(env.step(action)[0] for action in actions)
    return seen


def test_passes_both_checkers():
    gymnasium_check(gym.make(ENV_ID).unwrapped, skip_render_check=True)
    sb3_check(ReachEnv(), warn=False)


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_reward_is_the_sum_of_its_terms_and_what_replay_computes(kind):
    env = ReachEnv(EnvParams(reward=RewardParams(kind=kind, effort_weight=0.1)))
    env.reset(seed=0)
    observation, reward, _, _, info = env.step(np.array([1.0, 0.2, -0.3], dtype=np.float32))
    assert reward == pytest.approx(sum(info["reward_terms"].values()))
    assert env.compute_reward(observation["achieved_goal"], observation["desired_goal"], info) == reward
    batch = env.compute_reward(np.zeros((4, 3)), np.ones((4, 3)), [{}] * 4)
    assert batch.shape == (4,)


def test_episodes_are_cut_off_at_the_horizon_and_never_end_by_success():
    env = ReachEnv()
    observation, _ = env.reset(seed=3, options={"goal": GoalSampler(env.rig, env.fence, 0.2).home})
    assert np.allclose(observation["desired_goal"], observation["achieved_goal"], atol=1e-6)
    for step in range(1, 51):
        _, _, terminated, truncated, _ = env.step(np.zeros(3, dtype=np.float32))
        assert not terminated
        assert truncated == (step == 50)


@pytest.mark.parametrize("model", ["kinematic", "response", "physics"])
def test_same_seed_same_trajectory(model):
    params = EnvParams(dynamics=dataclasses.replace(LATE, model=model))
    actions = np.random.default_rng(0).uniform(-1, 1, (50, 3)).astype(np.float32)
    one = run(ReachEnv(params, Surrogate(ErrorModel())), 7, actions)
    two = run(ReachEnv(params, Surrogate(ErrorModel())), 7, actions)
    other = run(ReachEnv(params, Surrogate(ErrorModel())), 8, actions)
    for a, b in zip(one, two, strict=True):
        assert all(np.array_equal(a[key], b[key]) for key in a)
    assert not np.array_equal(one[-1]["observation"], other[-1]["observation"])


@settings(max_examples=20)
@given(seed=st.integers(0, 2**16), push=st.tuples(*[st.floats(-1, 1)] * 3))
def test_the_fence_is_never_left_however_long_one_pushes(seed, push):
    env = ReachEnv(EnvParams(horizon=60))
    env.reset(seed=seed)
    for _ in range(60):
        *_, info = env.step(np.array(push, dtype=np.float32))
        assert env.fence.contains(env.target, 1e-12)
        assert env.fence.contains(env.tcp, 1e-3), "a turn at a face may overshoot by less than 1 mm"
        assert np.linalg.norm(info["displacement_m"]) <= env.rig.max_displacement_m + 1e-12


def test_displacements_move_the_last_target_not_the_position():
    env = ReachEnv(EnvParams(dynamics=DynamicsParams(model="response", lag_s=(0.3, 0.3))))
    env.reset(seed=0)
    start = env.tcp.copy()
    for _ in range(2):
        env.step(np.array([0.0, 1.0, 0.0], dtype=np.float32))
    assert env.tcp[1] - start[1] < 0.04, "the arm lags"
    for _ in range(30):
        env.step(np.zeros(3, dtype=np.float32))
    assert env.tcp[1] - start[1] == pytest.approx(0.05, abs=1e-4), "what was commanded arrives, no more and no less"


def test_goals_are_reachable_and_near_home(rig):
    sampler, kinematics, rng = GoalSampler(rig, Fence.from_rig(rig), 0.2), Kinematics(), np.random.default_rng(0)
    goals = np.array([sampler.sample(rng) for _ in range(50)])
    assert np.all(np.linalg.norm(goals - sampler.home, axis=1) <= 0.2)
    assert all(rig.workspace.contains(goal) and kinematics.is_reachable(goal, rig.home_joints_rad) for goal in goals)


def test_a_late_camera_shows_the_past():
    env = ReachEnv(EnvParams(dynamics=DynamicsParams(model="kinematic", camera_delay_s=(0.2, 0.2))))
    env.reset(seed=0)
    positions = [env.tcp.copy()]
    for _ in range(6):
        env.step(np.array([0.0, 1.0, 0.0], dtype=np.float32))
        positions.append(env.tcp.copy())
    assert np.allclose(env.policy_observation.estimate.xyz, positions[-3], atol=1e-9)


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (lambda: EnvParams(horizon=0), "horizon"),
        (lambda: EnvParams(goal_radius_m=-1.0), "goal_radius_m"),
        (lambda: RewardParams(success_m=0.0), "success_m"),
        (lambda: DynamicsParams(camera_delay_s=(0.2, 0.1)), "camera_delay_s"),
        (lambda: DynamicsParams(camera_delay_s=(0.0, 5.0)), "camera_delay_s"),
        (lambda: DynamicsParams(speed_m_s=(0.0, 0.1)), "speed_m_s"),
        (lambda: DynamicsParams(dropped_frames=(0.0, 1.0)), "dropped_frames"),
        (lambda: ErrorModel(length_m=0.0), "length_m"),
    ],
)
def test_bad_parameters_are_refused_by_name(make, key):
    with pytest.raises(ConfigError, match=key):
        make()
