"""What a run is made of before any device is opened: read, checked, and refused in one sentence if it does not fit."""

from dataclasses import dataclass, replace
from pathlib import Path

from control.arms.fence import TABLE_CLEARANCE_M, Fence, check_start
from control.arms.params import ArmParams
from control.policies.policy import Policy
from control.policies.shipped import ProportionalPolicy, load_policy
from datasets.common.errors import SafetyStop
from datasets.rig.rig import Rig
from perception.calibration.calibration import Calibration
from perception.cameras.realsense.settings import CameraSettings
from perception.estimator.estimate import Estimator
from perception.estimator.estimator import PositionEstimator
from perception.estimator.mounted import MountedEstimator
from pipelines.setup.settings import RuntimeSettings

PROPORTIONAL = "p"


@dataclass(frozen=True)
class Setup:
    """Rig, parameters, trained models and fence of a run.

    Attributes:
        rig: that the models were trained for.
        settings: of the models that were loaded, wherever they were named.
        fence: of :attr:`site`.
    """

    rig: Rig
    settings: RuntimeSettings
    arm: ArmParams
    camera: CameraSettings
    estimator: Estimator
    policy: Policy
    fence: Fence
    max_speed_m_s: float | None = None
    calibration: Calibration | None = None

    @classmethod
    def load(
        cls,
        rig: Rig,
        settings: RuntimeSettings,
        *,
        estimator: str | None = None,
        policy: str | None = None,
        calibration: str | Path | Calibration | None = None,
        max_speed_m_s: float | None = None,
    ) -> "Setup":
        """Load what the settings name, unless named here.

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
        measured = Calibration.load(calibration) if isinstance(calibration, str | Path) else calibration
        table_z_m = 0.0 if measured is None else measured.table_z_m
        fence = make_fence(settings.site(rig), arm, max_speed_m_s)
        check_clearance(fence, table_z_m)
        eyes = PositionEstimator.load(settings.estimator, rig)
        return cls(
            rig,
            settings,
            arm,
            CameraSettings.load(),
            MountedEstimator(eyes, table_z_m) if table_z_m else eyes,
            make_policy(settings.policy, rig, settings),
            fence,
            max_speed_m_s,
            measured,
        )

    @property
    def site(self) -> Rig:
        """The rig with the workspace that the TCP keeps to here."""
        return self.settings.site(self.rig)


def make_fence(rig: Rig, arm: ArmParams, max_speed_m_s: float | None = None) -> Fence:
    """The fence of a rig, checked; raises SafetyStop when it is no safe one."""
    fence = Fence.from_rig(rig, arm, max_speed_m_s)
    check_start(rig, fence)
    return fence


def check_clearance(fence: Fence, table_z_m: float) -> None:
    """Raises SafetyStop when the fence begins too near to a table that stands above the arm's base."""
    if fence.low_m[2] < table_z_m + TABLE_CLEARANCE_M:
        raise SafetyStop(
            f"the fence begins at z = {fence.low_m[2]:.3f} m, the table was measured at {table_z_m:.3f} m; "
            f"raise keep_within.z_m in params/runtime.yaml to {table_z_m + TABLE_CLEARANCE_M:.3f} m or more"
        )


def make_policy(name: str, rig: Rig, settings: RuntimeSettings) -> Policy:
    """The policy of a folder, or the proportional controller for ``p``; raises ModelError."""
    if name == PROPORTIONAL:
        return ProportionalPolicy(settings.proportional_gain, rig.max_displacement_m)
    return load_policy(name, rig)
