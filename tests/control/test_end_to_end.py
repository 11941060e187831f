import json

import numpy as np
import pytest
import torch as th
import yaml
from stable_baselines3.common.env_checker import check_env

from control import train
from control.end_to_end import EndToEndParams
from control.env import EnvParams
from control.extractors import BottleneckExtractor, StateExtractor
from control.image_env import ImageReachEnv
from control.image_policy import ImagePolicy
from control.learning import AgentParams, make_agent
from datasets.config import load_params

FRAMES = "params/frames.yaml"


@pytest.fixture(scope="module")
def env(rig):
    env = ImageReachEnv(EnvParams(), FRAMES, "nominal", rig=rig)
    yield env
    env.close()


def test_passes_the_checker(env):
    check_env(env, warn=False)


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
    agent = make_agent(env, AgentParams(hidden=16, bottleneck_weight=1.0, buffer_size=10), 0, actor_keys=keys)
    seen = {key: th.as_tensor(value[None]) for key, value in env.reset(seed=0)[0].items()}
    action = agent.actor(seen)
    for key in ("achieved_goal", "state"):
        assert th.equal(agent.actor(seen | {key: seen[key] + 0.1}), action)
    assert not th.equal(agent.actor(seen | {"image": 255 - seen["image"]}), action)


@pytest.mark.slow
def test_the_stage_learns_resumes_and_ships_a_policy(tmp_path, rig, env):
    values = {
        "kind": "end_to_end",
        "policy": str(tmp_path / "policy"),
        "results": str(tmp_path / "results"),
        "runs": str(tmp_path / "runs"),
        "agent": {
            "steps": 150,
            "warm_up": 50,
            "batch_size": 4,
            "buffer_size": 100,
            "train_freq": 4,
            "bottleneck_weight": 1.0,
        },
        "interval": 50,
        "validation_episodes": 1,
        "episodes": 2,
    }
    file = tmp_path / "end_to_end.yaml"
    file.write_text(yaml.safe_dump(values))
    train.main(["--config", str(file)])
    metrics = json.loads((tmp_path / "results/metrics.json").read_text())
    assert metrics["default"]["n"] == 2
    assert metrics["replay_mb"]["kept"] <= 0.5 * metrics["replay_mb"]["dict_replay_buffer"]
    policy = ImagePolicy.load(tmp_path / "policy", rig)
    image = env.reset(seed=0)[0]["image"].transpose(1, 2, 0)
    step, position = policy.act(image, np.array([0.4, 0.1, 0.3]), np.zeros(3))
    assert np.linalg.norm(step) <= rig.max_displacement_m
    assert position.shape == (3,)


@pytest.mark.parametrize("name", ["end_to_end_rgb", "end_to_end_rgb_camera"])
def test_the_shipped_parameters_fit(name):
    params = load_params(f"params/{name}.yaml", EndToEndParams)
    assert params.policy == f"models/{name}"
