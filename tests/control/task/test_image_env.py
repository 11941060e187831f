"""The reach task seen through images."""

import numpy as np
from stable_baselines3.common.env_checker import check_env

from control.policies.picture import PictureParams
from control.task.dynamics import DynamicsParams
from control.task.env import EnvParams
from control.task.image_env import ImageReachEnv

FRAMES = "params/frames.yaml"


def test_passes_the_checker(env, elsewhere):
    check_env(env, warn=False)
    check_env(elsewhere, warn=False)


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
