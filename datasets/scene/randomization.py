"""What varies from scene to scene, and by how much: the parameters of domain randomization.

A range ``[low, high]`` is uniform unless its comment says otherwise.
"""

from dataclasses import dataclass, field

from datasets.arm.model import ArmName
from datasets.common.errors import ConfigError

Range = tuple[float, float]


@dataclass(frozen=True)
class CameraRandomization:
    """Where the camera truly stands relative to the rig, and how well the estimator is told of it.

    Attributes:
        offset_m: largest displacement from the rig's pose along each base axis, m; with ``exact`` its length.
        rotation_deg: largest rotation about a random axis, deg; with ``exact`` the rotation.
        focal_fraction: largest relative change of the focal length; the estimator is told the changed one.
        exact: draw displacement and rotation of exactly the given size, in random directions.
        calibration_m: radius of the ball in which the told position errs, m.
        calibration_deg: largest rotation by which the told orientation errs, deg.
        told_rig: tell the estimator the rig's pose, however far from it the camera stands.
    """

    offset_m: float = 0.0
    rotation_deg: float = 0.0
    focal_fraction: float = 0.0
    exact: bool = False
    calibration_m: float = 0.002
    calibration_deg: float = 0.1
    told_rig: bool = False

    def __post_init__(self) -> None:
        for key in ("offset_m", "rotation_deg", "focal_fraction", "calibration_m", "calibration_deg"):
            if getattr(self, key) < 0:
                raise ConfigError(f"camera.{key} must not be negative, got {getattr(self, key)}")
        if self.offset_m > 0.5:
            raise ConfigError(f"camera.offset_m is {self.offset_m}: values are metres, at most 0.5")


@dataclass(frozen=True)
class LookRandomization:
    """Colours, textures, lights and things in view.

    Attributes:
        wild_arm: share of scenes whose arm takes wholly random colours instead of near its own.
        arm_shade: brightness factor of the arm's own colours.
        textured: share of surfaces that carry a texture.
        clutter: how many objects lie on the table, of at most 10.
        occluder: share of scenes with a bar floating between camera and arm.
        key_light: brightness of the main light.
        ambient: brightness of the light from everywhere.
    """

    wild_arm: float = 0.15
    arm_shade: Range = (0.6, 1.15)
    textured: float = 0.6
    clutter: tuple[int, int] = (0, 10)
    occluder: float = 0.05
    key_light: Range = (0.2, 0.9)
    ambient: Range = (0.15, 0.6)

    def __post_init__(self) -> None:
        for key in ("wild_arm", "textured", "occluder"):
            if not 0 <= getattr(self, key) <= 1:
                raise ConfigError(f"look.{key} is a share and must lie in [0, 1], got {getattr(self, key)}")
        for key in ("arm_shade", "clutter", "key_light", "ambient"):
            low, high = getattr(self, key)
            if not 0 <= low <= high:
                raise ConfigError(f"look.{key} must be an increasing range of values >= 0, got [{low}, {high}]")
        if self.clutter[1] > 10:
            raise ConfigError(f"look.clutter allows at most 10 objects, got {self.clutter[1]}")


@dataclass(frozen=True)
class Randomization:
    """Everything that differs between two scenes besides the arm's position.

    Attributes:
        tilt_deg: largest tilt of the gripper away from straight down, deg.
        elbow_rad: standard deviation of the posture that inverse kinematics starts from, rad: the arm's seventh
            degree of freedom, which the controller resolves in a way of its own.
        depth_noise: level of the depth sensor's noise; 1 is a D435 as its maker describes it, 0 is clean.
    """

    arm: ArmName = "own"
    camera: CameraRandomization = field(default_factory=CameraRandomization)
    look: LookRandomization = field(default_factory=LookRandomization)
    tilt_deg: float = 4.0
    elbow_rad: float = 0.25
    depth_noise: Range = (0.0, 1.5)

    def __post_init__(self) -> None:
        low, high = self.depth_noise
        if not 0 <= low <= high:
            raise ConfigError(f"depth_noise must be an increasing range of levels >= 0, got [{low}, {high}]")
        if not 0 <= self.tilt_deg <= 20:
            raise ConfigError(f"tilt_deg must lie in [0, 20] deg, got {self.tilt_deg}")
