"""Where the policy's position comes from: the true state, or a model of the estimator's errors."""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from datasets.common.errors import ConfigError
from datasets.rig.projection import Array
from perception.estimator.estimate import PositionEstimate


class PositionSource(Protocol):
    """A source of estimates of the TCP as the policy receives them."""

    def reset(self, seed: int) -> None:
        """Begin an episode with another scene and another camera error."""
        ...

    def estimate(self, tcp: Array) -> PositionEstimate:
        """The estimate from a picture taken while the TCP was at ``tcp`` ``(3,)`` m."""
        ...


class TrueState:
    """The true TCP with a standard deviation of ``SIGMA_M``: the upper bound for every estimator."""

    SIGMA_M = 5e-4

    def reset(self, seed: int) -> None:
        """Does nothing: all episodes are equal."""

    def estimate(self, tcp: Array) -> PositionEstimate:
        """The position itself."""
        return PositionEstimate(tcp.astype(np.float64), np.full(3, self.SIGMA_M))


@dataclass(frozen=True)
class ErrorModel:
    r"""The estimator's errors as a random field, per axis.

    .. math:: e(p, k) = s\,(b + f(p) + n_k), \qquad \ln s \sim \mathcal N(0, \text{severity}^2)

    with a bias :math:`b` per episode (camera, look), a smooth field :math:`f` over the position :math:`p` and white
    noise :math:`n_k` per frame. :math:`s` is the episode's difficulty, with which the reported sigma scales.

    Attributes:
        bias_m, field_m, noise_m: standard deviations of the three parts, ``(3,)`` m.
        length_m: distance over which the field changes (correlation length of a squared exponential).
        severity: standard deviation of the logarithm of an episode's difficulty.
    """

    bias_m: tuple[float, float, float] = (0.0015, 0.0015, 0.0015)
    field_m: tuple[float, float, float] = (0.0015, 0.0015, 0.0015)
    noise_m: tuple[float, float, float] = (0.001, 0.001, 0.001)
    length_m: float = 0.05
    severity: float = 0.3

    def __post_init__(self) -> None:
        spreads = *self.bias_m, *self.field_m, *self.noise_m, self.severity
        if not (all(0 <= one < math.inf for one in spreads) and 0 < self.length_m < math.inf):  # NaN fails these
            raise ConfigError(
                "surrogate: standard deviations must not be negative and length_m must be positive, all of them "
                f"finite; got {self}"
            )


class Surrogate:
    """Draws errors from an :class:`ErrorModel`: 50 times faster than rendering and looking."""

    WAVES = 32
    """Number of random Fourier features of the field (Rahimi & Recht 2007)."""

    def __init__(self, model: ErrorModel) -> None:
        self._model = model
        self._sigma = np.sqrt(np.square(model.bias_m) + np.square(model.field_m) + np.square(model.noise_m))
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Draw an episode's bias, field and difficulty."""
        self._rng = np.random.default_rng([seed, 1])
        self._severity = float(np.exp(self._model.severity * self._rng.standard_normal()))
        self._bias = self._rng.standard_normal(3) * self._model.bias_m
        self._waves = self._rng.standard_normal((3, self.WAVES, 3)) / self._model.length_m
        self._phases = self._rng.uniform(0, 2 * np.pi, (3, self.WAVES))

    def estimate(self, tcp: Array) -> PositionEstimate:
        """Returns the true position plus this episode's error at this place and new noise."""
        field = np.sqrt(2 / self.WAVES) * np.cos(self._waves @ tcp + self._phases).sum(axis=1) * self._model.field_m
        error = self._bias + field + self._rng.standard_normal(3) * self._model.noise_m
        reported = self._sigma * self._severity * np.exp(0.1 * self._rng.standard_normal(3))
        return PositionEstimate(tcp + self._severity * error, reported)
