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
from stable_baselines3.common.env_checker import check_env

from control import train
from control.learning.end_to_end import EndToEndParams
from control.learning.end_to_end import _agent as make_image_agent
from control.learning.export import export_image_actor
from control.learning.extractors import BottleneckExtractor, StateExtractor
from control.learning.trainer import make_agent
from control.policies.image_policy import ImagePolicy
from control.task.env import EnvParams
from control.task.image_env import ImageReachEnv
from datasets.common.config import load_params
from datasets.common.errors import ConfigError

FRAMES = "params/frames.yaml"

PARAMS = load_params("params/end_to_end_rgb.yaml", EndToEndParams)


@pytest.fixture(scope="module")
def env(rig):
    env = ImageReachEnv(EnvParams(), FRAMES, "nominal", rig=rig)
    yield env
    env.close()


def test_passes_the_checker(env):
    check_env(env, warn=False)


def test_pictures_are_those_that_come_with_a_depth(env):
    image = env.reset(seed=5)[0]["image"]
    env._scenes._pictures -= 1  # the same moment again, with the same noise
    rgb, _ = env._scenes.camera(env._seen_tcp)(env.rig.picture_window, env.rig.input_px)
    np.testing.assert_array_equal(rgb.transpose(2, 0, 1), image)


def test_same_seed_same_pictures_and_the_arm_moves_in_them(env):
    def pictures():
        seen = [env.reset(seed=5)[0]["image"]]
        for _ in range(4):
            seen.append(env.step(np.array([0.0, 1.0, 0.5], dtype=np.float32))[0]["image"])
        return np.array(seen)

    one, two = pictures(), pictures()
    assert np.array_equal(one, two)
    assert np.abs(one[4].astype(int) - one[0]).mean() > 0.5
    env.reset(seed=6)
    assert not np.array_equal(one[0], env.reset(seed=6)[0]["image"])


def test_the_goal_is_not_in_the_picture(env):
    one = env.reset(seed=5, options={"goal": [0.4, 0.1, 0.3]})[0]["image"]
    two = env.reset(seed=5, options={"goal": [0.3, -0.1, 0.2]})[0]["image"]
    assert np.array_equal(one, two)


def test_only_the_picture_moves_the_actor(env):
    keys = {"features_extractor_class": BottleneckExtractor, "critic_features_extractor_class": StateExtractor}
    agent = make_agent(env, replace(PARAMS.agent, hidden=16, bottleneck_weight=1.0, buffer_size=10), 0, actor_keys=keys)
    seen = {key: th.as_tensor(value[None]) for key, value in env.reset(seed=0)[0].items()}
    action = agent.actor(seen)
    for key in ("achieved_goal", "state"):
        assert th.equal(agent.actor(seen | {key: seen[key] + 0.1}), action)
    assert not th.equal(agent.actor(seen | {"image": 255 - seen["image"]}), action)


def test_the_shipped_actor_acts_as_the_trained_one(tmp_path, rig, env):
    params = replace(PARAMS, bf16=False, agent=replace(PARAMS.agent, hidden=16, buffer_size=100))
    agent = make_image_agent(params, env, params.agent, 0, None)
    export_image_actor(agent.actor, tmp_path / "policy", rig)
    policy = ImagePolicy.load(tmp_path / "policy", rig)
    rng = np.random.default_rng(0)
    env.reset(seed=0)
    for _ in range(5):
        seen = env.step(rng.uniform(-1, 1, 3).astype(np.float32))[0]
        batch = {key: th.as_tensor(value[None]) for key, value in seen.items()}
        with th.no_grad():
            features = agent.actor.extract_features(batch, agent.actor.features_extractor)
            wanted = agent.actor.mu(features)[0].numpy() * rig.max_displacement_m
        step, position = policy.act(seen["image"].transpose(1, 2, 0), seen["desired_goal"], seen["command"])
        assert step == pytest.approx(wanted * min(1, rig.max_displacement_m / np.linalg.norm(wanted)), abs=1e-7)
        assert position == pytest.approx(features[0, :3].numpy(), abs=1e-6)


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
def test_the_stage_learns_and_after_a_kill_goes_on_with_nothing_lost(tmp_path, rig, env):
    train.main(["--config", str(write(tmp_path / "whole"))])
    whole = tmp_path / "whole"
    metrics = json.loads((whole / "results/metrics.json").read_text())
    assert metrics["default"]["n"] == 2
    assert metrics["replay_mb"]["kept"] <= 0.5 * metrics["replay_mb"]["dict_replay_buffer"]
    assert list((whole / "runs/tensorboard").rglob("events.*")), "TensorBoard's log"
    policy = ImagePolicy.load(whole / "policy", rig)
    image = env.reset(seed=0)[0]["image"].transpose(1, 2, 0)
    step, position = policy.act(image, np.array([0.4, 0.1, 0.3]), np.zeros(3))
    assert np.linalg.norm(step) <= rig.max_displacement_m
    assert position.shape == (3,)

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
    assert found["replay_mb"] == metrics["replay_mb"]
    assert found["default"] == pytest.approx(metrics["default"], rel=1e-3)


@pytest.mark.parametrize(("agent", "key"), [({"train_freq": 4}, "train_freq"), ({"warm_up": 49}, "warm_up")])
def test_what_would_miss_checkpoints_or_sample_from_nothing_is_refused(tmp_path, agent, key):
    with pytest.raises(ConfigError, match=key):
        load_params(write(tmp_path, agent=agent), EndToEndParams)


@pytest.mark.parametrize("name", ["end_to_end_rgb", "end_to_end_rgb_camera"])
def test_the_shipped_parameters_fit(name):
    params = load_params(f"params/{name}.yaml", EndToEndParams)
    assert params.policy == f"models/{name}"
