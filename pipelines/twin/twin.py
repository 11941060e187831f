"""The twin of the whole rig, to which the real SDK and librealsense connect when no hardware is at hand."""

import threading
import time
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import pyrealsense2 as rs
from numpy.typing import NDArray

from datasets.rig.rig import Rig
from pipelines.twin.camera.camera import CameraTwin
from pipelines.twin.controller.controller import FIRMWARE, ControllerTwin
from pipelines.twin.hidden.truth import Truth
from pipelines.twin.hidden.world import HiddenWorld
from pipelines.twin.service import Service
from pipelines.twin.settings import TwinParams
from pipelines.twin.world import TwinWorld


class Twin(Service):
    """A controller emulator and a software RealSense of one world; a context manager.

    Args:
        rig: the rig to copy.
        settings: how the copy differs from the rig's description.
        firmware: the version that the controller reports.
        hidden: replaces the values of rig and settings for camera, sensor, room and table.
    """

    def __init__(self, rig: Rig, settings: TwinParams, firmware: str = FIRMWARE, hidden: Truth | None = None) -> None:
        self.controller = ControllerTwin(rig, firmware=firmware)
        camera, sees = settings.camera, settings.films(rig).camera
        self.world = TwinWorld(rig, settings, self.controller.joints)
        if hidden is not None:
            self.world = HiddenWorld(rig, settings, self.controller.joints, hidden)
            camera = replace(camera, latency_s=hidden.latency_s, colour_noise=hidden.colour_noise)
            sees = hidden.told_camera
        self.camera = CameraTwin(sees, self.world.renderer, camera)
        self._stall_every_s = settings.stall_every_s
        self._stopping = threading.Event()
        self._running = ExitStack()

    @property
    def host(self) -> str:
        """The controller's address."""
        return self.controller.host

    @property
    def context(self) -> rs.context:
        """The librealsense context that the camera is plugged into."""
        return self.camera.context

    @property
    def tcp(self) -> NDArray[np.float64]:
        """The true position of the TCP now, ``(3,)`` m."""
        return np.asarray(self.controller.tcp(), dtype=float)

    def start(self) -> None:
        """Start both; if it raises DeviceError, nothing is left running."""
        with ExitStack() as stack:
            stack.enter_context(self.controller)
            stack.enter_context(self.camera)
            if self._stall_every_s > 0:
                self._stopping.clear()
                thread = threading.Thread(target=self._stall, name="twin stalls", daemon=True)
                thread.start()
                stack.callback(thread.join)
                stack.callback(self._stopping.set)
            self._running = stack.pop_all()

    def stop(self) -> None:
        """Stop both; idempotent."""
        self._running.close()

    def _stall(self) -> None:
        due = time.monotonic() + self._stall_every_s
        while not self._stopping.wait(max(due - time.monotonic(), 0.0)):
            self.controller.inject("stall")
            due += self._stall_every_s
