"""What varies from scene to scene, and by how much: the parameters of domain randomization.

A range ``[low, high]`` is uniform unless its comment says otherwise.
"""

from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

from datasets.arm.model import ArmName
from datasets.common.config import Checked, Within
from datasets.rig.envelope import CameraEnvelope

Range = tuple[float, float]
Posture = Literal["down", "any"]
IMAGES_PX = ((640, 480), (848, 480), (1280, 720))
"""Image sizes of the D400 series' colour stream that users choose (Intel, D400 series datasheet)."""


@dataclass(frozen=True)
class CameraRandomization(Checked):
    """Where the camera truly stands relative to the rig, and how well the estimator knows it.

    Attributes:
        offset_m: largest displacement from the rig's pose along each base axis, m; with ``exact`` its length.
        rotation_deg: largest rotation about a random axis, deg; with ``exact`` the rotation.
        focal_fraction: largest relative change of the focal length; the estimator is given the changed one.
        exact: draw displacement and rotation of exactly the given size, in random directions.
        calibration_m: radius of the ball in which the given position errs, m.
        calibration_deg: largest rotation by which the given orientation errs, deg.
        told_rig: give the estimator the rig's pose, however far from it the camera stands.
        envelope: cameras from anywhere inside it, in place of the rig's; their images are of ``IMAGES_PX``.
        rig_share: share of scenes whose camera nevertheless stands near the rig's pose.
        outside: share of the envelope's cameras that look past the TCP: it lies outside their image.
    """

    PART = "camera."

    offset_m: Annotated[float, Within(0, 0.5, "m")] = 0.0
    rotation_deg: Annotated[float, Within(0, 180, "deg")] = 0.0
    focal_fraction: Annotated[float, Within(0, 1, below=True)] = 0.0
    exact: bool = False
    calibration_m: Annotated[float, Within(0, 0.5, "m")] = 0.002
    calibration_deg: Annotated[float, Within(0, 180, "deg")] = 0.1
    told_rig: bool = False
    envelope: CameraEnvelope | None = None
    rig_share: Annotated[float, Within(0, 1)] = 0.0
    outside: Annotated[float, Within(0, 1)] = 0.0


@dataclass(frozen=True)
class LookRandomization(Checked):
    """Colours, textures, lights and things in view.

    Attributes:
        wild_arm: share of scenes whose arm has entirely random colours instead of colours near its own.
        arm_shade: brightness factor of the arm's own colours.
        textured: share of surfaces that carry a texture.
        clutter: how many objects lie on the table, of at most 10.
        furniture: share of scenes with each of: a cabinet, a screen, another robot, a cable, behind the arm.
        pedestal: share of scenes without a table: the arm stands on a narrow foot.
        open_room: share of scenes without walls: nothing to see, and no reading, behind the arm.
        white_on_white: share of scenes in which all but the arm is nearly white and plain.
        occluder: share of scenes with a bar floating between camera and arm.
        key_light: brightness of the main light.
        ambient: brightness of the light from everywhere.
    """

    PART = "look."

    wild_arm: Annotated[float, Within(0, 1)] = 0.15
    arm_shade: Annotated[Range, Within(0, rising=True)] = (0.6, 1.15)
    textured: Annotated[float, Within(0, 1)] = 0.6
    clutter: Annotated[tuple[int, int], Within(0, 10, rising=True)] = (0, 10)
    furniture: Annotated[float, Within(0, 1)] = 0.3
    pedestal: Annotated[float, Within(0, 1)] = 0.1
    open_room: Annotated[float, Within(0, 1)] = 0.1
    white_on_white: Annotated[float, Within(0, 1)] = 0.1
    occluder: Annotated[float, Within(0, 1)] = 0.15
    key_light: Annotated[Range, Within(0, rising=True)] = (0.2, 1.2)
    ambient: Annotated[Range, Within(0, rising=True)] = (0.1, 0.6)


CALIBRATED_DEPTH = (0.003, 0.001, 0.001)
"""Scale, offset and warp (as in :class:`DepthErrorRandomization`) that a calibrated depth camera keeps."""


@dataclass(frozen=True)
class DepthErrorRandomization(Checked):
    """Errors that one depth camera makes in all its pictures.

    A ``share`` of the cameras err by up to the numbers below, the others by at most 0.003 in scale, 1 mm in offset and
    1 mm in warp at 1 m, and by no more than the numbers below.

    Attributes:
        scale_fraction: largest relative error of distance; the vendor's bound is 2 % at 2 m.
        offset_m: largest error at all distances, m.
        warp_m: largest slow error over the image, m at 1 m; it grows with the square of distance.
        share: share of cameras that are not calibrated.
    """

    PART = "depth_error."

    scale_fraction: Annotated[float, Within(0, 0.2)] = 0.003
    offset_m: Annotated[float, Within(0, 0.1, "m")] = 0.0005
    warp_m: Annotated[float, Within(0, 0.1, "m")] = 0.001
    share: Annotated[float, Within(0, 1)] = 0.0


@dataclass(frozen=True)
class ImageRandomization(Checked):
    """How colour cameras differ, by :mod:`datasets.scene.image_formation` (ranges *assumed: image-formation*).

    Attributes:
        plain: share of scenes that are left as drawn.
        gain: exposure, uniform in its logarithm: automatic exposure errs by about one stop to either side.
        balance: standard deviation of the logarithm of red and of blue: indoor lights between 2700 and 6500 K, after a
            camera's own correction.
        vignetting: share of light that is missing in the corner.
        gamma: of the tone curve, about the drawn one.
        blur_px: of lens and demosaicing, native px; small lenses reach one pixel.
        sharpening: unsharp mask; the D400's default setting is 50 of 100.
        noise: standard deviation at full intensity, as a share of it.
    """

    PART = "image."

    plain: Annotated[float, Within(0, 1)] = 0.3
    gain: Annotated[Range, Within(0.05, 20, rising=True)] = (0.6, 1.8)
    balance: Annotated[float, Within(0, 1)] = 0.08
    vignetting: Annotated[Range, Within(0, 1, rising=True)] = (0.0, 0.3)
    gamma: Annotated[Range, Within(0.2, 5, rising=True)] = (0.75, 1.3)
    blur_px: Annotated[Range, Within(0, 10, "px", rising=True)] = (0.0, 1.0)
    sharpening: Annotated[Range, Within(0, 5, rising=True)] = (0.0, 0.8)
    noise: Annotated[Range, Within(0, 1, rising=True)] = (0.0, 0.04)


@dataclass(frozen=True)
class Randomization(Checked):
    """Everything that differs between two scenes besides the arm's position.

    Attributes:
        tilt_deg: largest tilt of the gripper away from straight down, deg.
        elbow_rad: standard deviation of the posture that inverse kinematics starts from, rad: the arm's seventh
            degree of freedom, which the controller resolves in a way of its own.
        depth_noise: level of the depth sensor's noise; 1 is a D435 as measured, 0 is clean.
        depth_error: error of the depth camera itself, at any level of noise.
        depth_fattening_px: how far near surfaces read beyond their edges, pixels of the depth camera's imager.
        depth_waves_px: standard deviation of the disparity of slow waves on all that is seen, pixels of the same.
        image: what the colour camera makes of the light.
        posture: "down": the tool points down, but for the tilt; "any": every joint is anywhere between its limits, the
            flange in any orientation, the arm never touches itself or the table.
    """

    arm: ArmName = "own"
    camera: CameraRandomization = field(default_factory=CameraRandomization)
    look: LookRandomization = field(default_factory=LookRandomization)
    tilt_deg: Annotated[float, Within(0, 20, "deg")] = 4.0
    elbow_rad: Annotated[float, Within(0, unit="rad")] = 0.25
    depth_noise: Annotated[Range, Within(0, rising=True)] = (0.0, 1.2)
    depth_error: DepthErrorRandomization = field(default_factory=DepthErrorRandomization)
    depth_fattening_px: Annotated[Range, Within(0, 20, "px", rising=True)] = (0.0, 0.0)
    depth_waves_px: Annotated[Range, Within(0, 2, "px", rising=True)] = (0.0, 0.0)
    image: ImageRandomization = field(default_factory=ImageRandomization)
    posture: Posture = "down"

    def as_plain(self) -> dict[str, Any]:
        """Plain values.

        Fields that version 0.2 did not have are left out if they keep its behaviour, so that its frames still fit.
        """
        values = asdict(self)
        for part, name, as_it_was in (
            (values, "posture", "down"),
            (values, "depth_fattening_px", (0.0, 0.0)),
            (values, "depth_waves_px", (0.0, 0.0)),
            (values["camera"], "outside", 0.0),
        ):
            if part[name] == as_it_was:
                del part[name]
        return values
