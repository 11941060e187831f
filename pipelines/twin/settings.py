"""How the twin's world differs from the rig's description of it (``params/twin.yaml``)."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from datasets.arm.model import ArmName
from datasets.common.config import load_params
from datasets.common.errors import ConfigError
from datasets.rig.rig import Point
from datasets.scene.randomization import LookRandomization
from pipelines.twin.camera.camera import TwinCameraSettings

TWIN_PATH = Path("params/twin.yaml")


@dataclass(frozen=True)
class TwinSettings:
    """What a twin is made of; each value is explained in ``params/twin.yaml``."""

    seed: int = 0
    arm: ArmName = "own"
    depth_noise: float = 1.0
    calibration_m: float = 0.002
    calibration_deg: float = 0.1
    camera_offset_m: Point = (0.0, 0.0, 0.0)
    camera_rotation_deg: Point = (0.0, 0.0, 0.0)
    stall_every_s: float = 0.0
    look: LookRandomization = field(
        default_factory=lambda: LookRandomization(wild_arm=0.0, clutter=(0, 6), occluder=0.0)
    )
    camera: TwinCameraSettings = field(default_factory=TwinCameraSettings)

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ConfigError(f"seed must not be negative, got {self.seed}")
        for key in ("depth_noise", "calibration_m", "calibration_deg", "stall_every_s"):
            if not 0 <= getattr(self, key) < np.inf:
                raise ConfigError(f"{key} must be finite and not negative, got {getattr(self, key)}")
        if np.max(np.abs(self.camera_offset_m)) > 0.5:
            raise ConfigError(f"camera_offset_m is {list(self.camera_offset_m)}: values are metres, at most 0.5")

    @classmethod
    def load(cls, path: str | Path = TWIN_PATH) -> "TwinSettings":
        """Read and check the file; raises ConfigError naming the key."""
        return load_params(path, cls)
