"""A RealSense camera in software: librealsense's ``software_device``, opened by the ordinary pipeline."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyrealsense2 as rs
from numpy.typing import NDArray

from datasets.common.errors import DataError
from datasets.rig.projection import Intrinsics

# rs.align truncates where a depth pixel falls in the colour image. With the two streams' geometry exactly equal,
# rounding sends about 4 % of the pixels one place to the left and leaves holes behind; with the depth image's
# centre a hundredth of a pixel aside every pixel falls onto its own place again (tests/pipelines/twin/camera).
_CENTRE_OFFSET_PX = -0.01


@dataclass(frozen=True)
class Shot:
    """One pair of images as the sensors give them.

    Attributes:
        number: the running number both sensors give it.
        time_ms: when it was taken, ms on the host's wall clock (librealsense's "global time"), or on the device's own.
        rgb: ``(H, W, 3)`` uint8.
        counts: ``(H, W)`` uint16 depth in units of the device.
        host_clock: which of the two clocks; True for the host's.
    """

    number: int
    time_ms: float
    rgb: NDArray[np.uint8]
    counts: NDArray[np.uint16]
    host_clock: bool = True


class SoftwareRealSense:
    """A D435-like device, which is in ``context`` from construction until ``unplug``.

    Depth is given as seen from the colour camera (as after alignment), in ``depth_unit_m``; there is no lens
    distortion; the serial number, the sensors' names and their options are those of a D435 (*assumed: camera-options*).
    """

    def __init__(
        self, context: rs.context, intrinsics: Intrinsics, fps: int, depth_unit_m: float, serial: str = "000042"
    ) -> None:
        self._shape = intrinsics.height, intrinsics.width
        self._depth_unit_m = depth_unit_m
        self._kept: list[Any] = []
        device = rs.software_device()
        device.register_info(rs.camera_info.name, "Twin of a RealSense D435")
        device.register_info(rs.camera_info.serial_number, serial)
        device.register_info(rs.camera_info.usb_type_descriptor, "3.2")
        self._depth_sensor = device.add_sensor("Stereo Module")
        self._colour_sensor = device.add_sensor("RGB Camera")
        self._depth_sensor.add_read_only_option(rs.option.depth_units, depth_unit_m)
        for sensor, options in ((self._depth_sensor, _DEPTH_OPTIONS), (self._colour_sensor, _COLOUR_OPTIONS)):
            for option, (low, high, step, default) in options.items():
                sensor.add_option(option, _option_range(low, high, step, default), True)
        depth = self._depth_sensor.add_video_stream(_video_stream(rs.stream.depth, intrinsics, fps), True)
        colour = self._colour_sensor.add_video_stream(_video_stream(rs.stream.color, intrinsics, fps), True)
        depth.register_extrinsics_to(colour, _identity_extrinsics())
        self._depth_profile, self._colour_profile = depth.as_video_stream_profile(), colour.as_video_stream_profile()
        device.create_matcher(rs.matchers.dlr_c)
        # A context keeps only a weak pointer to a device added to it; the list in the event holds the real one.
        context.set_devices_changed_callback(lambda event: self._kept.append(event.get_new_devices()))
        device.add_to(context)
        self._device: Any = device

    def unplug(self) -> None:
        """Take the device out of its context; a pipeline that has it open gets no more frames."""
        self._kept.clear()
        self._device = self._depth_sensor = self._colour_sensor = None
        self._depth_profile = self._colour_profile = None

    def give_depth(self, shot: Shot) -> None:
        """Give the depth image to the pipeline that has the sensor open; raises DataError if it does not fit."""
        frame = self._frame(shot, shot.counts, np.dtype(np.uint16), self._shape)
        frame.profile = self._depth_profile
        frame.depth_units = self._depth_unit_m
        self._depth_sensor.on_video_frame(frame)

    def give_colour(self, shot: Shot) -> None:
        """Give the colour image to the pipeline that has the sensor open; raises DataError if it does not fit."""
        frame = self._frame(shot, shot.rgb, np.dtype(np.uint8), (*self._shape, 3))
        frame.profile = self._colour_profile
        self._colour_sensor.on_video_frame(frame)

    @staticmethod
    def _frame(shot: Shot, pixels: NDArray, dtype: np.dtype, shape: tuple[int, ...]) -> Any:
        """Create a new frame for every image: librealsense aborts the process when a frame is used twice."""
        if pixels.dtype != dtype or pixels.shape != shape:
            raise DataError(f"the camera's image must be {shape} {dtype}, got {pixels.shape} {pixels.dtype}")
        frame = rs.software_video_frame()
        frame.pixels = np.ascontiguousarray(pixels)  # copied as it lies in memory: strides are ignored
        frame.bpp = pixels.itemsize * (pixels.shape[2] if pixels.ndim == 3 else 1)
        frame.stride = pixels.shape[1] * frame.bpp
        frame.timestamp = shot.time_ms
        frame.domain = rs.timestamp_domain.global_time if shot.host_clock else rs.timestamp_domain.hardware_clock
        frame.frame_number = shot.number
        return frame


# Option: (lowest, highest, step, default), as a D435 reports them (*assumed: camera-options*).
_DEPTH_OPTIONS = {
    rs.option.enable_auto_exposure: (0.0, 1.0, 1.0, 1.0),
    rs.option.exposure: (1.0, 200000.0, 1.0, 8500.0),
    rs.option.gain: (16.0, 248.0, 1.0, 16.0),
    rs.option.emitter_enabled: (0.0, 2.0, 1.0, 1.0),
}
_COLOUR_OPTIONS = {
    rs.option.enable_auto_exposure: (0.0, 1.0, 1.0, 1.0),
    rs.option.exposure: (1.0, 10000.0, 1.0, 156.0),
    rs.option.gain: (0.0, 128.0, 1.0, 64.0),
    rs.option.enable_auto_white_balance: (0.0, 1.0, 1.0, 1.0),
    rs.option.white_balance: (2800.0, 6500.0, 10.0, 4600.0),
}


def _option_range(low: float, high: float, step: float, default: float) -> rs.option_range:
    limits = rs.option_range()
    limits.min, limits.max, limits.step, limits.default = low, high, step, default
    return limits


def _identity_extrinsics() -> rs.extrinsics:
    extrinsics = rs.extrinsics()
    extrinsics.rotation = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    extrinsics.translation = [0.0, 0.0, 0.0]
    return extrinsics


def _video_stream(kind: rs.stream, intrinsics: Intrinsics, fps: int) -> rs.video_stream:
    is_depth = kind == rs.stream.depth
    offset_px = _CENTRE_OFFSET_PX if is_depth else 0.0
    geometry = rs.intrinsics()
    geometry.width, geometry.height = intrinsics.width, intrinsics.height
    geometry.fx, geometry.fy = intrinsics.fx, intrinsics.fy
    geometry.ppx, geometry.ppy = intrinsics.cx + offset_px, intrinsics.cy + offset_px
    geometry.model, geometry.coeffs = rs.distortion.inverse_brown_conrady, [0.0] * 5
    stream = rs.video_stream()
    stream.type, stream.index, stream.uid = kind, 0, 1 if is_depth else 2
    stream.width, stream.height, stream.fps = intrinsics.width, intrinsics.height, fps
    stream.fmt, stream.bpp = (rs.format.z16, 2) if is_depth else (rs.format.rgb8, 3)
    stream.intrinsics = geometry
    return stream
