"""The shipped end-to-end networks act as the trained ones, and damaged ones are told."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from control.learning.end_to_end import _agent as make_image_agent  # untrained: run() trains for hours
from control.learning.end_to_end import _make_env as make_image_env
from control.learning.export import export_image_actor
from control.learning.params import EndToEndParams
from control.policies.features import ESTIMATE
from control.policies.image_locator import KIND, ImageLocator
from control.policies.policy import Observation
from control.policies.shipped import load_policy
from datasets.common.config import load_params
from datasets.common.errors import ModelError
from same_moment import same_moment_again


@pytest.mark.parametrize("name", ["rgb", "rgbd"])
def test_the_shipped_network_acts_as_the_trained_one(tmp_path, rig, name):
    params = load_params(f"params/end_to_end_{name}.yaml", EndToEndParams)
    params = replace(params, bf16=False, agent=replace(params.agent, hidden=16, buffer_size=100))
    env = make_image_env(params, rig, learning=False)
    agent = make_image_agent(params, env, params.agent, 0, None)
    env.locate = agent.locate
    export_image_actor(agent, tmp_path / "policy", rig, params.picture, params.sigma_m)
    locator, policy = ImageLocator.load(tmp_path / "policy", rig), load_policy(tmp_path / "policy", rig, KIND)
    rng = np.random.default_rng(0)
    seen, command = env.reset(seed=0)[0], np.zeros(3)
    policy.reset()
    for _ in range(5):
        photograph, scene = same_moment_again(env), env._scenes.scene  # what is known of it: no observation has all
        estimate = locator.locate(photograph, scene.t_base_camera_told, scene.intrinsics)
        assert estimate.xyz == pytest.approx(seen["observation"][ESTIMATE], abs=1e-5)
        step = policy.act(Observation(estimate, seen["desired_goal"].astype(float), command))
        wanted = agent.predict(seen, deterministic=True)[0] * rig.max_displacement_m
        assert step == pytest.approx(wanted * min(1, rig.max_displacement_m / np.linalg.norm(wanted)), abs=1e-6)
        seen, _, _, _, info = env.step(rng.uniform(-1, 1, 3).astype(np.float32))
        command = info["displacement_m"]
    env.close()


@pytest.mark.parametrize("name", ["policy.json", "locator.onnx"])
def test_a_locator_that_is_missing_or_damaged_is_told(tmp_path, rig, name):
    shutil.copytree("models/end_to_end_rgb", tmp_path / "model")
    (tmp_path / "model" / name).write_bytes(b"{")
    with pytest.raises(ModelError, match=name):
        ImageLocator.load(tmp_path / "model", rig)
    (tmp_path / "model" / name).unlink()
    with pytest.raises(ModelError, match=name):
        ImageLocator.load(tmp_path / "model", rig)
