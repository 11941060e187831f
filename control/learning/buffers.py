"""Hindsight replay for images: the picture before each step, packed without loss."""

import sys
from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from numcodecs import Blosc
from numpy.typing import NDArray
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.buffers import DictReplayBuffer
from stable_baselines3.common.vec_env import VecEnv


class FrameRing:
    """The pictures before the transitions of a replay buffer, each packed without loss.

    They are packed by Zstandard on shuffled bits, which takes some 70 microseconds per frame, and 45 to unpack it, and
    gives back the same bits. The ring replaces the array that a replay buffer keeps per key.

    :param capacity: number of transitions
    :param n_envs: number of environments
    :param shape: shape of a frame
    """

    def __init__(self, capacity: int, n_envs: int, shape: tuple[int, ...]):
        self._shape = shape
        self._frames: list[list[bytes]] = [[b""] * n_envs for _ in range(capacity)]
        # One block per frame: several blocks are packed by several threads, which takes longer for so little data.
        self._codec = Blosc("zstd", clevel=1, shuffle=Blosc.BITSHUFFLE, blocksize=int(np.prod(shape)))

    @property
    def nbytes(self) -> int:
        """Memory of the packed frames and of the lists that hold them, in bytes."""
        return sys.getsizeof(self._frames) + sum(
            sys.getsizeof(row) + sum(map(sys.getsizeof, row)) for row in self._frames
        )

    def __setitem__(self, row: int, frames: NDArray[np.uint8]) -> None:
        """Stores the pictures ``(n_envs, ...)`` before a transition."""
        self._frames[row] = [bytes(self._codec.encode(np.ascontiguousarray(frame))) for frame in frames]

    def __getitem__(self, where: tuple[NDArray[np.int64], NDArray[np.int64], slice]) -> NDArray[np.uint8]:
        """Returns pictures ``(n, ...)`` by their rows ``(n,)`` and environments ``(n,)``."""
        rows, envs, _ = where
        frames = np.empty((len(rows), *self._shape), dtype=np.uint8)
        for frame, row, env in zip(frames, rows, envs, strict=True):
            self._codec.decode(self._frames[row][env], out=frame)
        return frames


def memory_bytes(buffer: DictReplayBuffer) -> int:
    """Memory, in bytes, of everything a replay buffer keeps: all its arrays and the records that belong to them."""
    total = 0
    for kept in vars(buffer).values():
        parts = kept.values() if isinstance(kept, dict) else [kept]
        total += sum(part.nbytes for part in parts if isinstance(part, np.ndarray | FrameRing))
    return total + sum(sys.getsizeof(info) for info in np.ravel(getattr(buffer, "infos", [])))


class FrameHerReplayBuffer(HerReplayBuffer):
    """A :class:`stable_baselines3.HerReplayBuffer` that packs pictures, and keeps only those before each step.

    Samples are those of the original for the same seed, but the next observations contain no pictures: the inputs of
    the next action are kept as features, which were computed when the picture was taken
    (:class:`control.learning.ddpg.BottleneckDDPG`). How much memory the frames take depends on how well they can be
    packed: see :func:`memory_bytes`.

    :param frame_keys: the observations that are packed, uint8 images

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
        **kwargs: Any,
    ):
        rest = spaces.Dict({key: space for key, space in observation_space.items() if key not in frame_keys})
        super().__init__(buffer_size, rest, action_space, env, device, n_envs, **kwargs)
        self.observation_space = observation_space
        for key in frame_keys:
            shape = observation_space[key].shape
            assert shape is not None
            self.observations[key] = FrameRing(self.buffer_size, n_envs, shape)  # type: ignore[assignment]  # acts as an array
