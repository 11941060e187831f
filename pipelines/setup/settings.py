"""Settings of a run (``params/runtime.yaml``)."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from datasets.common.config import Checked, Within, load_params
from datasets.common.errors import ConfigError
from datasets.rig.rig import Rig, Workspace
from pipelines.runtime.monitor import LimitParams

RUNTIME_PATH = Path("params/runtime.yaml")
_LEAST_WATCHDOG_PERIODS = 1.5


@dataclass(frozen=True)
class RuntimeParams(Checked):
    """What a run needs beside the rig; each value is explained in ``params/runtime.yaml``."""

    estimator: str
    policy: str
    horizon_steps: Annotated[int, Within(1)]
    settle_s: Annotated[float, Within(0, 10, "s")]
    watchdog_s: Annotated[float, Within(0, 1, "s", above=True)]
    proportional_gain: Annotated[float, Within(0, 1, above=True)]
    limits: LimitParams
    keep_within: Workspace | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.limits.drift_ticks > self.horizon_steps:
            raise ConfigError(
                f"limits.drift_ticks ({self.limits.drift_ticks}) must not exceed horizon_steps ({self.horizon_steps}): "
                "no goal would last long enough for the average"
            )

    @classmethod
    def load(cls, path: str | Path = RUNTIME_PATH) -> "RuntimeParams":
        """Read and check the file; raises ConfigError naming the key."""
        return load_params(path, cls)

    def require_rate(self, rate_hz: float) -> None:
        """Raise ConfigError when a loop of this rate would trip over its own watchdog."""
        if self.watchdog_s < _LEAST_WATCHDOG_PERIODS / rate_hz:
            raise ConfigError(
                f"watchdog_s is {self.watchdog_s}: at {rate_hz:g} steps/s the loop is silent for {1 / rate_hz:g} s "
                f"between two of them; give at least {_LEAST_WATCHDOG_PERIODS / rate_hz:g} s"
            )

    def site(self, rig: Rig) -> Rig:
        """The rig with the workspace that the TCP keeps to here: ``keep_within``, or all of what the models know.

        Raises:
            ConfigError: ``keep_within`` is not inside the rig's workspace.
        """
        box, known = self.keep_within, rig.workspace
        if box is None:
            return rig
        if not (known.contains(box.low) and known.contains(box.high)):
            raise ConfigError(
                f"keep_within x {list(box.x_m)}, y {list(box.y_m)}, z {list(box.z_m)} m is not inside the workspace "
                f"that the models were trained for, x {list(known.x_m)}, y {list(known.y_m)}, z {list(known.z_m)} m; "
                "make it smaller, or widen the rig's workspace and train again"
            )
        return replace(rig, workspace=box)

    def with_horizon(self, steps: int) -> "RuntimeParams":
        """The same with another horizon; drift is averaged over no more of it than there is."""
        limits = replace(self.limits, drift_ticks=min(self.limits.drift_ticks, steps))
        return replace(self, horizon_steps=steps, limits=limits)
