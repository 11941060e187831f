"""What the gaps do to arms and goals: laws that hold whatever the arm and the way."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from control.task.dynamics import DynamicsParams, KinematicArm, ResponseArm
from control.task.env import EnvParams, ReachEnv
from control.task.sources import TrueState
from pipelines.gauntlet.arms import BacklashArm, CurvedArm, NoisyArm, arm_in
from pipelines.gauntlet.gap_env import GapEnv
from pipelines.gauntlet.gaps import ActionNoise, Gap, MotionChange

PERIOD_S = 0.1
HOME = np.array([0.4, 0.0, 0.228])
IDEAL = DynamicsParams(model="kinematic")
BENT = {"gain_xyz": (1.2, 0.8, 1.0), "bend_per_m": 2.5}
CHANGES = [{"backlash_m": 0.003}, BENT, {"start_speed_m_s": 0.25}, {"goal_speed_m_s": 0.05}]
targets = arrays(np.float64, (8, 3), elements=st.floats(-0.01, 0.01)).map(lambda ways: HOME + ways.cumsum(axis=0))


def gap(**motion):
    return Gap("x", "dynamics", motion=MotionChange(**motion))


def backlash(play_m, start=HOME, seed=0):
    drive = KinematicArm(IDEAL, PERIOD_S)
    arm = BacklashArm(drive, IDEAL, PERIOD_S, play_m)
    arm.reset(start, np.random.default_rng(seed))
    return drive, arm


def make_env(change, rig, **params):
    return GapEnv(EnvParams(**params), gap(**change), TrueState(), rig)


# Backlash


@settings(max_examples=50)
@given(ways=targets, play_m=st.floats(1e-4, 0.02), seed=st.integers(0, 99))
def test_the_tcp_is_never_farther_from_its_drive_than_half_the_play(ways, play_m, seed):
    drive, arm = backlash(play_m, seed=seed)
    for target in ways:
        arm.advance(target)
        assert np.linalg.norm(drive.tcp - arm.tcp) <= play_m / 2 + 1e-12


@settings(max_examples=50)
@given(ways=targets, play_m=st.floats(1e-4, 0.02), back=st.floats(0.05, 0.95), seed=st.integers(0, 99))
def test_so_far_the_drive_turns_back_before_the_tcp_does(ways, play_m, back, seed):
    _, arm = backlash(play_m, seed=seed)
    for target in ways:
        arm.advance(target)
    along, end = np.array([0.6, 0.0, 0.8]), ways[-1] + 50 * play_m * np.array([0.6, 0.0, 0.8])
    for share in np.linspace(0.1, 1, 10):
        arm.advance(ways[-1] + share * (end - ways[-1]))
    arrived = arm.tcp
    assert np.allclose(arrived, end - play_m / 2 * along, atol=1e-3 * play_m), "it is dragged behind"
    arm.advance(end - back * play_m * along)
    assert np.allclose(arm.tcp, arrived, atol=2e-2 * play_m), "within the play nothing moves"
    arm.advance(end - 2 * play_m * along)
    assert np.allclose(arm.tcp, end - 1.5 * play_m * along, atol=2e-2 * play_m), "then it is pushed before it"


@settings(max_examples=30)
@given(ways=targets, turn=arrays(np.float64, (3, 3), elements=st.floats(-1, 1)))
def test_play_knows_no_axes(ways, turn):
    rotation = np.linalg.qr(turn + 3 * np.eye(3))[0]
    tracks = []
    for turned in (np.eye(3), rotation):
        _, arm = backlash(0.003)
        arm._path.extend([HOME] * 2)
        for target in ways:
            arm.advance(HOME + turned @ (target - HOME))
        tracks.append(turned.T @ (arm.tcp - HOME))
    assert np.allclose(*tracks, atol=1e-9)


# A bent way


@settings(max_examples=50)
@given(way=arrays(np.float64, 3, elements=st.floats(-0.2, 0.2)))
def test_the_way_is_stretched_by_the_gains_and_bent_to_the_side(way):
    motion = MotionChange(**BENT)
    arm = CurvedArm(KinematicArm(IDEAL, PERIOD_S), IDEAL, PERIOD_S, motion, HOME)
    arm.reset(HOME, np.random.default_rng(0))
    assert np.array_equal(arm.tcp, HOME)
    arm.advance(HOME + way)
    went = arm.tcp - HOME
    assert np.allclose(went[1:], np.array(motion.gain_xyz[1:]) * way[1:])
    assert went[0] == pytest.approx(motion.gain_xyz[0] * way[0] - motion.bend_per_m * way[1] ** 2 / 2)


def test_every_goal_of_the_shipped_bent_arm_has_a_target_inside_the_fence(rig):
    env = ReachEnv(rig=rig)
    gain, bend = np.array(BENT["gain_xyz"]), BENT["bend_per_m"]
    for seed in range(200):
        env.reset(seed=seed)
        way = env._goal - HOME
        side = way[1] / gain[1]
        target = HOME + np.array([(way[0] + bend * side**2 / 2) / gain[0], side, way[2] / gain[2]])
        assert env.fence.contains(target), seed


# A start at speed


@pytest.mark.parametrize("speed_m_s", [0.05, 0.25])
@pytest.mark.parametrize("model", ["kinematic", "response", "physics"])
def test_the_arm_comes_home_at_speed_and_stays_there_if_nothing_is_commanded(rig, model, speed_m_s):
    dynamics = DynamicsParams(model=model, acceleration_m_s2=(1.0, 1.0), speed_m_s=(0.5, 0.5))
    env = make_env({"start_speed_m_s": speed_m_s}, rig, dynamics=dynamics)
    directions = []
    for seed in range(3):
        env.reset(seed=seed)
        way = env.tcp - env._dynamics.tcp_before(PERIOD_S)
        assert np.linalg.norm(way) / PERIOD_S == pytest.approx(speed_m_s, rel=0.25)
        directions.append(way / np.linalg.norm(way))
        for _ in range(20):
            env.step(np.zeros(3, np.float32))
        assert np.linalg.norm(env.tcp - HOME) < 2e-3
        assert np.linalg.norm(env._dynamics.velocity) < 1e-3
    assert max(a @ b for a, b in pairwise(directions)) < 0.99


# All of them


@pytest.mark.parametrize("change", CHANGES[:3])
def test_a_change_of_no_size_leaves_the_arm_alone(change):
    arm, params = ResponseArm(DynamicsParams(), PERIOD_S), DynamicsParams()
    assert arm_in(gap(), arm, params, PERIOD_S, HOME) is arm
    assert arm_in(gap(**change), arm, params, PERIOD_S, HOME) is not arm


def test_changes_of_several_kinds_hold_at_once(rig):
    every = {key: value for change in CHANGES for key, value in change.items()}
    env = make_env(every, rig, dynamics=DynamicsParams(camera_delay_s=(0.1, 0.1)))
    env._dynamics = arm_in(
        replace(gap(**every), action_noise=ActionNoise(0.1, 0.0)),
        ResponseArm(env.params.dynamics, PERIOD_S),
        env.params.dynamics,
        PERIOD_S,
        HOME,
    )
    env.reset(seed=0)
    assert env._dynamics.picture_age_s(np.random.default_rng(0)) == 0.1
    assert np.linalg.norm(env._dynamics.velocity) > 0.1
    for _ in range(10):
        env.step(np.full(3, 0.3, np.float32))
    assert np.isfinite(env.tcp).all()


def test_errors_of_displacements_add_up_and_nominal_streams_stay(rig):
    params, noise = DynamicsParams(model="response"), ActionNoise(0.1, 0.001)
    plain, noisy = ResponseArm(params, 0.1), NoisyArm(ResponseArm(params, 0.1), noise)
    ages = []
    for arm in (plain, noisy):
        rng = np.random.default_rng(np.random.SeedSequence(5))
        arm.reset(np.zeros(3), rng)
        for _ in range(100):
            arm.advance(np.zeros(3))
        ages.append(rng.uniform())
    assert ages[0] == ages[1]
    assert np.linalg.norm(plain.tcp) < 1e-9
    # A random walk of 100 steps of 1 mm per axis: the length is near 10 mm x sqrt(3).
    assert 0.003 < np.linalg.norm(noisy.tcp) < 0.05
