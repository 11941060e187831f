"""Opens cameras and arms by their names on the command line."""

import ipaddress
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from control.arms.absent import AbsentArm
from control.arms.arm import Arm
from control.arms.site import SiteParams
from control.arms.xarm.driver import XArm
from control.arms.xarm.shadow import ShadowArm
from datasets.common.errors import ConfigError
from datasets.rig.rig import Rig
from datasets.store.recording import FRAMES
from perception.calibration.calibration import Calibration
from perception.cameras.camera import Camera
from perception.cameras.playback import PlaybackCamera, open_recording
from perception.cameras.realsense.camera import RealSenseCamera
from pipelines.runtime.interrupt import stop_on_signals
from pipelines.setup.memory import limit_heaps
from pipelines.setup.setup import Setup
from pipelines.twin.controller.controller import FIRMWARE
from pipelines.twin.hidden.truth import Truth
from pipelines.twin.settings import TwinParams
from pipelines.twin.twin import Twin

TWIN = "twin"
REALSENSE = "realsense"
NO_ARM = "none"


@dataclass(frozen=True)
class DeviceNames:
    """Names of the camera (``realsense[:SERIAL]``, a recording's path, ``twin``) and arm (address, ``twin``, ``none``).

    Combinations in which the camera cannot see the arm that moves are refused with a ConfigError.

    Attributes:
        shadow: the arm is only observed.
        take_over: accept an arm that another program or person holds, as in :class:`XArm`.
        reports_are_commands: as in :class:`XArm`.
    """

    camera: str = TWIN
    arm: str = TWIN
    shadow: bool = False
    take_over: bool | Callable[[str], bool] = False
    reports_are_commands: bool = False

    def __post_init__(self) -> None:
        if self.is_twin:
            return
        if self.camera == TWIN:
            raise ConfigError(
                f"--arm {self.arm} with the twin's camera, which does not see it; give --camera realsense"
            )
        if self.arm == TWIN:
            raise ConfigError(f"--camera {self.camera} with the twin's arm, which it does not see; name --arm IP")
        if self.arm == NO_ARM:
            if not self.shadow:
                raise ConfigError(f"--camera {self.camera} without --arm: give --shadow too, to look without moving")
            return
        if not self.is_live:
            raise ConfigError(f"--camera {self.camera}: a recording shows an arm of the past; leave out --arm")
        try:
            ipaddress.IPv4Address(self.arm)
        except ValueError as error:
            raise ConfigError(f"--arm {self.arm}: give the controller's IPv4 address, such as 192.168.1.203") from error

    @classmethod
    def of(
        cls,
        camera: str | None,
        arm: str | None,
        shadow: bool = False,
        take_over: bool | Callable[[str], bool] = False,
        reports_are_commands: bool = False,
    ) -> "DeviceNames":
        """The named devices; the twin by default."""
        alone = camera not in (None, TWIN) and arm is None
        return cls(camera or TWIN, NO_ARM if alone else arm or TWIN, shadow, take_over, reports_are_commands)

    @property
    def is_twin(self) -> bool:
        """Whether the twin takes the place of all hardware."""
        return self.arm == TWIN and self.camera == TWIN

    @property
    def has_no_real_arm(self) -> bool:
        """Whether no real arm takes part, not even to be listened to."""
        return self.arm in (TWIN, NO_ARM)

    @property
    def is_live(self) -> bool:
        """Whether the camera is a real one, not a recording."""
        return self.camera.partition(":")[0] == REALSENSE

    @property
    def recording(self) -> Path:
        """The folder with the frames of the named recording: inside a run's folder, or the named path itself."""
        path = Path(self.camera)
        return path / FRAMES if (path / FRAMES).is_dir() else path

    def known_calibration(self, rig: Rig, site: SiteParams | None = None) -> Calibration:
        """The calibration of camera and table: the played recording's, the site's for a real camera, or the rig's."""
        if not self.is_twin and not self.is_live and self.recording.is_dir():
            return Calibration.of_recording(self.recording, rig)
        measured = site.camera if site is not None and self.is_live else None
        return measured or Calibration.of_rig(rig)


@dataclass(frozen=True)
class Devices:
    """The connected devices of a run; ``twin`` is None with real hardware."""

    camera: Camera
    arm: Arm
    twin: Twin | None


@contextmanager
def open_devices(
    names: DeviceNames,
    setup: Setup,
    twin_settings: TwinParams,
    firmware: str | None = None,
    hidden: Truth | None = None,
) -> Iterator[Devices]:
    """Connect camera and arm, after starting the twin if it is named; everything is closed at the end.

    A signal that comes while the caller does not handle signals itself stops the arm and raises KeyboardInterrupt.

    Raises:
        DeviceError: one of them cannot be reached; nothing is left open.
    """
    limit_heaps()
    if not names.is_twin:
        arm = make_arm(names.arm, setup, names)
        with (
            stop_on_signals(arm.stop, keep_nohup=names.has_no_real_arm, at_once=True),
            arm,
            make_camera(names, setup) as camera,
        ):
            yield Devices(camera, arm, None)
        return
    with Twin(setup.rig, twin_settings, firmware or FIRMWARE, hidden) as twin:
        settings = replace(setup.camera, fps=twin_settings.camera.fps)
        arm = make_arm(twin.host, setup, names)
        with (
            stop_on_signals(arm.stop, keep_nohup=True, at_once=True),
            RealSenseCamera(setup.rig.camera, settings, context=twin.context) as camera,
            arm,
        ):
            yield Devices(camera, arm, twin)


def make_camera(names: DeviceNames, setup: Setup) -> Camera:
    """Create the named RealSense camera or recording, not yet connected."""
    if names.is_live:
        return RealSenseCamera(setup.rig.camera, setup.camera, names.camera.partition(":")[2] or None)
    path = names.recording
    return PlaybackCamera(lambda: open_recording(path, setup.rig.camera, setup.camera))


def make_arm(host: str, setup: Setup, names: DeviceNames) -> Arm:
    """Create the arm at an address, or its shadow, which only observes; not yet connected."""
    if host == NO_ARM:
        return AbsentArm(setup.rig, setup.fence)
    if names.shadow:
        return ShadowArm(host, setup.rig, setup.fence, setup.arm)
    return XArm(
        host,
        setup.site_rig,
        setup.arm,
        setup.max_speed_m_s,
        take_over=names.take_over,
        reports_are_commands=names.reports_are_commands,
        clearance=setup.clearance,
        joint_band=setup.joint_band,
    )
