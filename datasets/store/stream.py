"""Batches read from a split shard by shard: memory does not grow with the number of frames."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from datasets.common.errors import DataError
from datasets.rig.rig import Rig
from datasets.store.store import FrameStore, LookName, depth_to_metres

Batch = dict[str, torch.Tensor]
"""One look of B frames: ``rgb (B, S, S, 3)`` uint8, ``depth (B, S, S)`` m (0 = no reading), ``window (B, 4)`` px,
``tcp``, ``tcp_seen`` and ``base_seen (B, 3)`` m, ``joints (B, 7)`` rad, ``intrinsics (B, 4)`` and ``image_px (B, 2)``
of the native image, ``T_base_camera`` and ``T_base_camera_told (B, 4, 4)``; float32 but for ``rgb``."""

MIXED_SHARDS = 4
"""Shards held in memory and shuffled together: 35 MB of 250-frame shards. Frames are drawn independently of each
other, so the mixture need not be wider."""

_LABELS = ("tcp", "tcp_seen", "base_seen", "joints", "intrinsics", "image_px", "T_base_camera", "T_base_camera_told")


@dataclass(frozen=True)
class Part:
    """Consecutive frames ``start:stop`` inside one shard."""

    start: int
    stop: int


def share(parts: list[Part], stream: int, streams: int) -> list[Part]:
    """The parts of stream number ``stream`` when ``streams`` readers divide the frames; sizes differ by at most one."""
    frames = sum(part.stop - part.start for part in parts)
    first, last = frames * stream // streams, frames * (stream + 1) // streams
    mine, offset = [], 0
    for part in parts:
        size = part.stop - part.start
        begin, end = max(first - offset, 0), min(last - offset, size)
        if begin < end:
            mine.append(Part(part.start + begin, part.start + end))
        offset += size
    return mine


class LookStream(IterableDataset[Batch]):
    """Batches of one look of a split.

    Ranks and loader workers share the frames out among themselves; every rank yields the same number of batches.
    Shuffled, an epoch visits the shards in random order and drops what does not fill a batch on every rank;
    in order, it yields every frame exactly once.

    Args:
        store: the split to read.
        look: which look; a split without it is refused.
        rig: the rig the frames must have been drawn for.
        batch_size: frames in a batch, at most.
        seed: of the shuffling, the same on all ranks; None keeps the frames in order.
        rank, ranks: this process's number among those that train together.
        frames: use only this many of the split's first frames.
    """

    def __init__(
        self,
        store: FrameStore,
        look: LookName,
        rig: Rig,
        batch_size: int,
        seed: int | None = None,
        rank: int = 0,
        ranks: int = 1,
        frames: int | None = None,
    ) -> None:
        super().__init__()
        store.require_rig(rig)
        if look not in store.looks:
            raise DataError(f"{store.where}: has no look {look!r}, only {', '.join(store.looks) or 'labels'}")
        self.epoch = 0
        self.frames = min(store.frames, frames or store.frames)
        if self.frames < ranks:
            raise DataError(f"{store.where}: {self.frames} frames cannot feed {ranks} processes; draw more frames")
        self._store, self._look, self._batch_size, self._seed = store, look, batch_size, seed
        self._rank, self._ranks = rank, ranks
        size = store.shard_frames
        self._parts = [Part(start, min(start + size, self.frames)) for start in range(0, self.frames, size)]

    def batches(self, workers: int) -> int:
        """Batches a rank yields in an epoch when its loader has ``workers`` worker processes."""
        readers = max(workers, 1)
        return sum(self._stream_batches(self._ranks * readers) for _ in range(readers))

    def __iter__(self) -> Iterator[Batch]:
        """Yield this process's batches of the current ``epoch``."""
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        streams = self._ranks * workers
        parts = self._parts
        rng = None
        if self._seed is not None:
            order = np.random.default_rng([self._seed, self.epoch])
            parts = [parts[i] for i in order.permutation(len(parts))]
            rng = np.random.default_rng([self._seed, self.epoch, self._rank, worker])
        parts = share(parts, self._rank * workers + worker, streams)
        yield from self._assemble(parts, self._stream_batches(streams), rng)

    def _stream_batches(self, streams: int) -> int:
        smallest, largest = self.frames // streams, -(-self.frames // streams)
        if self._seed is None:
            return -(-largest // self._batch_size)
        return max(smallest // self._batch_size, 1)

    def _assemble(self, parts: list[Part], batches: int, rng: np.random.Generator | None) -> Iterator[Batch]:
        left = sum(part.stop - part.start for part in parts)
        sizes = [len(b) for b in np.array_split(np.arange(left), batches)] if rng is None else None
        if sizes is None:
            sizes = [min(self._batch_size, left)] * batches
        pool, used = _Pool(), 0
        waiting = iter(parts)
        for size in sizes:
            while len(pool) - used < size:
                pool.refill(used, [self._read(part) for part in islice(waiting, MIXED_SHARDS)], rng)
                used = 0
            yield _to_batch(pool.take(used, used + size))
            used += size

    def _read(self, part: Part) -> dict[str, NDArray[Any]]:
        read = self._store.read
        rows = {name: read(name, part.start, part.stop) for name in _LABELS}
        rows["rgb"] = read(f"{self._look}/rgb", part.start, part.stop)
        rows["depth"] = read(f"{self._look}/depth", part.start, part.stop)
        rows["window"] = read(f"{self._look}/window", part.start, part.stop)
        return rows


class _Pool:
    """A buffer of rows from a few shards in shuffled order."""

    def __init__(self) -> None:
        self._rows: dict[str, NDArray[Any]] = {}
        self._order = np.arange(0)

    def __len__(self) -> int:
        return len(self._order)

    def refill(self, used: int, shards: list[dict[str, NDArray[Any]]], rng: np.random.Generator | None) -> None:
        """Drop the first ``used`` rows and add those of ``shards``."""
        rest = self.take(used, len(self)) if used < len(self) else None
        blocks = [*([rest] if rest else []), *shards]
        self._rows = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
        count = len(self._rows["tcp"])
        self._order = np.arange(count) if rng is None else rng.permutation(count)

    def take(self, start: int, stop: int) -> dict[str, NDArray[Any]]:
        """Copies of rows ``start:stop`` of the order."""
        return {name: values[self._order[start:stop]] for name, values in self._rows.items()}


def _to_batch(rows: dict[str, NDArray[Any]]) -> Batch:
    rows["depth"] = depth_to_metres(rows["depth"])
    return {
        name: torch.from_numpy(values if values.dtype == np.uint8 else values.astype(np.float32, copy=False))
        for name, values in rows.items()
    }


class StreamLoader(DataLoader[Batch]):
    """Loads a :class:`LookStream` and sets its epoch, which seeds the shuffling, at the start of each pass."""

    def __init__(self, stream: LookStream, workers: int, epoch: Callable[[], int] | None = None) -> None:
        super().__init__(stream, batch_size=None, num_workers=workers)
        self._stream, self._epoch, self._passes = stream, epoch, 0

    def __iter__(self) -> Any:
        """Begin a pass."""
        self._stream.epoch = self._epoch() if self._epoch else self._passes
        self._passes += 1
        return super().__iter__()

    def __len__(self) -> int:
        """Batches in a pass of this process."""
        return self._stream.batches(self.num_workers)
