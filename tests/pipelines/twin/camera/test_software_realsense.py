"""A device of librealsense that shows whatever pictures it is given."""

import time

import numpy as np
import pyrealsense2 as rs
import pytest

from pipelines.twin.camera.software_realsense import Shot, SoftwareRealSense

pytestmark = pytest.mark.realtime


def test_strides_are_not_trusted(rig) -> None:
    """librealsense copies pixels as they lie in memory."""
    context = rs.context()
    device = SoftwareRealSense(context, rig.camera, 30, 0.001)
    pipeline = rs.pipeline(context)
    pipeline.start()
    rgb = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)[::-1, ::-1]
    counts = np.random.default_rng(1).integers(1, 5000, (640, 480)).astype(np.uint16).T
    shot = Shot(1, time.time() * 1e3, rgb, counts)
    device.give_depth(shot)
    device.give_colour(shot)
    frames = pipeline.wait_for_frames(1000)
    np.testing.assert_array_equal(np.asanyarray(frames.get_color_frame().get_data()), rgb)
    np.testing.assert_array_equal(np.asanyarray(frames.get_depth_frame().get_data()), counts)
    pipeline.stop()
    device.unplug()
