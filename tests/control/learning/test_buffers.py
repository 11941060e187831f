import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.buffers import DictReplayBuffer
from stable_baselines3.common.save_util import load_from_pkl, save_to_pkl
from stable_baselines3.common.vec_env import DummyVecEnv

from control.arms.fence import Fence
from control.learning.buffers import DEPTH_UNIT_M, FrameHerReplayBuffer, FrameRing, memory_bytes
from control.task.env import ReachEnv
from control.task.goals import GoalSampler
from control.task.rendered import EpisodeScenes

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
GOALS = ("achieved_goal", "desired_goal")


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


@pytest.mark.parametrize("keys", [("image",), ("image", "depth")])
def test_memory_is_at_most_half_of_sb3_s_own_buffer(rig, vec_env, keys):
    """Of scenes' pictures at the size that is learnt from, with one episode in each; everything counted in both."""
    size, length = 100, 50
    px = rig.input_px
    shapes = {"image": spaces.Box(0, 255, (3, px, px), np.uint8), "depth": spaces.Box(0, 6, (1, px, px), np.float32)}
    space = spaces.Dict({key: shapes[key] for key in keys} | {key: SPACE[key] for key in GOALS})
    theirs = DictReplayBuffer(size, space, ACTIONS, device="cpu")
    ours = FrameHerReplayBuffer(size, space, ACTIONS, vec_env, device="cpu", frame_keys=keys, episode_length=length)
    scenes = EpisodeScenes("params/frames.yaml", "nominal", rig)

    def look() -> dict[str, np.ndarray]:
        scenes.redraw(int(rng.integers(2**31)))
        rgb, depth = scenes.camera(home + rng.uniform(-0.15, 0.15, 3))(rig.picture_window, px)
        seen = {"image": rgb.transpose(2, 0, 1), "depth": depth[None]} | dict.fromkeys(GOALS, np.zeros(3))
        return {key: np.asarray(seen[key], dtype=space[key].dtype)[None] for key in space}

    rng, home = np.random.default_rng(0), GoalSampler(rig, Fence.from_rig(rig), 0.2).home
    scenes.draw(0)
    after = look()
    for step in range(1, size + 1):
        seen = look() if step % length == 1 else after
        after, done = look(), np.array([step % length == 0])
        for buffer in (theirs, ours):
            buffer.add(dict(seen), dict(after), np.zeros((1, 3)), np.zeros(1), done, [{}])
    scenes.close()
    assert memory_bytes(ours) <= 0.5 * memory_bytes(theirs)
    kept = {**theirs.observations, **theirs.next_observations}
    assert memory_bytes(theirs) > 2 * sum(one.nbytes for one in kept.values()), "both roles of every key are counted"


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_frames_that_cannot_be_packed_come_back_the_same(dtype):
    ring = FrameRing(10, 5, 1, (3, 84, 84), np.dtype(dtype))
    noise = np.random.default_rng(0).integers(0, 255, (1, 3, 84, 84)).astype(dtype)
    if dtype == np.float32:
        noise *= np.float32(DEPTH_UNIT_M)
    ring.put_before(0, noise)
    assert np.allclose(ring.take(ring.before[0], np.zeros(1, dtype=np.int64)), noise, atol=DEPTH_UNIT_M / 2)


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
