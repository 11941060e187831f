"""How the twin's world differs from the rig's description of it (``params/twin.yaml``)."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import numpy as np

from control.arms.site import SiteParams
from datasets.arm.model import ArmName
from datasets.common.config import Checked, Within, load_params
from datasets.rig.projection import Intrinsics
from datasets.rig.rig import Point, Rig
from datasets.scene.randomization import LookRandomization
from pipelines.twin.camera.camera import TwinCameraParams

TWIN_PATH = Path("params/twin.yaml")


@dataclass(frozen=True)
class TwinParams(Checked):
    """The settings of a twin; each value is explained in ``params/twin.yaml``."""

    seed: Annotated[int, Within(0)] = 9
    arm: ArmName = "own"
    depth_noise: Annotated[float, Within(0)] = 1.0
    calibration_m: Annotated[float, Within(0, unit="m")] = 0.002
    calibration_deg: Annotated[float, Within(0, unit="deg")] = 0.1
    camera_offset_m: Annotated[Point, Within(-5, 5, "m")] = (0.0, 0.0, 0.0)
    camera_rotation_deg: Annotated[Point, Within(-180, 180, "deg")] = (0.0, 0.0, 0.0)
    camera_fxfycxcy_px: tuple[float, float, float, float] | None = None
    depth_scale_fraction: Annotated[float, Within(-0.2, 0.2)] = 0.0
    depth_warp_m: Annotated[float, Within(0, 0.1, "m")] = 0.0
    stall_every_s: Annotated[float, Within(0, unit="s")] = 0.0
    look: LookRandomization = field(
        default_factory=lambda: LookRandomization(wild_arm=0.0, clutter=(0, 6), occluder=0.0, ambient=(0.15, 0.6))
    )
    camera: TwinCameraParams = field(default_factory=TwinCameraParams)

    def films(self, rig: Rig) -> Rig:
        """The rig with the intrinsics of the twin's camera; raises ConfigError if they cannot be used."""
        if self.camera_fxfycxcy_px is None:
            return rig
        size = rig.camera.width, rig.camera.height
        return replace(rig, camera=Intrinsics.from_array(self.camera_fxfycxcy_px, *size))

    def at_site(self, site: SiteParams) -> "TwinParams":
        """A copy with the delay and the noise of the site's camera, if they were measured."""
        camera, noise = self.camera, self.depth_noise
        if site.latency is not None:
            camera = replace(camera, latency_s=max(float(np.mean(site.latency.camera_s)), 0.0))
        if site.noise is not None:
            noise = float(np.mean(site.noise.level))
        return replace(self, camera=camera, depth_noise=noise)

    @classmethod
    def load(cls, path: str | Path = TWIN_PATH) -> "TwinParams":
        """Read and check the file; raises ConfigError with the name of the key."""
        return load_params(path, cls)
