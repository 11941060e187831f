"""How the arm is driven (``params/arm.yaml``)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from datasets.common.config import load_params, require_ranges
from datasets.common.errors import ConfigError

ARM_PATH = Path("params/arm.yaml")
DriveMode = Literal["online_line", "velocity"]


@dataclass(frozen=True)
class ArmParams:
    """Speeds, margins and deadlines; each value is explained in ``params/arm.yaml``."""

    mode: DriveMode = "online_line"
    acceleration_m_s2: float = 2.0
    slow_speed_m_s: float = 0.10
    fence_margin_m: float = 0.0
    max_displacement_change_m: float | None = None
    controller_margin_m: float = 0.02
    reduced_mode: bool = True
    max_joint_speed_rad_s: float = 1.57
    collision_sensitivity: int = 3
    reply_wait_s: float = 0.03
    command_deadline_s: float = 0.30
    report_deadline_s: float = 0.20
    stop_timeout_s: float = 0.08
    velocity_duration_steps: float = 2.5
    velocity_gain: float = 0.3
    velocity_braking_m_s2: float = 2.0
    report_delay_s: float = 0.006

    def __post_init__(self) -> None:
        ranges: dict[str, tuple[float, float]] = {
            "acceleration_m_s2": (0.01, 10),
            "slow_speed_m_s": (0.001, 0.25),
            "fence_margin_m": (0, 0.2),
            "controller_margin_m": (0, 0.1),
            "max_joint_speed_rad_s": (0.1, 3.15),
            "collision_sensitivity": (1, 5),
            "reply_wait_s": (0, 0.1),
            "command_deadline_s": (0.05, 1),
            "report_deadline_s": (0.05, 1),
            "stop_timeout_s": (0.01, 0.2),
            "velocity_duration_steps": (1, 5),
            "velocity_gain": (0, 1),
            "velocity_braking_m_s2": (0.1, 20),
            "report_delay_s": (0, 0.1),
        }
        require_ranges(self, ranges)
        if self.max_displacement_change_m is not None and not self.max_displacement_change_m > 0:
            raise ConfigError(
                f"max_displacement_change_m must be positive or null, got {self.max_displacement_change_m}"
            )

    @classmethod
    def load(cls, path: str | Path = ARM_PATH) -> "ArmParams":
        """Read and check the file; raises ConfigError naming the key."""
        return load_params(path, cls)
