"""Hindsight replay for images: each frame is kept once, packed without loss."""

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from numcodecs import Blosc
from numpy.typing import NDArray
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.buffers import DictReplayBuffer
from stable_baselines3.common.vec_env import VecEnv

DEPTH_UNIT_M = 1e-4
"""Depth is kept as uint16 in 0.1 mm, as in the frame stores: up to 6.55 m."""


class FrameRing:
    """A ring of frames that consecutive transitions share: the picture after a step is the picture before the next.

    An episode of T transitions has T + 1 frames, so that frames kept once, as they are, take (T + 1) / 2T of what a
    replay buffer takes that keeps both of each transition: more than half. Each frame is therefore packed, by LZ4
    on shuffled bits, which costs tens of microseconds per frame in either direction and gives back the same bits.

    :param capacity: number of transitions that refer to the frames
    :param episode_length: shortest episode; each episode needs one frame more than it has transitions
    :param n_envs: number of environments, each with a ring of its own
    :param shape: of a frame
    :param dtype: of the frames as they come and go; floats are depths in m and kept as uint16
    """

    def __init__(self, capacity: int, episode_length: int, n_envs: int, shape: tuple[int, ...], dtype: np.dtype):
        self.dtype = dtype
        self._is_depth = np.issubdtype(dtype, np.floating)
        self._kept_dtype = np.dtype(np.uint16) if self._is_depth else dtype
        self._shape = shape
        self._size = capacity + -(-capacity // episode_length) + 2
        self._frames: list[list[bytes]] = [[b""] * self._size for _ in range(n_envs)]
        size = int(np.prod(shape)) * self._kept_dtype.itemsize
        # One block per frame: several would be packed by several threads, which takes longer for as little as this.
        self._codec = Blosc("lz4", clevel=1, shuffle=Blosc.BITSHUFFLE, blocksize=size)
        self.before = np.full((capacity, n_envs), -1, dtype=np.int64)
        self.after = np.full((capacity, n_envs), -1, dtype=np.int64)
        self._envs = np.arange(n_envs)
        self._written = np.zeros(n_envs, dtype=np.int64)
        self.starting = np.ones(n_envs, dtype=bool)

    @property
    def nbytes(self) -> int:
        """Memory of the frames as they are packed, and of the indices."""
        packed = sum(sys.getsizeof(ring) + sum(map(sys.getsizeof, ring)) for ring in self._frames)
        return packed + self.before.nbytes + self.after.nbytes

    def put_before(self, row: int, frames: NDArray) -> None:
        """The pictures ``(n_envs, ...)`` before a transition: new ones only where an episode starts."""
        self.before[row] = self._written - 1
        new = self._envs[self.starting]
        self.before[row, new] = self._append(new, frames)

    def put_after(self, row: int, frames: NDArray) -> None:
        """The pictures ``(n_envs, ...)`` after a transition.

        Raises:
            RuntimeError: episodes are shorter than was said, and frames still referred to would be lost.
        """
        self.after[row] = self._append(self._envs, frames)
        oldest = self.before[(row + 1) % len(self.before)]
        if np.any((oldest >= 0) & (oldest <= self._written - 1 - self._size)):
            raise RuntimeError("episodes are shorter than episode_length: give the replay buffer the shortest length")

    def take(self, numbers: NDArray[np.int64], envs: NDArray[np.int64]) -> NDArray:
        """Frames ``(n, ...)`` by their running numbers ``(n,)`` and environments ``(n,)``."""
        frames = np.empty((len(numbers), *self._shape), dtype=self._kept_dtype)
        for frame, place, env in zip(frames, numbers % self._size, envs, strict=True):
            self._codec.decode(self._frames[env][place], out=frame)
        return frames.astype(self.dtype) * self.dtype.type(DEPTH_UNIT_M) if self._is_depth else frames

    def _append(self, envs: NDArray[np.int64], frames: NDArray) -> NDArray[np.int64]:
        numbers = self._written[envs]
        kept = np.rint(frames[envs] / DEPTH_UNIT_M).clip(0, np.iinfo(np.uint16).max) if self._is_depth else frames[envs]
        for frame, place, env in zip(kept.astype(self._kept_dtype), numbers % self._size, envs, strict=True):
            self._frames[env][place] = bytes(self._codec.encode(np.ascontiguousarray(frame)))
        self._written[envs] += 1
        return numbers


class FrameView:
    """One of the two roles of a ring's frames, in the place where a replay buffer keeps an array per key."""

    def __init__(self, ring: FrameRing, is_after: bool):
        self._ring = ring
        self._is_after = is_after

    @property
    def nbytes(self) -> int:
        """Counted once for both roles."""
        return 0 if self._is_after else self._ring.nbytes

    def __setitem__(self, row: int, frames: NDArray) -> None:
        (self._ring.put_after if self._is_after else self._ring.put_before)(row, frames)

    def __getitem__(self, where: tuple[NDArray[np.int64], NDArray[np.int64], slice]) -> NDArray:
        rows, envs, _ = where
        numbers = (self._ring.after if self._is_after else self._ring.before)[rows, envs]
        return self._ring.take(numbers, envs)


def memory_bytes(buffer: DictReplayBuffer) -> int:
    """Memory of everything a replay buffer keeps: all its arrays, and the records that belong to them."""
    total = 0
    for kept in vars(buffer).values():
        parts = kept.values() if isinstance(kept, dict) else [kept]
        total += sum(part.nbytes for part in parts if isinstance(part, np.ndarray | FrameView))
    return total + sum(sys.getsizeof(info) for info in np.ravel(getattr(buffer, "infos", [])))


class FrameHerReplayBuffer(HerReplayBuffer):
    """:class:`stable_baselines3.HerReplayBuffer` whose image observations are stored once instead of twice.

    Samples are those of the original for the same seed; depths are rounded to 0.1 mm. How much memory the frames take
    depends on how well they can be packed: see :func:`memory_bytes`.

    :param frame_keys: the observations to keep so; uint8 images, or float32 depths in m
    :param episode_length: length of the shortest episode

    The other parameters are those of :class:`stable_baselines3.HerReplayBuffer`.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Dict,
        action_space: spaces.Space,
        env: VecEnv,
        device: th.device | str = "auto",
        n_envs: int = 1,
        *,
        frame_keys: tuple[str, ...] = ("image",),
        episode_length: int = 50,
        **kwargs: Any,
    ):
        rest = spaces.Dict({key: space for key, space in observation_space.items() if key not in frame_keys})
        super().__init__(buffer_size, rest, action_space, env, device, n_envs, **kwargs)
        self.observation_space = observation_space
        self.rings: Mapping[str, FrameRing] = {}
        for key in frame_keys:
            space = observation_space[key]
            assert space.shape is not None
            assert space.dtype is not None
            ring = FrameRing(self.buffer_size, episode_length, n_envs, space.shape, np.dtype(space.dtype))
            self.rings = {**self.rings, key: ring}
            self.observations[key] = FrameView(ring, is_after=False)  # type: ignore[assignment]
            self.next_observations[key] = FrameView(ring, is_after=True)  # type: ignore[assignment]

    def add(  # type: ignore[override]
        self,
        obs: dict[str, NDArray],
        next_obs: dict[str, NDArray],
        action: NDArray,
        reward: NDArray,
        done: NDArray,
        infos: list[dict[str, Any]],
    ) -> None:
        """Store a transition of each environment."""
        super().add(obs, next_obs, action, reward, done, infos)
        for ring in self.rings.values():
            ring.starting = np.array(done, dtype=bool)

    def truncate_last_trajectory(self) -> None:
        """After loading: the unfinished episode ends here, and the next transition brings its own first frame."""
        super().truncate_last_trajectory()
        for ring in self.rings.values():
            ring.starting[:] = True
