"""The RealSense cameras at this computer, as librealsense and the kernel see them; none is opened."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipelines.doctor.finding import INSTALL, Broken, Finding, State, look_apart

INTEL, REALSENSE_PRODUCTS = "8086", ("0a", "0b")
USB = Path("/sys/bus/usb/devices")
RULES = tuple(Path(folder) for folder in ("/etc/udev/rules.d", "/lib/udev/rules.d", "/usr/lib/udev/rules.d"))
_TIMEOUT_S = 30.0
_RULES_REMEDY = (
    "install librealsense's udev rules (99-realsense-libusb.rules into /etc/udev/rules.d, then udevadm control "
    "--reload-rules, and unplug the camera once)"
)


def look() -> Iterator[Finding]:
    """Report the cameras, their cables and streams, and who may open them."""
    at_usb = cameras_at_usb()
    try:
        # librealsense 2.59 writes a report of its use into the home folder; here it is given no such folder.
        found = look_apart(["-m", __name__], _TIMEOUT_S, {"MUJOCO_GL": "disable", "HOME": os.devnull})
    except Broken as broken:
        yield Finding("camera", State.FAULT, f"librealsense does not answer: {broken}", INSTALL)
        return
    for camera in found["cameras"]:
        yield judge(camera, found["wanted"])
    if found["cameras"]:
        return
    if at_usb:
        told = f"{at_usb} at the USB ports, none that librealsense may open"
        yield Finding("camera", State.FAULT, told, _RULES_REMEDY)
        return
    yield Finding("camera", State.NOTE, "none connected: a recording and the twin need none")
    if not has_rules() and os.getuid() != 0:
        yield Finding("udev rules", State.NOTE, "none for RealSense cameras", f"before one is used: {_RULES_REMEDY}")


def judge(camera: dict[str, Any], wanted: str) -> Finding:
    """The verdict on one camera: its USB speed and whether it has the stream that the rig wants."""
    told = f"{camera['name']}, firmware {camera['firmware']}, USB {camera['usb']}, {camera['modes']} stream modes"
    if camera["usb"].startswith(("1", "2")):
        return Finding("camera", State.FAULT, told, "use a USB 3 cable and port: USB 2 loses frames")
    if not camera["has_wanted"]:
        remedy = "choose another fps in params/camera.yaml, or another camera"
        return Finding("camera", State.FAULT, f"{told}, not colour and depth of {wanted}", remedy)
    if camera["recommended"] not in ("", camera["firmware"]):
        remedy = f"librealsense recommends firmware {camera['recommended']}: update it where frames are lost"
        return Finding("camera", State.NOTE, f"{told}, {wanted} among them", remedy)
    return Finding("camera", State.OK, f"{told}, {wanted} among them")


def cameras_at_usb() -> int:
    """The number of RealSense devices that the kernel sees, whether or not they may be opened."""
    vendors = (path for path in USB.glob("*/idVendor") if path.read_text().strip() == INTEL)
    return sum((path.parent / "idProduct").read_text().startswith(REALSENSE_PRODUCTS) for path in vendors)


def has_rules() -> bool:
    """Whether udev has rules for RealSense cameras."""
    return any("realsense" in path.name.lower() for folder in RULES if folder.is_dir() for path in folder.iterdir())


def list_cameras(context: Any = None) -> dict[str, Any]:
    """What librealsense reports about each camera of a context (default: the USB ports'), and the rig's stream.

    Serial numbers are left out.
    """
    import pyrealsense2 as rs

    from datasets.rig.rig import Rig
    from perception.cameras.realsense.settings import CameraParams

    size, fps = Rig.load().camera, CameraParams.load().fps
    cameras = []
    for device in (context or rs.context()).query_devices():

        def told(info: Any, device: Any = device) -> str:
            return str(device.get_info(info)) if device.supports(info) else ""

        profiles = [
            each.as_video_stream_profile()
            for sensor in device.query_sensors()
            for each in sensor.get_stream_profiles()
            if each.is_video_stream_profile()
        ]
        wanted = (size.width, size.height, fps)
        fitting = [each for each in profiles if (each.width(), each.height(), each.fps()) == wanted]
        cameras.append(
            {
                "name": told(rs.camera_info.name) or "unnamed camera",
                "firmware": told(rs.camera_info.firmware_version) or "unknown",
                "recommended": told(rs.camera_info.recommended_firmware_version),
                "usb": told(rs.camera_info.usb_type_descriptor) or "unknown",
                "modes": len(profiles),
                "has_wanted": {rs.stream.color, rs.stream.depth} <= {each.stream_type() for each in fitting},
            }
        )
    return {"cameras": cameras, "wanted": f"{size.width}x{size.height} at {fps}/s"}


if __name__ == "__main__":
    print(json.dumps(list_cameras()))
