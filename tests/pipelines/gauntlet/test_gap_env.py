"""The reach task in a gap: a goal that moves, and an episode that is else as without the gap."""

import numpy as np
import pytest

from control.task.dynamics import DynamicsParams
from control.task.env import EnvParams, ReachEnv
from control.task.sources import TrueState
from datasets.arm.kinematics import Kinematics
from pipelines.gauntlet.gap_env import TURNS_APART_M, GapEnv
from pipelines.gauntlet.gaps import Gap, MotionChange

PERIOD_S = 0.1


IDEAL = DynamicsParams(model="kinematic")


BENT = {"gain_xyz": (1.2, 0.8, 1.0), "bend_per_m": 2.5}


CHANGES = [{"backlash_m": 0.003}, BENT, {"start_speed_m_s": 0.25}, {"goal_speed_m_s": 0.05}]


def gap(**motion):
    return Gap("x", "dynamics", motion=MotionChange(**motion))


def make_env(change, rig, **params):
    return GapEnv(EnvParams(**params), gap(**change), TrueState(), rig)


@pytest.mark.parametrize("speed_m_s", [0.05, 0.2])
@pytest.mark.parametrize("seed", range(5))
def test_the_goal_goes_to_and_fro_at_its_speed_between_two_reachable_places(rig, seed, speed_m_s):
    plain, env, still = ReachEnv(rig=rig), make_env({"goal_speed_m_s": speed_m_s}, rig), np.zeros(3, np.float32)
    (first, _), (same, _) = env.reset(seed=seed), plain.reset(seed=seed)
    assert np.array_equal(first["desired_goal"], same["desired_goal"])
    goals = [env.policy_observation.goal]
    for _ in range(50):
        *_, info = env.step(still)
        goals.append(env.policy_observation.goal)
        assert info["distance_m"] == pytest.approx(np.linalg.norm(env.tcp - goals[-1]))
    ends = np.array(env._turns)
    assert np.linalg.norm(ends[1] - ends[0]) >= TURNS_APART_M
    steps = np.linalg.norm(np.diff(goals, axis=0), axis=1)
    turns = speed_m_s * 5 / np.linalg.norm(ends[1] - ends[0])
    assert np.sum(~np.isclose(steps, speed_m_s * PERIOD_S)) <= turns + 1e-9
    assert steps.max() <= speed_m_s * PERIOD_S + 1e-12
    kinematics = Kinematics(rig.tool.tcp_offset_m)
    assert all(env.fence.contains(goal) for goal in goals)
    assert all(kinematics.is_reachable(goal, rig.home_joints_rad) for goal in goals[::10])


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("model", ["kinematic", "response", "physics"])
def test_the_same_seed_gives_the_same_episode_and_draws_the_rest_as_without_the_gap(rig, change, model):
    dynamics = DynamicsParams(model=model, camera_delay_s=(0.06, 0.14), lag_s=(0.02, 0.08), dropped_frames=(0.0, 0.05))
    actions = np.random.default_rng(0).uniform(-1, 1, (10, 3)).astype(np.float32)
    env, plain = make_env(change, rig, dynamics=dynamics), ReachEnv(EnvParams(dynamics=dynamics), rig=rig)
    tracks, drawn = [], []
    for one in (env, env, plain):
        observations, _ = one.reset(seed=5)
        tracks.append([one.step(action)[0]["achieved_goal"] for action in actions])
        drawn.append((observations["desired_goal"].tolist(), one._dynamics.camera_delay_s, one.np_random.uniform()))
    assert np.array_equal(tracks[0], tracks[1])
    assert drawn[0] == drawn[1] == drawn[2]
