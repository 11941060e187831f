"""A camera that photographs a simulated world whenever it is asked, without any device in between."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack

import numpy as np
from numpy.typing import NDArray

from datasets.common.errors import DeviceError
from datasets.rig.frame import Frame
from datasets.rig.projection import Intrinsics
from perception.cameras.camera import Camera

Render = Callable[[float], tuple[NDArray[np.uint8], NDArray[np.float32]]]
"""From a time (s, ``time.monotonic``) to ``rgb (H, W, 3)`` uint8 and ``depth (H, W)`` float32 m, 0 = no reading."""

Renderer = Callable[[], AbstractContextManager[Render]]
"""Sets up a ``Render`` for as long as its context lasts, in the thread that enters it."""


class SimulatedCamera(Camera):
    """Takes a picture at every ``read`` and ``read_latest``; its GL context is the calling thread's.

    Args:
        intrinsics: of the pictures.
        renderer: gives a context manager around a ``Render``; entered by ``connect``, left by ``disconnect``, both to
            be called by the thread that reads.
        latency_s: the picture shows the world as it was this long ago.
    """

    def __init__(
        self,
        intrinsics: Intrinsics,
        renderer: Renderer,
        latency_s: float = 0.0,
    ) -> None:
        self._intrinsics = intrinsics
        self._renderer = renderer
        self._latency_s = latency_s
        self._render: Render | None = None
        self._open = ExitStack()

    @property
    def is_connected(self) -> bool:
        """Whether pictures can be taken."""
        return self._render is not None

    @property
    def intrinsics(self) -> Intrinsics:
        """Of the pictures; raises DeviceError while disconnected, as any camera."""
        self._require()
        return self._intrinsics

    def connect(self) -> None:
        """Set up the renderer; does nothing when it is there."""
        if self._render is None:
            self._render = self._open.enter_context(self._renderer())

    def read(self) -> Frame:
        """A new picture of the world as it was ``latency_s`` ago."""
        taken_s = time.monotonic() - self._latency_s
        rgb, depth = self._require()(taken_s)
        return Frame(rgb, depth, taken_s)

    def read_latest(self, max_age_s: float) -> Frame:
        """The same; raises DeviceError when the latency, or rendering, takes longer than ``max_age_s``."""
        frame = self.read()
        age_s = time.monotonic() - frame.timestamp
        if age_s > max_age_s:
            raise DeviceError(
                f"the simulated camera's picture is {age_s * 1e3:.0f} ms old, at most {max_age_s * 1e3:.0f} ms is "
                "allowed; lower its latency, or let frames be older"
            )
        return frame

    def disconnect(self) -> None:
        """Free the renderer; idempotent."""
        self._render = None
        self._open.close()

    def _require(self) -> Render:
        if self._render is None:
            raise DeviceError("the simulated camera is not connected; call connect() first")
        return self._render
