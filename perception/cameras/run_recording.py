"""A recorded run or capture, as the project's own stores keep it, played frame by frame."""

from collections import deque
from dataclasses import dataclass
from pathlib import Path

from datasets.common.errors import DataError
from datasets.rig.frame import Frame
from datasets.rig.projection import Intrinsics
from datasets.store.recording import Recording as StoredRecording
from datasets.store.store import depth_to_metres


@dataclass(frozen=True)
class RecordedFrame(Frame):
    """A frame of a run, and which of the recording's goals it was taken on the way to, from 0."""

    goal_index: int


class RunRecording:
    """Native frames of a recording in order; a frame that a run used twice is given once.

    A run's frames are :class:`RecordedFrame`; those of a recording without goals are not.

    Args:
        path: of the recording: its store's folder and its name, as in ``results/runs/NAME``.
        rig: the intrinsics whose image size the frames must have.

    Raises:
        DataError: there is no recording, or its images have another size.
    """

    def __init__(self, path: Path, rig: Intrinsics) -> None:
        self._stored = StoredRecording(str(path.parent), path.name)
        if "native/rgb" not in self._stored.arrays:
            raise DataError(f"{path}: holds no native frames to play; name a recorded run or capture")
        height, width = self._stored.arrays["native/rgb"].shape[1:3]
        if (width, height) != (rig.width, rig.height):
            raise DataError(
                f"{path}: its images are {width}x{height} px, the rig's {rig.width}x{rig.height}; "
                "play it with the rig it was recorded with"
            )
        if not self._stored.frames:
            raise DataError(f"{path}: not one frame of this recording can be read; record it again")
        self.intrinsics = Intrinsics.from_array(self._stored.read("intrinsics", 0, 1)[0], width, height)
        self._segment = int(self._stored.attributes["segment_frames"])
        self._has_goals = "goal_index" in self._stored.arrays
        self._first_goal = int(self._stored.read("goal_index", 0, 1)[0]) if self._has_goals else 0
        self._read = 0
        self._ready: deque[Frame] = deque()
        self._last_s = float("-inf")

    def next(self) -> Frame | None:
        """The next frame, None at the end; raises DataError when its segment is damaged."""
        while not self._ready:
            if self._read >= self._stored.frames:
                return None
            self._read_segment()
        return self._ready.popleft()

    def close(self) -> None:
        """Forget what was read ahead; idempotent."""
        self._ready.clear()

    def _read_segment(self) -> None:
        """Read the next segment; it was stored as a whole, and so it is uncompressed as a whole."""
        begin, end = self._read, min(self._read + self._segment, self._stored.frames)
        rgb, depth, times = (self._stored.read(key, begin, end) for key in ("native/rgb", "native/depth", "timestamp"))
        goals = self._stored.read("goal_index", begin, end) if self._has_goals else [None] * len(times)
        self._read = end
        for image, units, time_s, goal in zip(rgb, depth, times, goals, strict=True):
            if time_s > self._last_s:
                self._last_s = float(time_s)
                given = image, depth_to_metres(units), self._last_s
                self._ready.append(
                    Frame(*given) if goal is None else RecordedFrame(*given, int(goal) - self._first_goal)
                )
