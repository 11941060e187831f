"""The twin's camera seen through the ordinary pipeline."""

import contextlib

import numpy as np
import pytest

from datasets.rig import Rig
from perception.cameras.realsense import RealSenseCamera
from perception.cameras.settings import CameraSettings
from pipelines.twin.camera import CameraTwin, Render, TwinCameraSettings

FPS = 30
TWIN = TwinCameraSettings(fps=FPS, latency_s=0.02)
CAMERA = CameraSettings(fps=FPS, warm_up_frames=3, max_skew_s=0.02, reopen_after_s=0.5, reopen_interval_s=0.1)


def moving_picture(rig: Rig) -> Render:
    """A world that changes with time, cheap to draw."""
    rng = np.random.default_rng(0)
    shape = rig.camera.height, rig.camera.width
    depth = rng.uniform(0.8, 1.2, shape).astype(np.float32)
    rgb = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)

    def render(t: float) -> tuple[np.ndarray, np.ndarray]:
        shift = int(t * 1e3) % 480
        return np.roll(rgb, shift, axis=0), np.roll(depth, shift, axis=0)

    return render


def test_realsense_camera_reads_the_twin(rig: Rig) -> None:
    with CameraTwin(rig.camera, lambda: contextlib.nullcontext(moving_picture(rig)), TWIN) as twin:
        with RealSenseCamera(rig.camera, CAMERA, context=twin.context) as camera:
            first, second = camera.read(), camera.read()
        assert first.timestamp < second.timestamp
        assert first.depth[first.depth > 0] == pytest.approx(1.0, abs=0.21)
