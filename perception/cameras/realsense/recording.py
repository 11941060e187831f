"""Recordings of a camera: frames in the order and with the times they were taken."""

import time
from pathlib import Path
from typing import Protocol

import pyrealsense2 as rs

from datasets.common.errors import DataError
from datasets.rig.frame import Frame
from datasets.rig.projection import Intrinsics
from perception.cameras.realsense.aligned_stream import AlignedStream, Rejected
from perception.cameras.realsense.settings import CameraParams

_LAST_FRAMES_S = 0.5


class Recording(Protocol):
    """An open recording, read from its beginning to its end, once."""

    @property
    def intrinsics(self) -> Intrinsics:
        """Intrinsics of the colour images."""
        ...

    def next(self) -> Frame | None:
        """The next frame, its ``timestamp`` on the recording's own clock (s); None at the end.

        Raises:
            DataError: what is stored there is no frame.
        """
        ...

    def close(self) -> None:
        """Let go of the file; idempotent."""
        ...


class RealSenseRecording:
    """A ``.db3`` (or older ``.bag``) file written by librealsense, through the pipeline a live camera uses.

    Every frameset is handed out however slowly it is asked for; repeated and unpaired ones are left out as live. Other
    image sizes than the rig's are scaled and cut (:class:`~perception.cameras.realsense.image_fit.ImageFit`).

    Raises:
        DataError: the file is missing, is not a recording by librealsense, or has no colour or no depth.
        DeviceError: its intrinsics do not fit the rig's.
    """

    def __init__(self, path: Path, rig: Intrinsics, settings: CameraParams) -> None:
        if not path.is_file():
            raise DataError(f"{path}: no such recording; name a .db3 file written by librealsense")
        self._path, self._settings = path, settings
        self._given, self._refused = 0, ""
        self._playback: rs.playback | None = None
        self._stream: AlignedStream | None = AlignedStream(self._start, rig, settings, recorded=True)
        self.intrinsics = self._stream.intrinsics

    def next(self) -> Frame | None:
        """The next new frame, None at the end.

        Raises:
            DataError: the recording ends without a single one; the message says what it holds.
        """
        if self._stream is None or self._playback is None:
            return None
        # The reader counts as stopped before it has begun, and again while its last frames are still on their way.
        patience_s = self._settings.connect_timeout_s if self._given == 0 else _LAST_FRAMES_S
        quiet_since_s = time.monotonic()
        while True:
            arrived = self._stream.next(timeout_s=0.1)
            if isinstance(arrived, Frame):
                self._given += 1
                return arrived
            if isinstance(arrived, Rejected):
                self._refused = arrived.why
            playing = self._playback.current_status() != rs.playback_status.stopped
            if arrived is not None or (playing and self._given > 0):
                quiet_since_s = time.monotonic()
            elif time.monotonic() - quiet_since_s > patience_s:
                if self._given == 0:
                    raise DataError(
                        f"{self._path}: holds no frame of colour and depth that belong together "
                        f"({self._stream.description}; the last of it: {self._refused or 'nothing arrives'}); record "
                        "both streams at one rate, for a second or more"
                    )
                return None

    def close(self) -> None:
        """Let go of the file; idempotent."""
        self._playback = None
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _start(self) -> tuple[rs.pipeline, rs.pipeline_profile]:
        config = rs.config()
        try:
            config.enable_device_from_file(str(self._path), repeat_playback=False)
            pipeline = rs.pipeline()
            # Before the start: otherwise the first frames are played at the recording's pace, and some are lost.
            playback = config.resolve(rs.pipeline_wrapper(pipeline)).get_device().as_playback()
            playback.set_real_time(False)
            profile = pipeline.start(config)
        except RuntimeError as error:
            raise DataError(
                f"{self._path}: librealsense cannot play it ({error}); it may have been cut short"
            ) from error
        streams = {(stream.stream_type(), stream.format()) for stream in profile.get_streams()}
        missing = {(rs.stream.color, rs.format.rgb8), (rs.stream.depth, rs.format.z16)} - streams
        if missing:
            pipeline.stop()
            names = " and ".join(sorted(f"{kind.name} as {fmt.name}" for kind, fmt in missing))
            raise DataError(f"{self._path}: holds no {names}; record both streams with RealSenseCamera(record_to=...)")
        self._playback = profile.get_device().as_playback()
        return pipeline, profile
