"""How the arm is driven (``params/arm.yaml``)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from datasets.common.config import Checked, Within, load_params
from datasets.common.errors import ConfigError

ARM_PATH = Path("params/arm.yaml")
DriveMode = Literal["online_line", "velocity"]


@dataclass(frozen=True)
class ArmParams(Checked):
    """Speeds, margins and deadlines; each value is explained in ``params/arm.yaml``."""

    mode: DriveMode = "online_line"
    acceleration_m_s2: Annotated[float, Within(0.01, 10, "m/s²")] = 2.0
    slow_speed_m_s: Annotated[float, Within(0.001, 0.25, "m/s")] = 0.10
    fence_margin_m: Annotated[float, Within(0, 0.2, "m")] = 0.0
    max_displacement_change_m: float | None = None
    controller_margin_m: Annotated[float, Within(0, 0.1, "m")] = 0.02
    reduced_mode: bool = True
    max_joint_speed_rad_s: Annotated[float, Within(0.1, 3.15, "rad/s")] = 1.57
    collision_sensitivity: Annotated[int, Within(1, 5)] = 3
    reply_wait_s: Annotated[float, Within(0, 0.1, "s")] = 0.03
    command_deadline_s: Annotated[float, Within(0.05, 1, "s")] = 0.30
    report_deadline_s: Annotated[float, Within(0.05, 1, "s")] = 0.20
    stop_timeout_s: Annotated[float, Within(0.01, 0.2, "s")] = 0.08
    velocity_duration_steps: Annotated[float, Within(1, 5)] = 2.5
    velocity_gain: Annotated[float, Within(0, 1)] = 0.3
    velocity_braking_m_s2: Annotated[float, Within(0.1, 20, "m/s²")] = 2.0
    report_delay_s: Annotated[float, Within(0, 0.1, "s")] = 0.006

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_displacement_change_m is not None and not self.max_displacement_change_m > 0:
            raise ConfigError(
                f"max_displacement_change_m must be positive or null, got {self.max_displacement_change_m}"
            )

    @classmethod
    def load(cls, path: str | Path = ARM_PATH) -> "ArmParams":
        """Read and check the file; raises ConfigError naming the key."""
        return load_params(path, cls)
