"""The gauntlet's gaps: in each, the world differs from the simulation in one way, everything else is nominal.

The payload is the exception: it hangs on another model of the arm, and differs in one way from that model without it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Any, Literal, TypeVar

from control.task.dynamics import DynamicsParams
from control.task.env import EnvParams
from datasets.arm.model import ArmName
from datasets.common.config import Checked, Within, make_params
from datasets.common.errors import ConfigError
from datasets.scene.randomization import CameraRandomization, Randomization, Range

Group = Literal["nominal", "camera", "picture", "dynamics", "camera_map"]
T = TypeVar("T")


@dataclass(frozen=True)
class ActionNoise(Checked):
    """Errors in carrying out each displacement, ``(3,)`` normal; they add up, as displacements do.

    Attributes:
        fraction: standard deviation per axis, as a fraction of the displacement's length.
        constant_m: standard deviation added to this whatever the length, m.
    """

    PART = "action_noise."

    fraction: Annotated[float, Within(0)] = 0.0
    constant_m: Annotated[float, Within(0, unit="m")] = 0.0


@dataclass(frozen=True)
class MotionChange(Checked):
    """Motion of arm and goal that no value of ``DynamicsParams`` describes; all in the base frame.

    Attributes:
        backlash_m: play between the drive and the TCP, in any direction: how far the drive goes after it has turned
            until the TCP turns too.
        gain_xyz: distance that the TCP moves along x, y and z for each metre that it is commanded from home. Like the
            bend it is the same in every episode: something that can be learnt about one arm.
        bend_per_m: curvature of the way to the side: commanded straight along y, the TCP comes nearer to the base's
            axis by half of this times the way's square.
        start_speed_m_s: speed at which the arm arrives home, from any direction, when the episode begins.
        goal_speed_m_s: speed at which the goal goes to and fro between two reachable places.
    """

    PART = "motion."

    backlash_m: Annotated[float, Within(0, 0.05, "m")] = 0.0
    gain_xyz: Annotated[tuple[float, float, float], Within(0.5, 2)] = (1.0, 1.0, 1.0)
    bend_per_m: Annotated[float, Within(0, 5, "1/m")] = 0.0
    start_speed_m_s: Annotated[float, Within(0, 0.25, "m/s")] = 0.0
    goal_speed_m_s: Annotated[float, Within(0, 0.25, "m/s")] = 0.0


@dataclass(frozen=True)
class Gap(Checked):
    """What differs; the rest is as in the split's randomization and the stage's dynamics.

    Attributes:
        title: the name shown to people.
        group: the heading under which it is shown.
        camera: values of ``CameraRandomization`` that differ from its defaults; empty: the split's own camera.
        look, dynamics: values that replace those of the split's ``LookRandomization`` and the stage's
            ``DynamicsParams``.
        arm: the arm whose shapes are drawn.
        depth_noise: range of the sensor's noise level.
        depth_scale_fraction: the fraction by which distances are read too long or too short, exactly.
        depth_warp_m: exact size of a slow warp where it is largest within the image, at 1 m.
        depth_calibrated: the camera's depth errors are corrected as ``calibrate`` would measure them.
        focal_fraction: the fraction by which the true focal length is off, up or down, exactly; the estimator does not
            know it.
        depth_holes: share of each picture whose depth is lost, in patches.
        passing_bar: a bar as thick as a forearm crosses the view once.
        action_noise: errors in carrying out displacements.
        motion: other changes of how arm and goal move.
    """

    title: str
    group: Group
    camera: dict[str, Any] = field(default_factory=dict)
    look: dict[str, Any] = field(default_factory=dict)
    dynamics: dict[str, Any] = field(default_factory=dict)
    arm: ArmName = "own"
    depth_noise: Annotated[Range, Within(0, rising=True)] | None = None
    depth_scale_fraction: Annotated[float, Within(0, 0.2)] = 0.0
    depth_warp_m: Annotated[float, Within(0, 0.1, "m")] = 0.0
    depth_calibrated: bool = False
    focal_fraction: Annotated[float, Within(0, 0.5, below=True)] = 0.0
    depth_holes: Annotated[float, Within(0, 1, below=True)] = 0.0
    passing_bar: bool = False
    action_noise: ActionNoise = field(default_factory=ActionNoise)
    motion: MotionChange = field(default_factory=MotionChange)

    @property
    def changes_depth(self) -> bool:
        """Whether the depth camera differs."""
        return any((self.depth_noise, self.depth_holes, self.depth_scale_fraction, self.depth_warp_m))

    def randomization(self, nominal: Randomization) -> Randomization:
        """The split's randomization with this gap in it; raises ConfigError for an unknown key.

        The camera is not part of it: see :class:`pipelines.gauntlet.scenes.GapScenes`.
        """
        return replace(
            nominal,
            arm=self.arm,
            look=changed(nominal.look, self.look, "look"),
            depth_noise=self.depth_noise or nominal.depth_noise,
        )

    def env_params(self, nominal: EnvParams) -> EnvParams:
        """The stage's episodes with this gap in them; raises ConfigError for an unknown key of the dynamics."""
        dynamics: DynamicsParams = changed(nominal.dynamics, self.dynamics, "dynamics")
        return replace(nominal, dynamics=dynamics)

    def check(self, nominal: EnvParams) -> None:
        """Raise ConfigError for a value that cannot be used."""
        self.env_params(nominal)
        self.randomization(Randomization())
        changed(CameraRandomization(), self.camera, "camera")


def changed(nominal: T, values: Mapping[str, Any], name: str) -> T:
    """A dataclass with some values replaced.

    Raises:
        ConfigError: it has no such key, or a value is of another type or out of its range.
    """
    known = {one.name for one in fields(nominal)}  # type: ignore[arg-type]  # T is one of three dataclasses
    for key in values:
        if key not in known:
            raise ConfigError(f"{name} has no key {key!r}; it has {', '.join(sorted(known))}")
    try:
        read = make_params(dict(values), type(nominal))
    except ConfigError as error:
        prefix = "" if str(error).startswith(f"{name}.") else f"{name}: "
        raise ConfigError(f"{prefix}{error}") from error
    return replace(nominal, **{key: getattr(read, key) for key in values})  # type: ignore[type-var]  # as above
