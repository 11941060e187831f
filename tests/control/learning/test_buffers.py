import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.buffers import DictReplayBuffer
from stable_baselines3.common.save_util import load_from_pkl, save_to_pkl
from stable_baselines3.common.vec_env import DummyVecEnv

from control.learning.buffers import FrameHerReplayBuffer, FrameRing, memory_bytes
from control.policies.picture import PictureParams
from control.task.env import ReachEnv
from control.task.image_env import ImageReachEnv

SPACE = spaces.Dict(
    {
        "image": spaces.Box(0, 255, (3, 8, 8), np.uint8),
        "mask": spaces.Box(0, 255, (1, 8, 8), np.uint8),
        "desired_goal": spaces.Box(-2, 2, (3,), np.float32),
        "achieved_goal": spaces.Box(-2, 2, (3,), np.float32),
    }
)
ACTIONS = spaces.Box(-1, 1, (3,), np.float32)
LENGTH = 7
GOALS = ("achieved_goal", "desired_goal")
FRAMES = ("image", "mask")


@pytest.fixture(scope="module")
def vec_env():
    return DummyVecEnv([ReachEnv, ReachEnv])


def frames(rng, n_envs):
    seen = {key: np.stack([space.sample() for _ in range(n_envs)]) for key, space in SPACE.items()}
    return seen | {key: rng.integers(0, 256, seen[key].shape, dtype=np.uint8) for key in FRAMES}


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
    ours = make(FrameHerReplayBuffer, vec_env, n_envs, frame_keys=FRAMES)
    fill((original, ours), n_envs, steps)
    batches = []
    for buffer in (original, ours):
        np.random.seed(1)  # noqa: NPY002
        batches.append(buffer.sample(128))
    for part, keys in (("observations", SPACE.keys()), ("next_observations", SPACE.keys() - FRAMES)):
        one, two = (getattr(batch, part) for batch in batches)
        assert two.keys() == keys
        for key in two:
            assert one[key].dtype == two[key].dtype
            assert th.equal(one[key], two[key])
    assert th.equal(batches[0].rewards, batches[1].rewards)
    assert th.equal(batches[0].actions, batches[1].actions)


@pytest.mark.parametrize("depth", [False, True])
def test_memory_is_at_most_half_of_sb3_s_own_buffer(rig, vec_env, depth):
    """Of scenes' pictures at the size that is learnt from, each of another scene; everything counted in both."""
    env = ImageReachEnv(None, "params/frames.yaml", "nominal", PictureParams(depth=depth), learning=True, rig=rig)
    space = spaces.Dict({key: env.observation_space[key] for key in ("image", *GOALS)})
    theirs = DictReplayBuffer(100, space, ACTIONS, device="cpu")
    ours = FrameHerReplayBuffer(100, space, ACTIONS, vec_env, device="cpu")
    seen = env.reset(seed=0)[0]
    for step in range(1, 101):
        after = env.step(np.zeros(3, dtype=np.float32))[0]
        before, now = ({key: one[key][None] for key in space} for one in (seen, after))
        for buffer in (theirs, ours):
            buffer.add(dict(before), dict(now), np.zeros((1, 3)), np.zeros(1), np.array([step % 50 == 0]), [{}])
        seen = after
    env.close()
    assert memory_bytes(ours) <= 0.5 * memory_bytes(theirs)
    kept = {**theirs.observations, **theirs.next_observations}
    assert memory_bytes(theirs) > sum(one.nbytes for one in kept.values()), "both roles of every key are counted"


def test_frames_that_cannot_be_packed_come_back_the_same():
    ring = FrameRing(10, 1, (3, 84, 84))
    noise = np.random.default_rng(0).integers(0, 256, (1, 3, 84, 84), dtype=np.uint8)
    ring[4] = noise
    assert np.array_equal(ring[np.array([4]), np.array([0]), :], noise)


def test_saved_and_loaded_it_goes_on(vec_env, tmp_path):
    buffer = make(FrameHerReplayBuffer, vec_env, 1, frame_keys=FRAMES)
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
