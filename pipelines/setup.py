"""What a run is made of before any device is opened: read, checked, and refused in one sentence if it does not fit."""

from dataclasses import dataclass
from pathlib import Path

from control.arms.params import ArmParams
from control.policies import ProportionalPolicy, load_policy
from control.policy import Policy
from control.safety import Fence, check_start
from datasets.rig import Rig
from perception.cameras.settings import CameraSettings
from perception.estimate import Estimator
from perception.estimator import PositionEstimator
from pipelines.calibration import Calibration
from pipelines.settings import RuntimeSettings

PROPORTIONAL = "p"


@dataclass(frozen=True)
class Setup:
    """Rig, parameters, trained models and fence of a run."""

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
        calibration: str | Path | None = None,
        max_speed_m_s: float | None = None,
    ) -> "Setup":
        """Load what the settings name, unless named here.

        Raises:
            ConfigError: a parameter file does not fit.
            ModelError: a model is missing or was trained for another rig.
            SafetyStop: the fence is no safe one.
        """
        arm = ArmParams.load()
        measured = None if calibration is None else Calibration.load(calibration)
        return cls(
            rig,
            settings,
            arm,
            CameraSettings.load(),
            PositionEstimator.load(estimator or settings.estimator, rig),
            make_policy(policy or settings.policy, rig, settings),
            make_fence(rig, arm, max_speed_m_s),
            max_speed_m_s,
            measured,
        )


def make_fence(rig: Rig, arm: ArmParams, max_speed_m_s: float | None = None) -> Fence:
    """The fence of a rig, checked; raises SafetyStop when it is no safe one."""
    fence = Fence.from_rig(rig, arm, max_speed_m_s)
    check_start(rig, fence)
    return fence


def make_policy(name: str, rig: Rig, settings: RuntimeSettings) -> Policy:
    """The policy of a folder, or the proportional controller for ``p``; raises ModelError."""
    if name == PROPORTIONAL:
        return ProportionalPolicy(settings.proportional_gain, rig.max_displacement_m)
    return load_policy(name, rig)
