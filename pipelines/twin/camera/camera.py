"""The twin's camera: a software RealSense fed with rendered frames, with latency, jitter, losses and faults."""

import atexit
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Annotated

import cv2
import numpy as np
import pyrealsense2 as rs
from numpy.typing import NDArray

from datasets.common.config import Checked, Within
from datasets.common.errors import DataError, DeviceError, Sim2RealError
from datasets.rig.projection import Intrinsics
from pipelines.twin.camera.faults import ActiveFaults, CameraFault
from pipelines.twin.camera.software_realsense import Shot, SoftwareRealSense
from pipelines.twin.service import Service

logger = logging.getLogger(__name__)

_POLL_S = 0.01

Render = Callable[[float], tuple[NDArray[np.uint8], NDArray[np.float32]]]
"""Gives for a time (s, ``time.monotonic``) ``rgb (H, W, 3)`` uint8 and ``depth (H, W)`` float32 m, 0 = no reading."""

Renderer = Callable[[], AbstractContextManager[Render]]
"""Sets up a ``Render`` for as long as its context lasts, in the thread that enters it."""


@dataclass(frozen=True)
class TwinCameraParams(Checked):
    """How the twin's camera behaves when nothing is wrong with it.

    Attributes:
        fps: frames per second.
        latency_s: time from capture to delivery; a real D435 has 0.10 to 0.14 for colour.
        jitter_s: largest additional delay of a delivery; the delay is drawn uniformly.
        drop_fraction: fraction of the frames lost on the way.
        depth_unit_m: one count of depth; 1 mm is the default of a D435.
        colour_noise: standard deviation of the colour sensor's noise, in levels of 255.
        host_clock: frames are stamped with the host's wall clock, as librealsense does ("global time"); otherwise
            with the device's own clock.
        seed: the seed of jitter, losses and noise.
    """

    PART = "camera."

    fps: Annotated[int, Within(1, 90)] = 15
    latency_s: Annotated[float, Within(0, 5, "s")] = 0.1
    jitter_s: Annotated[float, Within(0, 5, "s")] = 0.0
    drop_fraction: Annotated[float, Within(0, 0.99)] = 0.0
    depth_unit_m: Annotated[float, Within(1e-6, 0.01, "m")] = 0.001
    colour_noise: Annotated[float, Within(0, 50)] = 1.0
    host_clock: bool = True
    seed: int = 0


class CameraTwin(Service):
    """A RealSense camera that photographs a simulated world; give its ``context`` to ``RealSenseCamera``.

    It has two threads. One captures: it alone enters ``renderer`` and calls its ``Render``, so a GL context can live
    there. The other delivers each image pair ``latency_s`` after its capture, stamped with the time of its capture.

    Args:
        intrinsics: those of both streams; depth is seen from the colour camera.
        renderer: called in the capturing thread; gives a context manager around a ``Render``.
        settings: rate, latency, losses.
        on_delivery: called with every pair that leaves the camera, in the delivering thread.
    """

    def __init__(
        self,
        intrinsics: Intrinsics,
        renderer: Renderer,
        settings: TwinCameraParams | None = None,
        on_delivery: Callable[[Shot], None] | None = None,
    ) -> None:
        self.settings = settings or TwinCameraParams()
        self.context = rs.context()
        self._intrinsics = intrinsics
        self._renderer = renderer
        self._on_delivery = on_delivery or (lambda shot: None)
        self._device: SoftwareRealSense | None = None
        self._faults = ActiveFaults()
        self._shots: queue.SimpleQueue[tuple[float, Shot]] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._threads: list[threading.Thread] = []

    def start(self, timeout_s: float = 60.0) -> None:
        """Plug in the camera and start capturing; returns when the first picture has been rendered.

        Raises:
            DeviceError: the renderer failed or was slower than ``timeout_s``; nothing is left running.
        """
        if self._threads:
            return
        self._stopping.clear()
        self._ready.clear()
        self._error = None
        self._shots = queue.SimpleQueue()
        self._plug()
        self._threads = [
            threading.Thread(target=self._capture, name="twin-camera-capture", daemon=True),
            threading.Thread(target=self._deliver, name="twin-camera-deliver", daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        # Rendering or delivering while the interpreter shuts down aborts the process, whatever its exit code was.
        atexit.register(self.stop)
        ready = self._ready.wait(timeout_s)
        if self._error is not None or not ready:
            error = self._error
            self.stop()
            raise DeviceError(
                f"the twin's camera gave no picture: {error or f'none within {timeout_s:g} s'}"
            ) from error

    def stop(self) -> None:
        """Stop both threads and unplug; idempotent, never raises."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._threads = []
        self._unplug()
        atexit.unregister(self.stop)

    def check(self) -> None:
        """Raise DeviceError if rendering or delivering has failed since ``start``."""
        if self._error is not None:
            raise DeviceError(f"the twin's camera stopped: {self._error}") from self._error

    def inject(self, fault: CameraFault | str, duration_s: float | None = None) -> float:
        """Begin a fault now; it ends after ``duration_s`` (None: the fault's own default, see ``CameraFault``).

        Returns the time it begins, s on the clock of ``time.monotonic``.

        Raises:
            ConfigError: there is no such fault; the message lists the existing ones.
        """
        return self._faults.begin(fault, duration_s)

    def clear(self, fault: CameraFault | str) -> None:
        """End a fault now."""
        self._faults.end(fault)

    def _plug(self) -> None:
        self._device = SoftwareRealSense(self.context, self._intrinsics, self.settings.fps, self.settings.depth_unit_m)

    def _unplug(self) -> None:
        if self._device is not None:
            self._device.unplug()
            self._device = None

    def _capture(self) -> None:
        try:
            with self._renderer() as render:
                self._photograph(render)
        except BaseException as error:  # start() or check() reports every error of a renderer, in its own thread
            if not isinstance(error, Sim2RealError):
                logger.exception("the twin's camera cannot render")
            self._error = error
            self._ready.set()

    def _photograph(self, render: Render) -> None:
        rng = np.random.default_rng(self.settings.seed)
        noise = _ColourNoise(self.settings.colour_noise, rng)
        period_s = 1 / self.settings.fps
        tick_s, due_s, number = time.monotonic(), 0.0, 0
        while not self._stopping.wait(max(0.0, tick_s - time.monotonic())):
            taken_s = time.monotonic()
            rgb, depth_m = render(taken_s)
            self._check_picture(rgb, depth_m)
            number += 1
            time_ms = (taken_s + time.time() - time.monotonic()) * 1e3
            counts = np.rint(np.nan_to_num(depth_m, posinf=0.0, neginf=0.0) / self.settings.depth_unit_m)
            counts = np.clip(counts, 0, 65535).astype(np.uint16)
            rgb = noise.add(rgb)
            _flicker(rgb, counts, number)
            shot = Shot(number, time_ms, rgb, counts, self.settings.host_clock)
            due_s = max(due_s, taken_s + self.settings.latency_s + rng.uniform(0, self.settings.jitter_s))
            if rng.random() >= self.settings.drop_fraction:
                self._shots.put((due_s, shot))
            self._ready.set()
            tick_s = max(tick_s + period_s, time.monotonic())

    def _check_picture(self, rgb: NDArray, depth_m: NDArray) -> None:
        size = self._intrinsics.height, self._intrinsics.width
        if rgb.shape != (*size, 3) or rgb.dtype != np.uint8 or depth_m.shape != size:
            raise DataError(
                f"a picture must be {(*size, 3)} uint8 with depth {size}, got {rgb.shape} {rgb.dtype} with depth "
                f"{depth_m.shape}"
            )

    def _deliver(self) -> None:
        try:
            self._deliver_in_time()
        except Exception as error:
            logger.exception("the twin's camera cannot deliver")
            self._error = error

    def _deliver_in_time(self) -> None:
        previous: Shot | None = None
        waiting: tuple[float, Shot] | None = None
        while not self._stopping.is_set():
            if waiting is None:
                with contextlib.suppress(queue.Empty):
                    due_s, shot = self._shots.get(timeout=_POLL_S)
                    waiting = due_s + self._faults.lateness_s(), shot
            self._heed_cable()
            if waiting is None or self._faults.active(CameraFault.STALL):
                self._stopping.wait(_POLL_S if waiting else 0)
                continue
            due_s, shot = waiting
            left_s = due_s - time.monotonic()
            if left_s > 0:
                self._stopping.wait(min(left_s, _POLL_S))
                continue
            waiting = None
            shot = self._faults.distort(shot, previous)
            self._give(shot)
            previous = shot

    def _heed_cable(self) -> None:
        unplugged = self._faults.active(CameraFault.UNPLUGGED)
        if unplugged and self._device is not None:
            self._unplug()
        elif not unplugged and self._device is None:
            self._plug()

    def _give(self, shot: Shot) -> None:
        if self._device is None or self._faults.loses(shot):
            return
        if not self._faults.active(CameraFault.DEAD_DEPTH):
            self._device.give_depth(shot)
        if not self._faults.active(CameraFault.DEAD_COLOUR):
            self._device.give_colour(shot)
        self._on_delivery(shot)


def _flicker(rgb: NDArray[np.uint8], counts: NDArray[np.uint16], number: int) -> None:
    """Change the last bits of one pixel, differently in any three pairs in a row: no sensor gives the same image twice.

    Otherwise a noiseless world at rest would look frozen. The pixel is the farthest, so that no reading is invented.
    """
    rgb[0, 0] ^= number % 3
    farthest = np.unravel_index(np.argmax(counts), counts.shape)
    if counts[farthest] > 3:
        counts[farthest] ^= number % 3


class _ColourNoise:
    """Sensor noise, drawn once and added to each image with another offset."""

    _POOL = 64

    def __init__(self, sigma: float, rng: np.random.Generator) -> None:
        self._sigma = sigma
        self._rng = rng
        self._row = 0
        self._pool: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None = None

    def add(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A copy of the image with noise added."""
        if self._sigma == 0:
            return rgb.copy()
        height, width, channels = rgb.shape
        if self._pool is None:
            drawn = np.rint(self._rng.normal(0, self._sigma, (height + self._POOL, width, channels)))
            self._pool = np.clip(drawn, 0, 255).astype(np.uint8), np.clip(-drawn, 0, 255).astype(np.uint8)
        self._row = (self._row + int(self._rng.integers(1, self._POOL))) % self._POOL
        row = self._row
        brighter, darker = (part[row : row + height] for part in self._pool)
        return cv2.subtract(cv2.add(rgb, brighter), darker).astype(np.uint8, copy=False)
