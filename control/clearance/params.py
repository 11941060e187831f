"""What the arm must stay clear of, and by how much."""

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from datasets.common.config import Checked, Within
from datasets.common.errors import ConfigError
from datasets.rig.projection import Array
from datasets.rig.rig import Point


@dataclass(frozen=True)
class ClearanceParams(Checked):
    """Distances at which the arm slows down and stops.

    Attributes:
        margin_m: least distance of anything of the arm from anything else, and of links that are no neighbours.
        slow_from_m: at this distance the speed begins to fall, in proportion, towards nothing at the margin.
        itself_slow_from_m: the same for links of the arm, some of which pass each other at 40 mm by construction.
        least_scale: of the speed: what is left of it just before the margin, so that a goal beside it is reached.
        braking_m_s2: how hard the controller brakes (*assumed: stop-braking*, which is harder).
        reaction_s: for how long the arm goes on before a command takes effect (*assumed: arm-response*).
        singularity_slow, singularity_stop: condition number of the Jacobian (m and rad side by side) at which the speed
            begins to fall and from which the arm goes no further in; the defaults of MoveIt Servo
            (``lower_singularity_threshold``, ``hard_stop_singularity_threshold``).
        joint_limit_margin_rad: no joint is turned nearer to its limit (MoveIt Servo's ``joint_limit_margin``).
        joint_slow_from_rad: at this distance from its limit the speed begins to fall.
        plate_half_width_m: of the square plate that the arm is screwed to, from the table to its base
            (*assumed: base-plate*).
    """

    PART = "clearance."

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
                    f"{self.PART}{low} must lie below {high}, got {getattr(self, low):g} and {getattr(self, high):g}"
                )


@dataclass(frozen=True)
class Obstacle:
    """A named box along the axes of a frame: of the base for what stands near the arm, of the flange for a tool on it.

    Raises:
        ConfigError: it has no name, is empty, or is no box of finite numbers.
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
        """Its corners, ``(8, 3)`` m."""
        return np.stack(np.meshgrid(*zip(self.low_m, self.high_m, strict=True), indexing="ij"), axis=-1).reshape(8, 3)


@dataclass(frozen=True)
class Clearance:
    """The smallest distance, or a proven lower bound of it, and between what.

    Attributes:
        distance_m: negative where they overlap, which then is no measure of how deep; infinite where nothing lies
            within the distance that was asked for.
        pair: names of the part of the arm and of what it is near; two empty names where nothing is.
    """

    distance_m: float
    pair: tuple[str, str] = ("", "")

    def __str__(self) -> str:
        """In words, for messages: ``link4 comes within 12 mm of post``."""
        if not math.isfinite(self.distance_m):
            return "nothing near"
        return f"{self.pair[0]} comes within {self.distance_m * 1000:.0f} mm of {self.pair[1]}"
