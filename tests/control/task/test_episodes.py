import os
from functools import partial

import numpy as np
import pytest

from control.policies.shipped import FusedProportionalPolicy, ProportionalPolicy
from control.task.dynamics import DynamicsParams
from control.task.env import EnvParams, ReachEnv
from control.task.episodes import Episode, paired_difference, run_episode, run_episodes, summarize
from control.task.rendered import fit_error_model
from control.task.sources import ErrorModel, Surrogate, TrueState
from datasets.common.errors import DataError
from datasets.common.workers import Workers

LATE = EnvParams(dynamics=DynamicsParams(camera_delay_s=(0.3, 0.3)))


def make_env(params: EnvParams = EnvParams()) -> ReachEnv:  # noqa: B008
    return ReachEnv(params, Surrogate(ErrorModel()))


def test_the_result_does_not_depend_on_the_number_of_processes():
    policies = {
        "p": partial(ProportionalPolicy, 0.5, 0.025),
        "fused": partial(FusedProportionalPolicy, 1.0, 0.025, 0.1),
    }
    alone = run_episodes(policies, make_env, range(7))
    together = run_episodes(policies, make_env, range(7), Workers(2))
    assert alone == together
    assert [episode.seed for episode in alone["p"]] == list(range(7))


def die() -> ReachEnv:
    os._exit(1)


def test_a_dead_worker_is_told_in_one_sentence():
    with pytest.raises(DataError, match="worker process died"):
        run_episodes({"p": partial(ProportionalPolicy, 0.5, 0.025)}, die, range(3), Workers(2))


def test_an_episode_is_measured_on_the_true_tcp():
    episode = run_episode(ProportionalPolicy(0.5, 0.025), ReachEnv(source=TrueState()), 0)
    assert episode.final_m < 1e-3
    assert 0.1 < episode.arrival_s < 3
    lame = run_episode(ProportionalPolicy(1e-6, 0.025), ReachEnv(source=TrueState()), 0)
    assert lame.final_m > 0.01
    assert np.isnan(lame.arrival_s)


def test_where_pictures_are_late_fusing_beats_the_plain_controller():
    policies = {
        "p": partial(ProportionalPolicy, 0.5, 0.025),
        "fused": partial(FusedProportionalPolicy, 1.0, 0.025, 0.1),
    }
    found = run_episodes(policies, partial(make_env, LATE), range(20))
    assert summarize(found["fused"])["success_10mm"] == 1
    assert summarize(found["p"])["success_10mm"] < 0.5
    assert paired_difference(found["fused"], found["p"])["high_mm"] < 0


def test_summary_keys_are_the_documented_ones():
    episodes = [Episode(seed, final, 1.0, -1.0) for seed, final in enumerate((0.004, 0.008, 0.015, 0.2))]
    found = summarize(episodes)
    assert found["n"] == 4
    assert [found[f"success_{limit}mm"] for limit in (5, 10, 20, 50)] == [0.25, 0.5, 0.75, 0.75]
    assert found["median_mm"] == pytest.approx(11.5)


def test_pairs_must_share_their_seeds():
    with pytest.raises(ValueError, match="same seeds"):
        paired_difference([Episode(0, 0.1, 1.0, 0.0)], [Episode(1, 0.1, 1.0, 0.0)])


def test_the_error_model_is_recovered_from_its_own_draws():
    true = ErrorModel((0.003, 0.002, 0.004), (0.002, 0.002, 0.002), (0.001, 0.002, 0.001), 0.06, 0.0)
    places = np.random.default_rng(0).uniform([0.25, -0.3, 0.1], [0.6, 0.3, 0.5], (600, 3))
    found = fit_error_model(Surrogate(true), places, seed=0)
    assert np.allclose(found.noise_m, true.noise_m, rtol=0.15)
    assert np.allclose(np.hypot(found.bias_m, found.field_m), np.hypot(true.bias_m, true.field_m), rtol=0.15)
    assert np.allclose(found.bias_m, true.bias_m, rtol=0.35)
    assert found.length_m == pytest.approx(true.length_m, rel=0.5)
