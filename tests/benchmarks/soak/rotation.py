"""Recordings one after the other, of which only the newest are kept: a run without end on a disk that has one."""

from collections import deque
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from datasets.common.errors import DataError
from datasets.rig.frame import Frame
from pipelines.observers.recorder import RunRecorder, delete_recording
from pipelines.runtime.tick import GoalResult, Tick


class RotatingRecorder:
    """Observes runs as :class:`RunRecorder` does, from one call of :meth:`rotate` to the next.

    Args:
        keep: how many recordings, the one being written included, stay on the disk.
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._kept: deque[Path] = deque()
        self._recorder: RunRecorder | None = None
        self.made = self.removed = self.dropped = 0

    @property
    def kept(self) -> tuple[Path, ...]:
        """The recordings on the disk, oldest first."""
        return tuple(self._kept)

    def __call__(self, tick: Tick, frame: Frame) -> None:
        """Hand one tick to the recording of the moment."""
        if self._recorder is not None:
            self._recorder(tick, frame)

    def finished(self, result: GoalResult) -> None:
        """Note how a goal ended."""
        if self._recorder is not None:
            self._recorder.finished(result)

    def rotate(self, start: Callable[[], RunRecorder]) -> None:
        """End the recording of the moment and ``start`` another; raises what ``start`` raises."""
        self.close()
        self._remove_all_but(self._keep - 1)
        self._recorder = start()
        self._kept.append(self._recorder.path)
        self.made += 1

    def close(self) -> None:
        """End the recording of the moment; idempotent."""
        if self._recorder is not None:
            self._recorder.close()
            self.dropped += self._recorder.dropped
            self._recorder = None

    def remove(self) -> None:
        """End the recording of the moment and take all that are kept off the disk."""
        self.close()
        self._remove_all_but(0)

    def _remove_all_but(self, count: int) -> None:
        while len(self._kept) > count:
            oldest = self._kept.popleft()
            try:
                delete_recording(oldest)
            except (DataError, OSError) as error:
                tqdm.write(f"{oldest} stays: {error}")
                continue
            tqdm.write(f"{oldest}: deleted, the newest {self._keep} recordings are kept")
            self.removed += 1
