import json
import re
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch as th
import yaml

from control import train
from control.learning.ddpg import relocated
from control.learning.end_to_end import _agent as make_image_agent  # untrained: run() trains for hours
from control.learning.end_to_end import given_digest
from control.learning.params import EndToEndParams
from control.policies.features import ESTIMATE
from control.policies.image_locator import KIND
from control.policies.policy import Observation
from control.policies.shipped import load_policy
from datasets.common.config import load_params
from datasets.common.errors import ConfigError
from perception.estimator.estimate import PositionEstimate

PARAMS = load_params("params/end_to_end_rgb.yaml", EndToEndParams)


def test_only_the_picture_moves_the_actor(env):
    agent = make_image_agent(PARAMS, env, replace(PARAMS.agent, hidden=16, buffer_size=10), 0, None)
    env.locate = agent.locate
    seen = {key: th.as_tensor(value[None]) for key, value in env.reset(seed=0)[0].items()}
    action = agent.actor(seen)
    for key in ("achieved_goal", "state", "seen_tcp"):
        assert th.equal(agent.actor(seen | {key: seen[key] + 0.1}), action)
    assert np.allclose(agent.locate(seen["image"][0], seen["camera"][0]), seen["observation"][0, ESTIMATE])
    other = agent.locate(255 - seen["image"][0].numpy(), seen["camera"][0].numpy())
    moved = relocated(seen, th.as_tensor(other[None], dtype=th.float32))
    assert not th.equal(agent.actor(moved), action)


def write(folder, **changes):
    """A stage of three episodes in a folder of its own."""
    values = {
        "kind": "end_to_end",
        "policy": str(folder / "policy"),
        "results": str(folder / "results"),
        "runs": str(folder / "runs"),
        "agent": {
            "steps": 150,
            "warm_up": 50,
            "batch_size": 4,
            "buffer_size": 100,
            "train_freq": 5,
            "bottleneck_weight": 1.0,
        },
        "learning_horizon": 50,
        "interval": 50,
        "validation_episodes": 1,
        "episodes": 2,
    } | changes
    folder.mkdir(exist_ok=True)
    file = folder / "end_to_end.yaml"
    file.write_text(yaml.safe_dump(values))
    return file


# Killed past the second checkpoint, in the steps after it, which are lost and which the second run repeats. The
# environment's own steps are counted: an evaluation's episode of 50 comes at 0, 50 and 100.
KILLED = """
import os, signal, sys
from control import train
from control.task.image_env import ImageReachEnv
step, taken = ImageReachEnv.step, 0
def counted(self, action):
    global taken
    taken += 1
    if taken == 255:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, action)
ImageReachEnv.step = counted
train.main(sys.argv[1:])
"""


@pytest.mark.slow
def test_the_stage_learns_and_after_a_kill_goes_on_with_nothing_lost(tmp_path, rig):
    whole = tmp_path / "whole"
    train.main(["--config", str(write(whole))])
    metrics = json.loads((whole / "results/metrics.json").read_text())
    assert metrics["default"]["n"] == 2
    assert metrics["given"] == given_digest(load_params(whole / "end_to_end.yaml", EndToEndParams), rig)
    assert metrics["replay_mb"]["kept"] <= 0.5 * metrics["replay_mb"]["dict_replay_buffer"]
    assert list((whole / "runs/tensorboard").rglob("events.*")), "TensorBoard's log"
    policy = load_policy(whole / "policy", rig, KIND)
    estimate = PositionEstimate(np.array([0.4, 0.0, 0.2]), np.full(3, 0.01))
    step = policy.act(Observation(estimate, np.array([0.4, 0.1, 0.3]), np.zeros(3)))
    assert np.linalg.norm(step) <= rig.max_displacement_m

    killed = tmp_path / "killed"
    arguments = ["--config", str(write(killed))]
    process = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    assert process.returncode == -signal.SIGKILL, process.stderr
    assert re.search(r"/150 \[\d+:\d+<\d+:\d+, .*step/s", process.stderr), "the time that is left"
    assert list(killed.glob("runs/*/agent_100.zip")), "the second checkpoint"
    assert not (killed / "policy").exists()
    assert not (killed / "results").exists()
    train.main(arguments)
    # The killed process may have rounded the last bits of an episode's sums otherwise.
    curves = [(folder / "results/curve.csv").read_text().splitlines() for folder in (killed, whole)]
    assert curves[0][0] == curves[1][0]
    again, once = (np.loadtxt(lines[1:], delimiter=",") for lines in curves)
    np.testing.assert_array_equal(again[:, 0], once[:, 0])
    np.testing.assert_allclose(again, once, rtol=1e-3)
    found = json.loads((killed / "results/metrics.json").read_text())
    assert found["best_step"] == metrics["best_step"]
    assert found["train_processor_s"] > 0.5 * metrics["train_processor_s"], "what the killed run learnt in counts too"
    assert found["replay_mb"] == metrics["replay_mb"]
    assert found["default"] == pytest.approx(metrics["default"], rel=1e-3)


@pytest.mark.parametrize(("agent", "key"), [({"train_freq": 4}, "train_freq"), ({"warm_up": 49}, "warm_up")])
def test_what_would_miss_checkpoints_or_sample_from_nothing_is_refused(tmp_path, agent, key):
    with pytest.raises(ConfigError, match=key):
        load_params(write(tmp_path, agent=agent), EndToEndParams)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"head": "votes"}, "picture.depth"),
        ({"learning_horizon": 40}, "whole number"),
        ({"sigma_m": 0}, "sigma_m"),
        ({"seed": 1999}, "seed must lie in 0..1998"),
    ],
)
def test_parameters_that_do_not_go_together_are_refused(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        load_params(write(tmp_path, **changes), EndToEndParams)


@pytest.mark.parametrize("name", ["end_to_end_rgb", "end_to_end_rgb_camera", "end_to_end_rgbd"])
def test_the_shipped_parameters_fit(name):
    params = load_params(f"params/{name}.yaml", EndToEndParams)
    assert params.policy == f"models/{name}"
