"""Loads and checks all parts of a run before any device is opened; refuses parts that do not fit in one sentence."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from control.arms.arm import Vector
from control.arms.fence import Fence, check_start
from control.arms.joint_band import JointBand
from control.arms.params import ArmParams
from control.arms.site import SITE_PATH, SiteParams
from control.arms.xarm.braking import as_driven
from control.clearance.arm_clearance import ArmClearance
from control.clearance.params import ClearanceParams, Obstacle
from control.policies.policy import Policy
from control.policies.shipped import ProportionalPolicy, load_policy
from datasets.arm.tools import ToolParams
from datasets.common.errors import ConfigError, SafetyStop
from datasets.rig.frame import Frame
from datasets.rig.projection import Intrinsics
from datasets.rig.rig import Box, Rig
from perception.calibration.calibration import NOT_MEASURED, Calibration
from perception.cameras.realsense.settings import CameraParams
from perception.estimator.estimate import Estimator, PositionEstimate
from perception.estimator.estimator import PositionEstimator
from pipelines.setup.settings import RuntimeParams

PROPORTIONAL = "proportional"
"""Name of the proportional controller, in place of a trained policy's folder; ``p`` is another name for it."""
TABLE_AGREES_M = 0.02
"""Largest difference, m, between the table's heights in site file and calibration."""


@dataclass(frozen=True)
class Setup:
    """Rig, parameters, trained models and fence of a run.

    Attributes:
        rig: the rig that the models were trained for.
        settings: the settings, with the models that were loaded, wherever these were named.
        estimator: not yet bound to this camera (:meth:`bound_estimator`).
        fence: the fence of :attr:`site_rig`.
        calibration: the camera's pose and the table's height, as measured, or from rig and site.
        joint_band: the range in which the controller holds the joints; None: the range that the fence needs.
    """

    rig: Rig
    settings: RuntimeParams
    arm: ArmParams
    camera: CameraParams
    estimator: PositionEstimator
    policy: Policy
    fence: Fence
    calibration: Calibration
    max_speed_m_s: float | None = None
    site: SiteParams = field(default_factory=SiteParams)
    margins: ClearanceParams = field(default_factory=ClearanceParams)
    joint_band: JointBand | None = None

    @classmethod
    def load(
        cls,
        rig: Rig,
        settings: RuntimeParams,
        *,
        estimator: str | None = None,
        policy: str | None = None,
        calibration: str | Path | Calibration | None = None,
        max_speed_m_s: float | None = None,
        site: SiteParams | None = None,
    ) -> "Setup":
        """Load the models that the settings name, or those named by the arguments.

        Args:
            calibration: a calibration or its file; None: the rig's own values.
            site: the laboratory's own values; None: an empty site. Its tool replaces the rig's.

        Raises:
            ConfigError: a parameter file does not fit.
            ModelError: a model is missing or was trained for another rig.
            SafetyStop: the fence is not safe, or begins too near to the measured table.
        """
        settings.require_rate(rig.rate_hz)
        settings = replace(
            settings, estimator=str(estimator or settings.estimator), policy=str(policy or settings.policy)
        )
        arm, site = ArmParams.load(), site or SiteParams()
        rig = site.mounted(rig)
        if not isinstance(calibration, Calibration):
            calibration = Calibration.of_rig(rig) if calibration is None else Calibration.load(calibration)
        calibration = with_table(calibration, site)
        fence = make_fence(site.rig(rig), arm, max_speed_m_s)
        check_clearance(fence, calibration.table_z_m, max(site.held.below_m, ToolParams.load(rig.tool).below_m))
        return cls(
            rig,
            settings,
            arm,
            CameraParams.load(),
            PositionEstimator.load(settings.estimator, rig),
            make_policy(settings.policy, rig, settings),
            fence,
            calibration,
            max_speed_m_s,
            site,
            ClearanceParams.load(),
        )

    @property
    def site_rig(self) -> Rig:
        """The rig with the workspace in which the TCP stays at this site."""
        return self.site.rig(self.rig)

    @property
    def clearance(self) -> ArmClearance:
        """The clearance of the whole arm from table, itself and the site's boxes, as given to the driver."""
        held, tip_m = self.site.held, self.rig.tool.tcp_offset_m
        across, ends = (-held.radius_m, held.radius_m), (tip_m - held.above_m, tip_m + held.below_m)
        tool = [_obstacle("what the tool holds", Box(across, across, ends))] if held.radius_m else []
        boxes = [_obstacle(name, box) for name, box in self.site.keep_out.items()]
        return ArmClearance(self.site_rig, boxes, self.calibration.table_z_m, self.margins, tool)

    @property
    def clearance_as_driven(self) -> ArmClearance:
        """The clearance with the margin of the driving mode, as the driver checks it before every command."""
        return as_driven(self.clearance, self.arm, self.rig.rate_hz)

    def with_measured_latency(self) -> "Setup":
        """A copy for the site's real camera: its stamps are late, so that its pictures are older than they appear.

        Raises:
            ConfigError: the pictures of this camera would always be too old.
        """
        latency, limits = self.site.latency, self.settings.limits
        if latency is None:
            return self
        largest_s = latency.camera_s[1] + 1 / self.rig.rate_hz
        if largest_s > limits.max_frame_age_s:
            raise ConfigError(
                f"pictures are acted on up to {largest_s:.2f} s after their capture (latency in {SITE_PATH}), "
                f"limits.max_frame_age_s is {limits.max_frame_age_s:.2f} s; raise it, or find out what holds them up"
            )
        late_s = max(latency.stamp_s[1], 0.0)
        limits = replace(limits, max_frame_age_s=max(limits.max_frame_age_s - late_s, 0.01))
        return replace(self, settings=replace(self.settings, limits=limits))

    def bound_estimator(self, intrinsics: Intrinsics) -> Estimator:
        """The estimator for the camera as calibrated, with the intrinsics that the camera itself reports."""
        calibration = self.calibration
        bound = self.estimator.bound(calibration.pose, self.true_intrinsics(intrinsics), calibration.table_z_m)
        return bound if calibration.has_true_depth else _OnTrueDepth(bound, calibration)

    def true_intrinsics(self, told: Intrinsics) -> Intrinsics:
        """The intrinsics that the camera was calibrated with, else those that it reports.

        Raises:
            ConfigError: the images are of another size.
        """
        found = self.calibration.intrinsics
        if found is not None and (found.width, found.height) != (told.width, told.height):
            raise ConfigError(
                f"the camera was calibrated with {found.width}x{found.height} px and gives {told.width}x{told.height} "
                "px; calibrate it as it is used"
            )
        return found or told


class _OnTrueDepth:
    """An estimator that receives depth without the camera's scale, offset and warp."""

    def __init__(self, estimator: Estimator, calibration: Calibration) -> None:
        self._estimator, self._calibration = estimator, calibration

    def estimate(self, frame: Frame) -> PositionEstimate:
        """Estimate from the frame with its depth corrected."""
        return self._estimator.estimate(replace(frame, depth=self._calibration.true_depth(frame.depth)))


def _obstacle(name: str, box: Box) -> Obstacle:
    sides = box.x_m, box.y_m, box.z_m
    return Obstacle(name, (sides[0][0], sides[1][0], sides[2][0]), (sides[0][1], sides[1][1], sides[2][1]))


def require_ways(setup: Setup, goals_m: Sequence[Vector], from_home: bool = True) -> None:
    """Refuse goals that the arm cannot reach in a straight line without coming too near to something.

    Args:
        goals_m: points ``(3,)`` of the TCP in the base frame.
        from_home: each way begins at home; otherwise only the first does, and every other at the previous goal.

    Raises:
        SafetyStop: the message says which goal, which thing is near, and where; or that at home the arm is too near.
    """
    clearance = setup.clearance_as_driven
    clearance.require_home()
    for ways in [[goal] for goal in goals_m] if from_home else [goals_m]:
        clearance.way(setup.rig.home_joints_rad, np.asarray(ways))


def make_fence(rig: Rig, arm: ArmParams, max_speed_m_s: float | None = None) -> Fence:
    """Create and check the fence of a rig; raises SafetyStop if it is not safe."""
    fence = Fence.from_rig(rig, arm, max_speed_m_s)
    check_start(rig, fence)
    return fence


def with_table(calibration: Calibration, site: SiteParams) -> Calibration:
    """The calibration with the table's height: the measured one, or the site's if none was measured.

    Raises:
        ConfigError: both give a height, and the two differ.
    """
    told, measured = site.table_z_m, calibration.table_z_m
    if told is None:
        return calibration
    if calibration.measured == NOT_MEASURED or not calibration.table_seen:
        return replace(calibration, table_z_m=told)
    if abs(told - measured) > TABLE_AGREES_M:
        raise ConfigError(
            f"table_z_m is {told:.3f} m in the site file, and was measured at {measured:.3f} m by the calibration; "
            "correct the site file, or calibrate again"
        )
    return calibration


def check_clearance(fence: Fence, table_z_m: float, below_m: float = 0.0) -> None:
    """Raise SafetyStop if the fence begins too near to the table for the controller's boundary and the watch.

    Args:
        table_z_m: the table's height in the base frame, which may lie above the arm's base.
        below_m: how far the tool, or an object that it holds, reaches below the TCP.
    """
    if fence.low_m[2] < (least_m := table_z_m + below_m + fence.least_height_m):
        held = f", the tool or what it holds reaches {below_m:.3f} m below the TCP" if below_m else ""
        raise SafetyStop(
            f"the fence begins at z = {fence.low_m[2]:.3f} m, the table lies at {table_z_m:.3f} m{held}; "
            f"raise keep_within.z_m in {SITE_PATH} to {least_m:.3f} m or more"
        )


def make_policy(name: str, rig: Rig, settings: RuntimeParams) -> Policy:
    """Load the policy of a folder, or create the proportional controller by its name; raises ModelError."""
    if name in (PROPORTIONAL, "p"):
        return ProportionalPolicy(settings.proportional_gain, rig.max_displacement_m)
    return load_policy(name, rig)
