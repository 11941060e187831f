"""Models of the arm: when a command takes effect, and what is seen of it."""

from itertools import pairwise

import numpy as np
import pytest

from control.task.dynamics import SUBSTEP_S, DynamicsParams, ResponseArm
from control.task.env import EnvParams, ReachEnv
from control.task.physics import make_dynamics
from datasets.common.errors import ConfigError

PERIOD_S = 0.1
HOME = np.array([0.4, 0.0, 0.228])
ASIDE = HOME + np.array([0.02, 0.0, 0.0])


def arm(**changes) -> ResponseArm:
    made = ResponseArm(DynamicsParams(**changes), PERIOD_S)
    made.reset(HOME, np.random.default_rng(0))
    return made


@pytest.mark.parametrize("delay_s", [0.0, 0.03, 0.09])
def test_nothing_moves_before_the_command_takes_effect(delay_s):
    late = arm(action_delay_s=(delay_s, delay_s))
    late.advance(ASIDE)
    for age_s in np.arange(0.0, PERIOD_S, SUBSTEP_S):
        moved = late.tcp_before(age_s) - HOME
        assert (np.linalg.norm(moved) > 0) == (PERIOD_S - age_s > delay_s + 1e-9), age_s


def test_a_command_that_would_be_late_for_the_next_is_refused():
    with pytest.raises(ConfigError, match="action_delay_s must stay below the control period"):
        arm(action_delay_s=(0.0, 0.2))


def test_the_tracking_error_stays_when_the_arm_rests():
    off = arm(tracking_error_m=(0.001, 0.001))
    for _ in range(30):
        off.advance(ASIDE)
    assert np.linalg.norm(off.tcp - ASIDE) == pytest.approx(0.001, abs=1e-6)


def test_before_the_first_motion_every_picture_is_one_of_its_own():
    still = arm()
    assert np.array_equal(still.tcp_before(0.5), HOME)
    assert still.tcp_before(0.5) is not still.tcp_before(0.5)


@pytest.mark.parametrize("model", ["kinematic", "response"])
def test_a_dropped_frame_shows_the_tcp_where_it_was_seen_last(model, rig):
    env = ReachEnv(EnvParams(dynamics=DynamicsParams(model=model, dropped_frames=(0.5, 0.5))), rig=rig)
    # Otherwise the two cases would be one; what the environment moves by it shows nowhere.
    assert type(make_dynamics(env.params.dynamics, rig)) is type(env._dynamics)
    env.reset(seed=3, options={"goal": HOME + np.array([0.1, 0.1, 0.05])})
    seen = [env.seen_tcp]
    for _ in range(10):
        env.step(np.array([0.3, 0.3, 0.1], np.float32))
        seen.append(env.seen_tcp)
    same = [b is a for a, b in pairwise(seen)]
    assert 1 <= sum(same) <= 9
    assert same == [np.array_equal(a, b) for a, b in pairwise(seen)]
