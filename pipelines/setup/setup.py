"""What a run is made of before any device is opened: read, checked, and refused in one sentence if it does not fit."""

from dataclasses import dataclass, replace
from pathlib import Path

from control.arms.fence import Fence, check_start
from control.arms.params import ArmParams
from control.policies.policy import Policy
from control.policies.shipped import ProportionalPolicy, load_policy
from datasets.common.errors import SafetyStop
from datasets.rig.projection import Intrinsics
from datasets.rig.rig import Rig
from perception.calibration.calibration import Calibration
from perception.cameras.realsense.settings import CameraParams
from perception.estimator.estimate import Estimator
from perception.estimator.estimator import PositionEstimator
from pipelines.setup.settings import RuntimeParams

PROPORTIONAL = "proportional"
"""Names the proportional controller in place of a trained policy's folder; ``p`` does so, too."""


@dataclass(frozen=True)
class Setup:
    """Rig, parameters, trained models and fence of a run.

    Attributes:
        rig: that the models were trained for.
        settings: of the models that were loaded, wherever they were named.
        estimator: not bound to this camera yet (:meth:`bound_estimator`).
        fence: of :attr:`site`.
        calibration: where the camera stands and how high the table lies: as measured, or as the rig says.
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
    ) -> "Setup":
        """Load what the settings name, unless named here.

        Args:
            calibration: its file or itself; None: the rig's own values.

        Raises:
            ConfigError: a parameter file does not fit.
            ModelError: a model is missing or was trained for another rig.
            SafetyStop: the fence is no safe one, or begins too near to the table as measured.
        """
        settings.require_rate(rig.rate_hz)
        settings = replace(
            settings, estimator=str(estimator or settings.estimator), policy=str(policy or settings.policy)
        )
        arm = ArmParams.load()
        if not isinstance(calibration, Calibration):
            calibration = Calibration.of_rig(rig) if calibration is None else Calibration.load(calibration)
        fence = make_fence(settings.site(rig), arm, max_speed_m_s)
        check_clearance(fence, calibration.table_z_m)
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
        )

    @property
    def site(self) -> Rig:
        """The rig with the workspace that the TCP keeps to here."""
        return self.settings.site(self.rig)

    def bound_estimator(self, intrinsics: Intrinsics) -> Estimator:
        """The estimator for the camera as calibrated, with the intrinsics that the camera itself reports."""
        return self.estimator.bound(self.calibration.pose, intrinsics, self.calibration.table_z_m)


def make_fence(rig: Rig, arm: ArmParams, max_speed_m_s: float | None = None) -> Fence:
    """The fence of a rig, checked; raises SafetyStop when it is no safe one."""
    fence = Fence.from_rig(rig, arm, max_speed_m_s)
    check_start(rig, fence)
    return fence


def check_clearance(fence: Fence, table_z_m: float) -> None:
    """Raises SafetyStop when the fence begins too near to a table that stands above the arm's base."""
    if fence.low_m[2] < (least_m := table_z_m + fence.least_height_m):
        raise SafetyStop(
            f"the fence begins at z = {fence.low_m[2]:.3f} m, the table was measured at {table_z_m:.3f} m; "
            f"raise keep_within.z_m in params/runtime.yaml to {least_m:.3f} m or more"
        )


def make_policy(name: str, rig: Rig, settings: RuntimeParams) -> Policy:
    """The policy of a folder, or the proportional controller by its name; raises ModelError."""
    if name in (PROPORTIONAL, "p"):
        return ProportionalPolicy(settings.proportional_gain, rig.max_displacement_m)
    return load_policy(name, rig)
