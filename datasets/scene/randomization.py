"""What varies from scene to scene, and by how much: the parameters of domain randomization.

A range ``[low, high]`` is uniform unless its comment says otherwise.
"""

from dataclasses import dataclass, field
from typing import Annotated

from datasets.arm.model import ArmName
from datasets.common.config import Checked, Within

Range = tuple[float, float]


@dataclass(frozen=True)
class CameraRandomization(Checked):
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

    PART = "camera."

    offset_m: Annotated[float, Within(0, 0.5, "m")] = 0.0
    rotation_deg: Annotated[float, Within(0, 180, "deg")] = 0.0
    focal_fraction: Annotated[float, Within(0, 1, below=True)] = 0.0
    exact: bool = False
    calibration_m: Annotated[float, Within(0, 0.5, "m")] = 0.002
    calibration_deg: Annotated[float, Within(0, 180, "deg")] = 0.1
    told_rig: bool = False


@dataclass(frozen=True)
class LookRandomization(Checked):
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

    PART = "look."

    wild_arm: Annotated[float, Within(0, 1)] = 0.15
    arm_shade: Annotated[Range, Within(0, rising=True)] = (0.6, 1.15)
    textured: Annotated[float, Within(0, 1)] = 0.6
    clutter: Annotated[tuple[int, int], Within(0, 10, rising=True)] = (0, 10)
    occluder: Annotated[float, Within(0, 1)] = 0.05
    key_light: Annotated[Range, Within(0, rising=True)] = (0.2, 0.9)
    ambient: Annotated[Range, Within(0, rising=True)] = (0.1, 0.5)


@dataclass(frozen=True)
class Randomization(Checked):
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
    tilt_deg: Annotated[float, Within(0, 20, "deg")] = 4.0
    elbow_rad: Annotated[float, Within(0, unit="rad")] = 0.25
    depth_noise: Annotated[Range, Within(0, rising=True)] = (0.0, 1.5)
