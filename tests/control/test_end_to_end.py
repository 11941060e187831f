import json
import re
import shutil
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
from control.learning.ddpg import relocated
from control.learning.end_to_end import EndToEndParams
from control.learning.end_to_end import _agent as make_image_agent  # untrained: run() trains for hours
from control.learning.end_to_end import _make_env as make_image_env
from control.learning.export import export_image_actor
from control.learning.locators import PictureLocator, points_of, shifted
from control.policies.features import ESTIMATE
from control.policies.image_locator import KIND, ImageLocator
from control.policies.picture import PictureParams, take_picture
from control.policies.policy import Observation
from control.policies.shipped import load_policy
from control.task.dynamics import DynamicsParams
from control.task.env import EnvParams
from control.task.image_env import ImageReachEnv
from datasets.common.config import load_params
from datasets.common.errors import ConfigError, DataError, ModelError
from perception.estimator.estimate import PositionEstimate

FRAMES = "params/frames.yaml"

PARAMS = load_params("params/end_to_end_rgb.yaml", EndToEndParams)


@pytest.fixture(scope="module")
def env(rig):
    env = ImageReachEnv(EnvParams(), FRAMES, "nominal", rig=rig)
    yield env
    env.close()


@pytest.fixture(scope="module")
def elsewhere(rig):
    """Every step in another scene, the camera moved and measured again, and depth seen too."""
    picture = PictureParams(depth=True, pose="told")
    env = ImageReachEnv(EnvParams(), FRAMES, "shifted", picture, learning=True, horizon=6, rig=rig)
    yield env
    env.close()


def same_moment_again(env):
    """The picture seen last once more, with the same noise: the environment itself takes each but once."""
    env._scenes._pictures -= 1
    return env._scenes.camera(env._seen_tcp)


def test_passes_the_checker(env, elsewhere):
    check_env(env, warn=False)
    check_env(elsewhere, warn=False)


def test_pictures_are_those_that_come_with_a_depth(env, rig):
    seen = env.reset(seed=5)[0]
    photograph = same_moment_again(env)
    image, camera = take_picture(PictureParams(depth=True), rig, photograph, rig.t_base_camera, rig.camera)
    np.testing.assert_array_equal(image[:3], seen["image"])
    np.testing.assert_array_equal(camera, seen["camera"])


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


def test_a_dropped_frame_is_the_same_picture_with_the_same_noise(rig):
    dropping = EnvParams(dynamics=DynamicsParams(dropped_frames=(0.99, 0.99)))
    env = ImageReachEnv(dropping, FRAMES, "nominal", rig=rig)
    first = env.reset(seed=1)[0]
    for _ in range(5):
        seen = env.step(np.array([1.0, 0.0, 0.0], dtype=np.float32))[0]
    env.close()
    assert np.linalg.norm(seen["achieved_goal"] - first["achieved_goal"]) > 0.05
    assert np.array_equal(seen["image"], first["image"])
    assert np.array_equal(seen["seen_tcp"], first["seen_tcp"])


def test_the_picture_shows_the_arm_where_it_is_said_to_be(elsewhere):
    """The point that depth and pose make of the TCP's pixel lies on the gripper."""
    off = []
    for seed in range(12):
        seen = elsewhere.reset(seed=seed)[0]
        image, camera = (th.as_tensor(seen[key][None]) for key in ("image", "camera"))
        points, valid = points_of(image, camera)
        there = points[0].flatten(1).T[valid.flatten() > 0]
        off.append(float((there - th.as_tensor(seen["seen_tcp"])).norm(dim=1).min()))
        # The truth, which no observation has.
        assert np.allclose(elsewhere._scenes.scene.tcp, elsewhere.seen_tcp, atol=1e-3), "though it is far from home"
    assert max(off) < 0.06, "between the fingers, as far as they open"


def test_while_learning_every_step_shows_another_scene_and_episodes_begin_anywhere(elsewhere):
    starts, cameras = [], []
    for seed in range(4):
        starts.append(elsewhere.reset(seed=seed)[0]["achieved_goal"])
        cameras += [elsewhere.step(np.zeros(3, dtype=np.float32))[0]["camera"] for _ in range(3)]
    assert len(np.unique(np.round(starts, 3), axis=0)) == 4
    assert len(np.unique(cameras, axis=0)) == 12


def test_of_the_rig_s_pose_a_network_learns_nothing_about_the_camera(rig):
    env = ImageReachEnv(EnvParams(), FRAMES, "shifted", PictureParams(pose="rig"), rig=rig)
    cameras = [env.reset(seed=seed)[0]["camera"] for seed in range(3)]
    env.close()
    np.testing.assert_array_equal(cameras[0][:12].reshape(3, 4), rig.t_base_camera[:3].astype(np.float32))
    assert np.array_equal(cameras[0], cameras[1])
    assert np.array_equal(cameras[0], cameras[2])


def test_the_window_is_the_original_s_where_no_width_is_given(rig):
    windows = []

    def photograph(window, size):
        windows.append(window)
        return np.zeros((size, size, 3), np.uint8), np.zeros((size, size), np.float32)

    for side_m in (0.0, 0.59):
        take_picture(PictureParams(side_m=side_m), rig, photograph, rig.t_base_camera, rig.camera)
    assert windows[0] == rig.picture_window
    assert 330 < windows[1].width < 350


def test_a_camera_that_looks_away_is_refused(rig):
    away = rig.t_base_camera @ np.diag([-1.0, 1.0, -1.0, 1.0])
    with pytest.raises(DataError, match="middle"):
        take_picture(PictureParams(pose="told"), rig, lambda window, size: None, away, rig.camera)


@pytest.mark.parametrize("head", ["flat", "keypoints", "votes"])
def test_a_picture_and_its_camera_shifted_tell_the_same_points(env, elsewhere, head):
    seen = [elsewhere.reset(seed=seed)[0] for seed in range(2)]
    image, camera = (th.as_tensor(np.stack([one[key] for one in seen])) for key in ("image", "camera"))
    moved, its_camera = shifted(image, camera, 5)
    there, valid = points_of(moved, its_camera)
    here, _ = points_of(image, camera)
    for k in range(2):
        dx, dy = (its_camera - camera)[k, 14:].int().tolist()
        inside = slice(10, 70), slice(10, 70)
        before = slice(10 - dy, 70 - dy), slice(10 - dx, 70 - dx)
        mask = valid[k, :, *inside].bool().expand(3, -1, -1)
        assert mask.float().mean() > 0.1
        th.testing.assert_close(there[k, :, *inside][mask], here[k, :, *before][mask])
    locator = PictureLocator(elsewhere.observation_space, head)
    assert locator.train()(image, camera).shape == (2, 3)
    one = locator.eval()(image, camera)
    assert th.equal(one, locator(image, camera)), "no shifts where nothing is learnt"


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
    train.main(["--config", str(write(tmp_path / "whole"))])
    whole = tmp_path / "whole"
    metrics = json.loads((whole / "results/metrics.json").read_text())
    assert metrics["default"]["n"] == 2
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
    [({"head": "votes"}, "picture.depth"), ({"learning_horizon": 40}, "whole number"), ({"sigma_m": 0}, "sigma_m")],
)
def test_parameters_that_do_not_go_together_are_refused(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        load_params(write(tmp_path, **changes), EndToEndParams)


@pytest.mark.parametrize("name", ["end_to_end_rgb", "end_to_end_rgb_camera", "end_to_end_rgbd"])
def test_the_shipped_parameters_fit(name):
    params = load_params(f"params/{name}.yaml", EndToEndParams)
    assert params.policy == f"models/{name}"
