"""An Intel RealSense D400 camera over librealsense's ordinary pipeline."""

import atexit
import logging
import threading
import time
from pathlib import Path

import pyrealsense2 as rs

from datasets.common.errors import DeviceError
from datasets.common.silence_timer import SilenceTimer
from datasets.rig.frame import Frame
from datasets.rig.projection import Intrinsics
from perception.cameras.camera import Camera
from perception.cameras.latest_frame import LatestFrame
from perception.cameras.realsense.aligned_stream import AlignedStream, Rejected
from perception.cameras.realsense.exposure import FRAMES_TO_TAKE_EFFECT, warn_of_brightness
from perception.cameras.realsense.settings import CameraParams

logger = logging.getLogger(__name__)

# How long the receiving thread sleeps in librealsense before it checks its deadlines again. It is half of what one
# check may count for, so that a silence counts in full on a machine that keeps up.
_POLL_S = 0.01
# After a delay of the whole process the newest frame is old; the receiving thread needs this long to bring a new one.
_CATCH_UP_S = 0.05


class RealSenseCamera(Camera):
    """Colour with aligned depth from a RealSense camera; one thread receives and keeps the newest frame only.

    Args:
        rig: the intrinsics the colour stream is expected to have; close ones are adopted, see ``intrinsics``.
        settings: rates, patience and tolerances (``params/camera.yaml``).
        serial: which camera, when there are several.
        context: librealsense's context; by default the one of this computer's USB ports.
        record_to: a ``.db3`` file to write everything the device sends to, until it is disconnected or reopened.

    Faults (repeated, frozen, unpaired frames; silence) make ``read`` and ``read_latest`` raise until frames are fresh
    again. After ``settings.reopen_after_s`` the device is closed and opened again, ``settings.reopen_attempts`` times;
    after that the camera is lost until ``disconnect`` and ``connect``.
    """

    def __init__(
        self,
        rig: Intrinsics,
        settings: CameraParams | None = None,
        serial: str | None = None,
        context: rs.context | None = None,
        record_to: Path | None = None,
    ) -> None:
        self._rig = rig
        self._settings = settings or CameraParams()
        self._serial = serial
        self._serial_in_use: str | None = None
        self._context = context
        self._record_to = record_to
        self._stream: AlignedStream | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._newest = LatestFrame()
        self.reopened = 0
        """How often the device was closed and opened again since ``connect``."""

    @property
    def is_connected(self) -> bool:
        """Whether the device is open; false while it is being reopened and after it was lost."""
        return self._stream is not None and self._thread is not None and self._thread.is_alive()

    @property
    def intrinsics(self) -> Intrinsics:
        """The colour stream's own intrinsics: what the estimator is to be bound to."""
        stream = self._stream
        if stream is None:
            raise DeviceError("the camera is not connected, so its intrinsics are not known; call connect() first")
        return stream.intrinsics

    @property
    def description(self) -> str:
        """Which device it is and what it reports of itself, in one line; raises DeviceError while disconnected."""
        stream = self._stream
        if stream is None:
            raise DeviceError("the camera is not connected, so it cannot be described; call connect() first")
        return stream.description

    def connect(self) -> None:
        """Open the device, let it warm up and start receiving; does nothing when it is already open.

        Raises:
            DeviceError: the camera is missing, delivers no frames, or has intrinsics that do not fit the rig's.
        """
        if self.is_connected:
            return
        self.disconnect()
        self._stopping.clear()
        self._newest = LatestFrame()
        self.reopened = 0
        self._stream = self._open(self._record_to)
        self._thread = threading.Thread(target=self._receive, name="realsense", daemon=True)
        self._thread.start()
        # A thread inside librealsense at the interpreter's end aborts the process, and its exit code is lost.
        atexit.register(self.disconnect)

    def read(self) -> Frame:
        """Block until a frame newer than the last one read arrives; raises DeviceError when none comes."""
        self._require_thread()
        return self._newest.take(self._settings.read_timeout_s)

    def read_latest(self, max_age_s: float) -> Frame:
        """The newest frame; raises DeviceError on a fault, or when it was taken over ``max_age_s`` ago.

        It returns at once, unless that frame is too old: then it waits up to 50 ms for a newer one.
        """
        self._require_thread()
        return self._newest.latest(max_age_s, _CATCH_UP_S)

    def disconnect(self) -> None:
        """Stop receiving and release the device; idempotent, never raises."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._close()
        self._serial_in_use = None
        atexit.unregister(self.disconnect)

    def _require_thread(self) -> None:
        if self._thread is None:
            raise DeviceError("the camera is not connected; call connect() first")

    def _open(self, record_to: Path | None = None) -> AlignedStream:
        try:
            stream = AlignedStream(lambda: self._start_pipeline(record_to), self._rig, self._settings)
            try:
                newest = self._settle(stream)
            except BaseException:
                stream.close()
                raise
        except RuntimeError as error:
            raise DeviceError(f"the camera does not open, librealsense says: {error}") from error
        self._newest.post(newest)
        return stream

    def _settle(self, stream: AlignedStream) -> Frame:
        """The first frame taken with the final exposure."""
        stream.free_exposure()
        settled = stream.warm_up(self._settings.warm_up_frames, self._stopping.is_set)
        if not self._settings.lock_exposure:
            return settled
        stream.lock_exposure()
        locked = stream.warm_up(FRAMES_TO_TAKE_EFFECT, self._stopping.is_set)
        warn_of_brightness(settled.rgb, locked.rgb)
        return locked

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _start_pipeline(self, record_to: Path | None) -> tuple[rs.pipeline, rs.pipeline_profile]:
        context = self._context or rs.context()
        self._serial_in_use = serial = self._find_device(context)
        config = rs.config()
        config.enable_device(serial)
        size = self._rig.width, self._rig.height
        config.enable_stream(rs.stream.color, *size, rs.format.rgb8, self._settings.fps)
        config.enable_stream(rs.stream.depth, *size, rs.format.z16, self._settings.fps)
        if record_to is not None:
            config.enable_record_to_file(str(_new_recording(record_to)))
        pipeline = rs.pipeline(context)
        try:
            return pipeline, pipeline.start(config)
        except RuntimeError as error:
            raise DeviceError(
                f"camera {serial} does not offer colour and depth at {size[0]}x{size[1]} px, {self._settings.fps} "
                f"frames/s, or another program holds it ({error}); close that, or use a USB 3 port"
            ) from error

    def _find_device(self, context: rs.context) -> str:
        """The serial number to open; asked first, because a pipeline waits 15 s for a device that is not there."""
        serials = [device.get_info(rs.camera_info.serial_number) for device in context.query_devices()]
        wanted = self._serial or self._serial_in_use  # reopening must not adopt another camera
        if wanted is not None:
            if wanted not in serials:
                raise DeviceError(
                    f"no RealSense camera with serial number {wanted}; connected: {', '.join(serials) or 'none'}"
                )
            return wanted
        if not serials:
            raise DeviceError("no RealSense camera is connected; plug one into a USB 3 port, or name a recording")
        if len(serials) > 1:
            raise DeviceError(f"several RealSense cameras are connected ({', '.join(serials)}); name one by its serial")
        return serials[0]

    def _receive(self) -> None:
        try:
            self._keep_newest()
        except Exception as error:  # any error must reach those who read, not end in this thread
            logger.exception("receiving frames failed")
            self._newest.fail(DeviceError(f"receiving frames failed ({error}); connect again"))

    def _keep_newest(self) -> None:
        """Keep the newest frame until the camera is closed, reopening the device when it falls silent."""
        rejected, why, fresh, silence = 0, "", 0, SilenceTimer()
        looked_s = last_fresh_s = time.monotonic()
        while not self._stopping.is_set():
            stream = self._stream
            assert stream is not None
            arrived = stream.next(_POLL_S)
            now_s = time.monotonic()
            fresh += isinstance(arrived, Frame)
            gap_s = silence.look(fresh, now_s - looked_s)
            looked_s = now_s
            if isinstance(arrived, Frame):
                if why:
                    logger.info("camera: frames are fresh again after %.2f s", now_s - last_fresh_s)
                rejected, last_fresh_s, why = 0, now_s, ""
                self._newest.post(arrived)
                continue
            if isinstance(arrived, Rejected):
                rejected += 1
                why = arrived.why
            if rejected >= self._settings.max_rejected or gap_s > self._settings.max_gap_s:
                reason = why or "nothing arrives (unplugged, a bad cable, or one of its two streams is dead)"
                self._newest.fail(DeviceError(f"the camera gives no fresh frame for {gap_s:.2f} s: {reason}"))
            if gap_s > self._settings.reopen_after_s:
                if not self._reopen(why or "nothing arrived"):
                    return
                rejected, why, silence = 0, "", SilenceTimer()
                looked_s = last_fresh_s = time.monotonic()

    def _reopen(self, why: str) -> bool:
        """Close the device and open it again, within the limits; whether that succeeded."""
        self._close()
        attempts, failure = self._settings.reopen_attempts, ""
        for attempt in range(1, attempts + 1):
            nth = f"attempt {attempt} of {attempts}"
            sentence = f"the camera stopped giving fresh frames ({why}); reopening it, {nth}{failure}"
            logger.warning(sentence)
            self._newest.fail(DeviceError(sentence))
            if self._stopping.wait(self._settings.reopen_interval_s):
                return False
            try:
                self._stream = self._open()
            except DeviceError as error:
                failure = f"; the last one failed: {error}"
                continue
            self.reopened += 1
            logger.warning("the camera is back after attempt %d", attempt)
            return True
        sentence = (
            f"the camera is lost after {attempts} attempts to reopen it ({why}){failure}; check it, then connect again"
        )
        logger.error(sentence)
        self._newest.fail(DeviceError(sentence))
        return False


def _new_recording(path: Path) -> Path:
    """``path``, if a recording can begin there; raises DeviceError."""
    if path.suffix != ".db3":
        raise DeviceError(f"{path}: librealsense records to .db3 files only; choose a name that ends so")
    if path.exists():
        raise DeviceError(f"{path} exists already; choose another name, or remove it first")
    if not path.parent.is_dir():
        raise DeviceError(f"{path.parent} is not a folder; create it first")
    return path
