"""What the arm must stay clear of, and by how much (``params/clearance.yaml``)."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np

from datasets.common.config import Checked, Within, load_params
from datasets.common.errors import ConfigError
from datasets.rig.projection import Array
from datasets.rig.rig import Point

CLEARANCE_PATH = Path("params/clearance.yaml")


@dataclass(frozen=True)
class ClearanceParams(Checked):
    """Distances at which the arm slows down and stops; each value is explained in ``params/clearance.yaml``."""

    margin_m: Annotated[float, Within(0.005, 0.1, "m")] = 0.02
    slow_from_m: Annotated[float, Within(0.01, 0.3, "m")] = 0.05
    itself_slow_from_m: Annotated[float, Within(0.01, 0.3, "m")] = 0.03
    least_scale: Annotated[float, Within(0, 1, above=True)] = 0.1
    braking_m_s2: Annotated[float, Within(0.1, 20, "m/s²")] = 2.0
    reaction_s: Annotated[float, Within(0, 0.5, "s")] = 0.05
    singularity_slow: Annotated[float, Within(1, 1000)] = 17.0
    singularity_stop: Annotated[float, Within(1, 1000)] = 30.0
    joint_limit_margin_rad: Annotated[float, Within(0, 0.5, "rad")] = 0.1
    joint_slow_from_rad: Annotated[float, Within(0, 1, "rad")] = 0.2
    plate_half_width_m: Annotated[float, Within(0.05, 0.5, "m")] = 0.15

    def __post_init__(self) -> None:
        super().__post_init__()
        for low, high in (
            ("margin_m", "slow_from_m"),
            ("margin_m", "itself_slow_from_m"),
            ("singularity_slow", "singularity_stop"),
            ("joint_limit_margin_rad", "joint_slow_from_rad"),
        ):
            if not getattr(self, low) < getattr(self, high):
                raise ConfigError(
                    f"{low} must lie below {high}, got {getattr(self, low):g} and {getattr(self, high):g}"
                )

    @classmethod
    def load(cls, path: str | Path = CLEARANCE_PATH) -> "ClearanceParams":
        """Read and check the file; raises ConfigError naming the key."""
        return load_params(path, cls)

    def allowing_for(self, overshoot_m: float) -> "ClearanceParams":
        """The same distances for an arm that goes that far beyond its targets."""
        return replace(
            self,
            margin_m=self.margin_m + overshoot_m,
            slow_from_m=self.slow_from_m + overshoot_m,
            itself_slow_from_m=self.itself_slow_from_m + overshoot_m,
        )


@dataclass(frozen=True)
class Obstacle:
    """A named box along the axes of a frame: the base's for what stands near the arm, the flange's for a tool on it.

    Raises:
        ConfigError: the box has no name, is empty, or is not given by finite numbers.
    """

    name: str
    low_m: Point
    high_m: Point

    def __post_init__(self) -> None:
        if not self.name:
            raise ConfigError(f"a box needs a name, for messages; the one at {self.low_m} has none")
        if len(self.low_m) != 3 or len(self.high_m) != 3 or not all(map(math.isfinite, (*self.low_m, *self.high_m))):
            raise ConfigError(
                f"the corners of box {self.name!r} must be three finite numbers each, got {self.low_m}, {self.high_m}"
            )
        if any(low >= high for low, high in zip(self.low_m, self.high_m, strict=True)):
            raise ConfigError(
                f"box {self.name!r} is empty: low_m {self.low_m} must lie below high_m {self.high_m} on each axis"
            )
        if max(map(abs, (*self.low_m, *self.high_m))) > 10:
            raise ConfigError(f"box {self.name!r} reaches beyond 10 m: values are metres, not millimetres")

    @property
    def corners(self) -> Array:
        """The box's corners, ``(8, 3)`` m."""
        return np.stack(np.meshgrid(*zip(self.low_m, self.high_m, strict=True), indexing="ij"), axis=-1).reshape(8, 3)


@dataclass(frozen=True)
class Clearance:
    """The smallest distance, or a proven lower bound of it, and the pair that it is measured between.

    Attributes:
        distance_m: negative where the two overlap, without being a measure of how deep; infinite if nothing lies
            within the distance that was asked for.
        pair: names of the part of the arm and of what it is near; two empty names if nothing is near.
    """

    distance_m: float
    pair: tuple[str, str] = ("", "")

    def __str__(self) -> str:
        """In words, for messages: ``link4 comes within 12 mm of post``."""
        if not math.isfinite(self.distance_m):
            return "nothing near"
        one, other = self.pair
        if self.distance_m < 0:
            return f"{one} reaches into {other}"
        return f"{one} comes within {self.distance_m * 1000:.0f} mm of {other}"
