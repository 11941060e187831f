import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.save_util import load_from_pkl, save_to_pkl
from stable_baselines3.common.vec_env import DummyVecEnv

from control.buffers import DEPTH_UNIT_M, FrameHerReplayBuffer
from control.env import ReachEnv

SPACE = spaces.Dict(
    {
        "image": spaces.Box(0, 255, (3, 8, 8), np.uint8),
        "depth": spaces.Box(0, 6, (1, 8, 8), np.float32),
        "desired_goal": spaces.Box(-2, 2, (3,), np.float32),
        "achieved_goal": spaces.Box(-2, 2, (3,), np.float32),
    }
)
ACTIONS = spaces.Box(-1, 1, (3,), np.float32)
LENGTH = 7


@pytest.fixture(scope="module")
def vec_env():
    return DummyVecEnv([ReachEnv, ReachEnv])


def frames(rng, n_envs):
    seen = {key: np.stack([space.sample() for _ in range(n_envs)]) for key, space in SPACE.items()}
    seen["image"] = rng.integers(0, 256, seen["image"].shape, dtype=np.uint8)
    seen["depth"] = (rng.integers(0, 60_000, seen["depth"].shape) * np.float32(DEPTH_UNIT_M)).astype(np.float32)
    return seen


def fill(buffers, n_envs, steps, seed=0):
    """The same episodes of ``LENGTH`` steps into every buffer."""
    rng = np.random.default_rng(seed)
    seen = frames(rng, n_envs)
    for step in range(1, steps + 1):
        after, done = frames(rng, n_envs), np.full(n_envs, step % LENGTH == 0)
        action, reward = rng.uniform(-1, 1, (n_envs, 3)), rng.uniform(size=n_envs)
        for buffer in buffers:
            buffer.add(dict(seen), dict(after), action, reward, done, [{}] * n_envs)
        seen = frames(rng, n_envs) if done[0] else after


def make(kind, vec_env, n_envs, size=60, **more):
    return kind(size * n_envs, SPACE, ACTIONS, vec_env, device="cpu", n_envs=n_envs, **more)


@pytest.mark.parametrize("n_envs", [1, 2])
@pytest.mark.parametrize("steps", [30, 60, 63, 200])
def test_samples_are_those_of_the_original(vec_env, n_envs, steps):
    original = make(HerReplayBuffer, vec_env, n_envs)
    ours = make(FrameHerReplayBuffer, vec_env, n_envs, frame_keys=("image", "depth"), episode_length=LENGTH)
    fill((original, ours), n_envs, steps)
    batches = []
    for buffer in (original, ours):
        np.random.seed(1)  # noqa: NPY002
        batches.append(buffer.sample(128))
    for part in ("observations", "next_observations"):
        one, two = (getattr(batch, part) for batch in batches)
        assert one.keys() == two.keys()
        for key in one:
            assert one[key].dtype == two[key].dtype
            assert th.allclose(one[key].float(), two[key].float(), atol=DEPTH_UNIT_M / 2)
    assert th.equal(batches[0].rewards, batches[1].rewards)
    assert th.equal(batches[0].actions, batches[1].actions)


def test_memory_is_at_most_half(vec_env):
    size = 500
    original = make(HerReplayBuffer, vec_env, 1, size)
    ours = make(FrameHerReplayBuffer, vec_env, 1, size, frame_keys=("image", "depth"), episode_length=50)
    theirs = sum(one.nbytes for kept in (original.observations, original.next_observations) for one in kept.values())
    assert ours.nbytes <= theirs / 2


def test_saved_and_loaded_it_goes_on(vec_env, tmp_path):
    buffer = make(FrameHerReplayBuffer, vec_env, 1, frame_keys=("image", "depth"), episode_length=LENGTH)
    fill((buffer,), 1, 3 * LENGTH)
    save_to_pkl(tmp_path / "buffer.pkl", buffer)
    loaded = load_from_pkl(tmp_path / "buffer.pkl")
    loaded.set_env(vec_env)
    for one in (buffer, loaded):
        fill((one,), 1, 2 * LENGTH, seed=1)
    batches = []
    for one in (buffer, loaded):
        np.random.seed(2)  # noqa: NPY002
        batches.append(one.sample(32).observations["image"])
    assert th.equal(*batches)


def test_episodes_shorter_than_said_are_refused_before_frames_are_lost(vec_env):
    buffer = make(FrameHerReplayBuffer, vec_env, 1, frame_keys=("image",), episode_length=60)
    with pytest.raises(RuntimeError, match="episode_length"):
        fill((buffer,), 1, 200)
