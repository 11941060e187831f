"""A camera that plays a recording: the same calls and the same frames, as fast as they are read."""

import atexit
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from datasets.common.errors import DataError, DeviceError
from datasets.rig.frame import Frame
from datasets.rig.projection import Intrinsics
from perception.cameras.camera import Camera, RecordingEnded
from perception.cameras.realsense.recording import RealSenseRecording, Recording
from perception.cameras.realsense.settings import CameraParams
from perception.cameras.run_recording import RecordedFrame, RunRecording


def open_recording(path: Path, rig: Intrinsics, settings: CameraParams) -> Recording:
    """A recording by its path: a ``.db3`` or ``.bag`` file of librealsense, or the folder of a recorded run.

    Raises:
        DataError: the recording is missing or damaged.
        DeviceError: it was recorded with a camera unlike the rig's.
    """
    if path.is_dir():
        return RunRecording(path, rig)
    if path.suffix in (".db3", ".bag"):
        return RealSenseRecording(path, rig, settings)
    raise DataError(f"{path}: no such recording; name a .db3 file or the folder of a recorded run")


class PlaybackCamera(Camera):
    """Plays a recording; its time advances with each frame that is read.

    Every ``read`` and every ``read_latest`` gives the next frame, none is missed, and it counts as taken now. In a
    recorded run, each goal gets the frames that were recorded for the same goal.

    Args:
        open_recording: opens it from its beginning: ``lambda: open_recording(path, rig.camera, settings)``.
    """

    def __init__(self, open_recording: Callable[[], Recording]) -> None:
        self._open_recording = open_recording
        self._recording: Recording | None = None
        self._ahead: Frame | None = None
        self._taken = 0
        self._goal_index: int | None = None

    @property
    def is_connected(self) -> bool:
        """Whether the recording is open, even if it has reached its end."""
        return self._recording is not None

    @property
    def intrinsics(self) -> Intrinsics:
        """The recorded colour stream's; raises DeviceError while disconnected."""
        return self._require().intrinsics

    def connect(self) -> None:
        """Open the recording and take its first frame; does nothing when it is open.

        Raises:
            DataError: it cannot be read, or holds no frame.
            DeviceError: its intrinsics do not fit the rig's.
        """
        if self._recording is not None:
            return
        recording = self._open_recording()
        try:
            first = recording.next()
            if first is None:
                raise DataError("the recording holds no frame with colour and depth; record it again")
        except BaseException:
            recording.close()
            raise
        self._recording, self._ahead, self._taken, self._goal_index = recording, first, 1, None
        atexit.register(self.disconnect)  # as for a live camera: no thread inside librealsense at the very end

    def begin_goal(self, index: int) -> None:
        """Skip to the frames that were recorded on the way to a goal; to the next frame in a recording without goals.

        Raises:
            RecordingEnded: no frame of it or of a later goal is left.
        """
        self._goal_index = index
        if not isinstance(self._next(), RecordedFrame):
            self.read()
            return
        while isinstance(frame := self._next(), RecordedFrame) and frame.goal_index < index:
            self._ahead = None

    def read(self) -> Frame:
        """The next frame; raises RecordingEnded after the last, of the recording or of the goal that was begun."""
        frame = self._next()
        if isinstance(frame, RecordedFrame) and self._goal_index is not None and frame.goal_index > self._goal_index:
            raise RecordingEnded("it holds no more frames of this goal")
        self._ahead = None
        return replace(frame, timestamp=time.monotonic())

    def read_latest(self, max_age_s: float) -> Frame:
        """The next frame, as :meth:`read`; it counts as new, whatever its age."""
        return self.read()

    def disconnect(self) -> None:
        """Close the recording; idempotent, never raises."""
        if self._recording is not None:
            self._recording.close()
            self._recording = None
        atexit.unregister(self.disconnect)

    def _require(self) -> Recording:
        if self._recording is None:
            raise DeviceError("the recording is not open; call connect() first")
        return self._recording

    def _next(self) -> Frame:
        """The next frame, kept until it is delivered."""
        recording = self._require()
        if self._ahead is None:
            self._ahead = recording.next()
            if self._ahead is None:
                raise RecordingEnded(f"the recording has ended after {self._taken} frames")
            self._taken += 1
        return self._ahead
