"""Cameras and arms by the names of the command line."""

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from control.arms.arm import Arm
from control.arms.xarm import XArm
from datasets.errors import ConfigError
from perception.cameras.camera import Camera
from perception.cameras.realsense import RealSenseCamera
from pipelines.setup import Setup
from pipelines.shadow import ShadowArm
from pipelines.twin.controller import FIRMWARE
from pipelines.twin.settings import TwinSettings
from pipelines.twin.twin import Twin

TWIN = "twin"
REALSENSE = "realsense"


@dataclass(frozen=True)
class DeviceNames:
    """Which camera and which arm: ``realsense[:SERIAL]``, a recording's path or ``twin``; an address or ``twin``."""

    camera: str = TWIN
    arm: str = TWIN
    shadow: bool = False

    def __post_init__(self) -> None:
        if self.arm != TWIN:
            try:
                ipaddress.IPv4Address(self.arm)
            except ValueError as error:
                raise ConfigError(
                    f"--arm {self.arm}: neither an IPv4 address, such as 192.168.1.203, nor 'twin'"
                ) from error
        if self.arm != TWIN and self.camera == TWIN:
            raise ConfigError(
                f"--arm {self.arm} with the twin's camera, which does not see it; name its camera: --camera realsense"
            )
        if self.arm == TWIN and self.camera != TWIN and not self.shadow:
            raise ConfigError(
                f"--camera {self.camera} with the twin's arm, which it does not see; give --arm IP, or --shadow"
            )

    @classmethod
    def of(cls, camera: str | None, arm: str | None, shadow: bool = False) -> "DeviceNames":
        """What was named; the twin where nothing was."""
        return cls(camera or TWIN, arm or TWIN, shadow)

    @property
    def is_twin(self) -> bool:
        """Whether no hardware takes part."""
        return self.arm == TWIN


@dataclass(frozen=True)
class Devices:
    """What a run holds while it lasts; all connected, ``twin`` None with real hardware."""

    camera: Camera
    arm: Arm
    twin: Twin | None


@contextmanager
def open_devices(
    names: DeviceNames, setup: Setup, twin_settings: TwinSettings, firmware: str | None = None
) -> Iterator[Devices]:
    """Connect camera and arm, starting the twin first where it is named; all is closed again on the way out.

    Raises:
        DeviceError: one of them cannot be reached; nothing is left open.
    """
    if not names.is_twin:
        with make_camera(names.camera, setup) as camera, make_arm(names.arm, setup, names.shadow) as arm:
            yield Devices(camera, arm, None)
        return
    with Twin(setup.rig, twin_settings, firmware or FIRMWARE) as twin:
        settings = replace(setup.camera, fps=twin_settings.camera.fps)
        with (
            RealSenseCamera(setup.rig.camera, settings, context=twin.context) as camera,
            make_arm(twin.host, setup, names.shadow) as arm,
        ):
            yield Devices(camera, arm, twin)


def make_camera(name: str, setup: Setup) -> Camera:
    """A camera by name, not yet connected; raises ConfigError for a name that means nothing."""
    kind, _, serial = name.partition(":")
    if kind == REALSENSE:
        return RealSenseCamera(setup.rig.camera, setup.camera, serial or None)
    raise ConfigError(f"--camera {name}: give realsense, realsense:SERIAL, twin, or an existing recording")


def make_arm(host: str, setup: Setup, shadow: bool = False) -> Arm:
    """The arm at an address, or its shadow, which is only listened to; not yet connected."""
    if shadow:
        return ShadowArm(host, setup.rig, setup.fence, setup.arm)
    return XArm(host, setup.rig, setup.arm, setup.max_speed_m_s)
