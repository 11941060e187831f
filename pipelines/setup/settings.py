"""Settings of a run (``params/runtime.yaml``)."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from control.arms.site import SITE_EXAMPLE_PATH, SITE_PATH
from datasets.common.config import Checked, Within, load_params
from datasets.common.errors import ConfigError
from pipelines.runtime.monitor import LimitParams

RUNTIME_PATH = Path("params/runtime.yaml")
_LEAST_WATCHDOG_PERIODS = 1.5


@dataclass(frozen=True)
class RuntimeParams(Checked):
    """The settings of a run in addition to rig and site; each value is explained in ``params/runtime.yaml``.

    Attributes:
        keep_within: must be None: it is now in the site file; a file of version 0.1 may still have the empty key.
    """

    estimator: str
    policy: str
    horizon_steps: Annotated[int, Within(1)]
    settle_s: Annotated[float, Within(0, 10, "s")]
    watchdog_s: Annotated[float, Within(0, 1, "s", above=True)]
    proportional_gain: Annotated[float, Within(0, 1, above=True)]
    limits: LimitParams
    keep_within: dict[str, tuple[float, float]] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.keep_within is not None:
            raise ConfigError(f"keep_within has moved: write it into {SITE_PATH}, for which see {SITE_EXAMPLE_PATH}")
        if self.limits.drift_ticks > self.horizon_steps:
            raise ConfigError(
                f"limits.drift_ticks ({self.limits.drift_ticks}) must not exceed horizon_steps ({self.horizon_steps}): "
                "no goal would last long enough for the average"
            )

    @classmethod
    def renewed(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Let a file of an earlier version, without ``uncertain_held``, stop at the first uncertain estimate."""
        limits = values.get("limits")
        return {**values, "limits": {"uncertain_held": 0, **limits}} if isinstance(limits, dict) else values

    @classmethod
    def load(cls, path: str | Path = RUNTIME_PATH) -> "RuntimeParams":
        """Read and check the file; raises ConfigError with the name of the key."""
        return load_params(path, cls)

    def require_rate(self, rate_hz: float) -> None:
        """Raise ConfigError if a loop of this rate would trigger its own watchdog."""
        if self.watchdog_s < _LEAST_WATCHDOG_PERIODS / rate_hz:
            raise ConfigError(
                f"watchdog_s is {self.watchdog_s}: at {rate_hz:g} steps/s the loop is silent for {1 / rate_hz:g} s "
                f"between two of them; give at least {_LEAST_WATCHDOG_PERIODS / rate_hz:g} s"
            )

    def with_horizon(self, steps: int) -> "RuntimeParams":
        """A copy with another horizon; drift is then averaged over at most that many ticks."""
        limits = replace(self.limits, drift_ticks=min(self.limits.drift_ticks, steps))
        return replace(self, horizon_steps=steps, limits=limits)
