"""How a RealSense camera is opened, watched and reopened (``params/camera.yaml``)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from datasets.common.config import Checked, Within, load_params
from datasets.common.errors import ConfigError

CAMERA_PATH = Path("params/camera.yaml")


@dataclass(frozen=True)
class CameraParams(Checked):
    """Rates, patience and tolerances of a camera.

    Attributes:
        fps: frames per second asked of both streams.
        warm_up_frames: frames skipped after opening, while automatic exposure and white balance settle.
        lock_exposure: hold exposure, gain and white balance where they settled.
        connect_timeout_s: longest wait for the first frame.
        read_timeout_s: longest wait of ``read`` for a newer frame.
        max_rejected: repeated, frozen or unpaired framesets in a row that make a fault.
        max_gap_s: time without a fresh pair that makes a fault; time in which this process was held up does not count.
        max_skew_s: largest difference between the capture times of colour and depth.
        min_depth_fraction: smallest fraction of pixels with a depth; 0 switches the check off.
        assumed_latency_s: capture to arrival, where the device's clock cannot be mapped to the host's.
        reopen_after_s: time without a fresh pair after which the device is closed and opened again.
        reopen_attempts: how often that is tried in a row before the camera counts as lost; 0 never reopens.
        reopen_interval_s: pause between attempts.
        focal_tolerance: largest fraction by which focal lengths may differ from the rig's.
        principal_point_tolerance_px: largest distance of the principal point from the rig's.
        distortion_tolerance: largest distortion coefficient that may be taken as none.
    """

    fps: Annotated[int, Within(1, 300)] = 30
    warm_up_frames: Annotated[int, Within(0, 1000)] = 30
    lock_exposure: bool = True
    connect_timeout_s: Annotated[float, Within(0.1, 60, "s")] = 5.0
    read_timeout_s: Annotated[float, Within(0.01, 60, "s")] = 1.0
    max_rejected: Annotated[int, Within(1, 1000)] = 3
    max_gap_s: Annotated[float, Within(0.01, 10, "s")] = 0.25
    max_skew_s: Annotated[float, Within(0, 1, "s")] = 0.06
    min_depth_fraction: Annotated[float, Within(0, 1)] = 0.01
    assumed_latency_s: Annotated[float, Within(0, 1, "s")] = 0.12
    reopen_after_s: Annotated[float, Within(0.01, 3600, "s")] = 2.0
    reopen_attempts: Annotated[int, Within(0, 1000)] = 10
    reopen_interval_s: Annotated[float, Within(0, 60, "s")] = 1.0
    focal_tolerance: Annotated[float, Within(0, 1)] = 0.55
    principal_point_tolerance_px: Annotated[float, Within(0, 1000, "px")] = 25.0
    distortion_tolerance: Annotated[float, Within(0, 1)] = 0.001

    def __post_init__(self) -> None:
        super().__post_init__()
        for key, frames in (("max_gap_s", 2.0), ("max_skew_s", 0.5)):
            if getattr(self, key) < frames / self.fps:
                raise ConfigError(
                    f"{key} must be at least {frames / self.fps:.3f} s at {self.fps} frames/s ({frames:g} frames), or "
                    f"healthy frames would be refused; got {getattr(self, key)}"
                )

    @classmethod
    def load(cls, path: str | Path = CAMERA_PATH) -> "CameraParams":
        """Read and check a settings file.

        Raises:
            ConfigError: a key is unknown or its value implausible; the message names it.
        """
        return load_params(path, cls)
