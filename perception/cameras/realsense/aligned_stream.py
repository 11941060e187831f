"""One open librealsense pipeline: colour, and depth aligned to it, as frames on our own clock."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyrealsense2 as rs

from datasets.common.errors import DeviceError
from datasets.rig.frame import Frame
from datasets.rig.projection import Intrinsics
from perception.cameras.realsense.device_description import describe
from perception.cameras.realsense.exposure import free_exposure, lock_exposure, put_back
from perception.cameras.realsense.image_fit import ImageFit
from perception.cameras.realsense.intrinsics import adopt_intrinsics
from perception.cameras.realsense.pair_watch import PairWatch, Stamp
from perception.cameras.realsense.settings import CameraParams

logger = logging.getLogger(__name__)

# A capture time this far ahead of the arrival means that a clock was set; rounding cannot explain it.
_MAX_FUTURE_S = 0.05
_CLOCK_STEP_S, _STEP_LASTS_S = 0.02, 2.0
"""A wall clock that moved farther than this against the monotonic one between two frames was set, and how long the
mapping of the sensor's clock takes to follow it (*assumed: capture-time*)."""


@dataclass(frozen=True)
class Rejected:
    """A frameset that was refused, with the reason."""

    why: str


class AlignedStream:
    """A started pipeline that hands out new frames, one at a time, copied out of librealsense's small pool.

    Args:
        start: starts a pipeline with both streams and returns it with its profile; raises DeviceError.
        rig: the intrinsics the colour stream is expected to have.
        settings: patience and tolerances.
        recorded: frames come from a file, and keep the times of their recording instead of our clock's.

    Raises:
        DeviceError: the device does not open, or its intrinsics do not fit; nothing is left open.
    """

    def __init__(
        self,
        start: Callable[[], tuple[rs.pipeline, rs.pipeline_profile]],
        rig: Intrinsics,
        settings: CameraParams,
        recorded: bool = False,
    ) -> None:
        self._settings = settings
        self._recorded = recorded
        self._told_of_clock = False
        self._ahead_s, self._set_by_s, self._set_at_s = _wall_ahead_s(), 0.0, -math.inf
        self._watch = PairWatch(settings.max_skew_s, settings.min_depth_fraction)
        self._align = rs.align(rs.stream.color)
        self._found: list[tuple[Any, dict[rs.option, float]]] = []
        self._pipeline, self._profile = start()
        try:
            colour = self._profile.get_stream(rs.stream.color).as_video_stream_profile()
            self.intrinsics = adopt_intrinsics(colour.get_intrinsics(), rig, settings)
            self._fit = ImageFit.of(colour.get_intrinsics(), rig)
            self.description = describe(self._profile.get_device())
        except BaseException:
            self.close()
            raise

    def warm_up(self, frames: int, interrupted: Callable[[], bool] = lambda: False) -> Frame:
        """Skip ``frames`` new frames and return the next one.

        Raises:
            DeviceError: frames do not come, are not new, or ``interrupted`` became true.
        """
        patience_s = self._settings.connect_timeout_s
        deadline = time.monotonic() + patience_s
        why, skipped = "nothing arrived at all; try another USB port or cable", 0
        while time.monotonic() < deadline and not interrupted():
            arrived = self.next(timeout_s=0.1)
            if isinstance(arrived, Frame):
                if skipped == frames:
                    return arrived
                skipped += 1
                deadline = time.monotonic() + patience_s
            elif arrived is not None:
                why = arrived.why
        raise DeviceError(
            f"the camera opened, but gave {skipped} of {frames + 1} frames and then none for {patience_s:g} s: {why}"
        )

    def free_exposure(self) -> None:
        """Switch on automatic exposure and white balance of every sensor; closing restores the former options."""
        for sensor in self._profile.get_device().query_sensors():
            self._found.append((sensor, free_exposure(sensor)))

    def lock_exposure(self) -> None:
        """Lock exposure and white balance of every sensor that has them."""
        for sensor in self._profile.get_device().query_sensors():
            lock_exposure(sensor)

    def next(self, timeout_s: float) -> Frame | Rejected | None:
        """The next new frame, the reason why the received one is not new, or None if none came within ``timeout_s``."""
        try:
            came, frames = self._pipeline.try_wait_for_frames(max(1, round(timeout_s * 1e3)))
        except RuntimeError as error:
            return Rejected(f"librealsense says: {error}")
        if not came:
            return None
        arrival_s = time.monotonic()
        if not self._recorded and (set_by_s := self._clock_set_by_s(arrival_s)):
            return Rejected(f"this computer's clock was set by {set_by_s:+.2f} s, so the frame's age is unknown")
        colour, depth = frames.get_color_frame(), frames.get_depth_frame()
        if not colour or not depth:
            return Rejected(f"a frameset came without its {'depth' if colour else 'colour'} image")
        stamps = Stamp(colour.frame_number, colour.timestamp), Stamp(depth.frame_number, depth.timestamp)
        one_clock = colour.frame_timestamp_domain == depth.frame_timestamp_domain
        why = self._watch.reject_stamps(*stamps, one_clock)
        if why is not None:
            return Rejected(why)
        taken_s = min(self._time_of_capture(colour, arrival_s), self._time_of_capture(depth, arrival_s))
        if not self._recorded and taken_s > arrival_s + _MAX_FUTURE_S:
            return Rejected(f"the frame's clock is {taken_s - arrival_s:.2f} s ahead of this computer's")
        aligned = self._align.process(frames).get_depth_frame()
        rgb, counts = self._fit.colour(np.array(colour.get_data())), self._fit.depth(np.array(aligned.get_data()))
        why = self._watch.reject_images(rgb, counts)
        if why is not None:
            return Rejected(why)
        self._watch.accept(stamps, (rgb, counts))
        return Frame(rgb, counts * np.float32(aligned.get_units()), taken_s)

    def close(self) -> None:
        """Restore the device's options, stop the pipeline and release it; never raises."""
        for sensor, found in self._found:
            try:
                put_back(sensor, found)
            except RuntimeError as error:  # an unplugged camera forgets them by itself
                logger.debug("restoring the camera's options: %s", error)
        self._found.clear()
        try:
            self._pipeline.stop()
        except RuntimeError as error:
            logger.debug("closing the camera: %s", error)
        del self._pipeline, self._profile  # the last references: an unplugged device disappears with them

    def _clock_set_by_s(self, now_s: float) -> float:
        """By how much the wall clock, by which frames are stamped, was set a moment ago; 0 where it was not."""
        before, self._ahead_s = self._ahead_s, _wall_ahead_s()
        if abs(self._ahead_s - before) > _CLOCK_STEP_S:
            self._set_by_s, self._set_at_s = self._ahead_s - before, now_s
        return self._set_by_s if now_s - self._set_at_s < _STEP_LASTS_S else 0.0

    def _time_of_capture(self, frame: Any, arrival_s: float) -> float:
        """When an image was taken, s on the clock of ``time.monotonic``, or on the recording's.

        With the "global time" domain librealsense has mapped the sensor's clock to the host's wall clock: its time
        is the capture's to within a few ms (*assumed: capture-time*; exposure and readout are not subtracted). Other
        domains report the time of arrival, or a clock of unknown origin: then the configured latency is subtracted
        from the arrival.
        """
        if self._recorded:
            return frame.timestamp / 1e3
        if frame.frame_timestamp_domain == rs.timestamp_domain.global_time:
            return frame.timestamp / 1e3 - (time.time() - time.monotonic())
        if not self._told_of_clock:
            self._told_of_clock = True
            logger.warning(
                "the camera's clock (%s) cannot be mapped to this computer's: frames count as taken %.0f ms before "
                "they arrive (assumed_latency_s)",
                frame.frame_timestamp_domain.name,
                self._settings.assumed_latency_s * 1e3,
            )
        return arrival_s - self._settings.assumed_latency_s


def _wall_ahead_s() -> float:
    """How far the wall clock is ahead of the monotonic one, read so that no delay falls between the two."""
    readings = []
    for _ in range(3):
        before_s, wall_s, after_s = time.monotonic(), time.time(), time.monotonic()
        readings.append((after_s - before_s, wall_s - after_s))
    return min(readings)[1]
