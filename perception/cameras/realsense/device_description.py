"""A RealSense device in one line, and a warning where its cable limits it."""

import logging
from typing import Any

import pyrealsense2 as rs

logger = logging.getLogger(__name__)

_TOLD = (
    ("serial number", rs.camera_info.serial_number),
    ("firmware", rs.camera_info.firmware_version),
    ("USB", rs.camera_info.usb_type_descriptor),
)


def describe(device: Any) -> str:
    """Name, serial number, firmware and USB speed of an ``rs.device``, as far as it reports them."""
    told = [f"{name} {device.get_info(info)}" for name, info in _TOLD if device.supports(info)]
    if device.supports(rs.camera_info.usb_type_descriptor):
        speed = device.get_info(rs.camera_info.usb_type_descriptor)
        if speed.startswith("2"):
            logger.warning(
                "the camera is on USB %s: expect lost frames at 30 frames/s, use a USB 3 cable and port", speed
            )
    name = device.get_info(rs.camera_info.name) if device.supports(rs.camera_info.name) else "unnamed camera"
    return ", ".join([name, *told])
