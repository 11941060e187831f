"""A recording as a camera: the same calls, the same frames, at the pace they were taken or as fast as they are read."""

import atexit
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from datasets.common.errors import DataError, DeviceError
from datasets.rig.frame import Frame
from datasets.rig.projection import Intrinsics
from perception.cameras.camera import Camera
from perception.cameras.latest_frame import LatestFrame
from perception.cameras.realsense.recording import RealSenseRecording, Recording
from perception.cameras.realsense.settings import CameraSettings
from perception.cameras.run_recording import RunRecording


class RecordingEnded(DeviceError):
    """All frames of a recording have been given."""


def open_recording(path: Path, rig: Intrinsics, settings: CameraSettings) -> Recording:
    """A recording by its path: a ``.db3`` or ``.bag`` file of librealsense, or the folder of a recorded run.

    Raises:
        DataError: there is none, or it is damaged.
        DeviceError: it was recorded with a camera unlike the rig's.
    """
    if path.is_dir():
        return RunRecording(path, rig)
    if path.suffix in (".db3", ".bag"):
        return RealSenseRecording(path, rig, settings)
    raise DataError(f"{path}: no such recording; name a .db3 file or the folder of a recorded run")


class PlaybackCamera(Camera):
    """Plays a recording.

    In real time a frame appears when it was taken, counted from ``connect``, and a slow reader misses some, as live.
    Otherwise time advances by being looked at: every ``read`` and every ``read_latest`` gives the next frame, none is
    missed, and it counts as taken now.

    Args:
        open_recording: opens it from its beginning: ``lambda: open_recording(path, rig.camera, settings)``.
        real_time: at the pace of the recording.
        read_timeout_s: longest wait of ``read`` in real time.
    """

    def __init__(
        self, open_recording: Callable[[], Recording], real_time: bool = True, read_timeout_s: float = 1.0
    ) -> None:
        self._open_recording = open_recording
        self._real_time = real_time
        self._read_timeout_s = read_timeout_s
        self._recording: Recording | None = None
        self._first: Frame | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._mailbox = LatestFrame()
        self._given = 0

    @property
    def is_connected(self) -> bool:
        """Whether the recording is open, be it at its end."""
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
        self._recording, self._first = recording, first
        self._given = 0
        self._stopping.clear()
        self._mailbox = LatestFrame()
        if self._real_time:
            begin_s = time.monotonic()
            self._mailbox.post(replace(first, timestamp=begin_s))
            self._thread = threading.Thread(
                target=self._play, args=(recording, first, begin_s), name="playback", daemon=True
            )
            self._thread.start()
        atexit.register(self.disconnect)  # as for a live camera: no thread inside librealsense at the very end

    def read(self) -> Frame:
        """The next frame; raises RecordingEnded after the last."""
        if self._real_time:
            self._require()
            return self._mailbox.take(self._read_timeout_s)
        return self._step()

    def read_latest(self, max_age_s: float) -> Frame:
        """The newest frame; raises RecordingEnded after the last."""
        if self._real_time:
            self._require()
            return self._mailbox.latest(max_age_s)
        return self._step()

    def disconnect(self) -> None:
        """Close the recording; idempotent, never raises."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._recording is not None:
            self._recording.close()
            self._recording = None
        atexit.unregister(self.disconnect)

    def _require(self) -> Recording:
        if self._recording is None:
            raise DeviceError("the recording is not open; call connect() first")
        return self._recording

    def _step(self) -> Frame:
        recording = self._require()
        frame = self._first if self._given == 0 else recording.next()
        if frame is None:
            raise self._ended()
        self._given += 1
        return replace(frame, timestamp=time.monotonic())

    def _play(self, recording: Recording, first: Frame, begin_s: float) -> None:
        self._given, last_s, period_s = 1, first.timestamp, 0.0
        to_ours_s = begin_s - first.timestamp
        try:
            while (frame := recording.next()) is not None:
                if self._stopping.wait(max(0.0, to_ours_s + frame.timestamp - time.monotonic())):
                    return
                self._mailbox.post(replace(frame, timestamp=to_ours_s + frame.timestamp))
                period_s, last_s = frame.timestamp - last_s, frame.timestamp
                self._given += 1
            # The last frame stays in view as long as the one before it did.
            self._stopping.wait(max(0.0, to_ours_s + last_s + period_s - time.monotonic()))
            self._mailbox.fail(self._ended())
        except Exception as error:  # whatever it is, it must reach those who read, not end in this thread
            self._mailbox.fail(DeviceError(str(error)))

    def _ended(self) -> RecordingEnded:
        return RecordingEnded(f"the recording has ended after {self._given} frames")
