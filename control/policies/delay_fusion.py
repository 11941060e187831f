r"""Fuses estimates with commanded motion, and identifies the delay between them.

A displacement moves the last target, so after :math:`k` commands the target has moved by :math:`c_k = \sum_{i<k} a_i`
from its start, and once all commands have been carried out the TCP is at :math:`o + c_k`, with an unknown
constant :math:`o`. A picture shows the TCP some delay :math:`D` ago (camera, transport, the arm's own lag):

.. math:: z_k = o + c(t_k - D) + n_k, \qquad n_k \sim \mathcal N(0, \sigma_k^2)

For each delay of a grid a scalar Kalman filter per axis estimates :math:`o`; the delays are weighed by the
likelihood of their innovations (multiple-model estimation: Bar-Shalom, Li, Kirubarajan, "Estimation with
Applications to Tracking and Navigation", ch. 11). While the arm moves, a wrong delay mispredicts by speed times delay
and loses its weight; at rest all delays agree. The result :math:`\hat o + c_k` is where the TCP **will** come to rest
if nothing more is commanded: the delay-free quantity to steer by (a Smith predictor that need not know the delay).
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

from datasets.rig.projection import Array
from perception.estimator.estimate import PositionEstimate

DELAYS_S = np.arange(0.0, 0.601, 0.05)
FORGETTING = 0.9
"""Factor on the log-likelihoods per step: a delay may change during an episode (a stalling camera)."""
MOTION_NOISE = 0.05
"""Standard deviation of the offset's change per metre commanded: the estimator's error differs from place to place."""
REST_NOISE_M = 3e-4
"""Standard deviation, m, of the offset's change per step at rest. It limits the memory to sigma divided by this value,
in steps: half a second in a clear view.

With 0.2 mm an arm that wanders by half a millimetre per step was followed too slowly (docs/control.md)."""
SIGMA_FLOOR_M = 5e-4
"""Least standard deviation, m, that is used for an estimate, even if the estimate states a smaller one."""
GATE_SIGMAS = 4.0
"""Innovations are limited to this many standard deviations (Huber), so that no outlier dominates the sum."""


@dataclass(frozen=True)
class Fused:
    """The state of the fusion after an estimate.

    Attributes:
        rest: ``(3,)`` m, where the TCP comes to rest if nothing more is commanded.
        spread: ``(3,)`` m, standard deviation of ``rest`` (the estimator's own constant error not included).
        delay_s: mean of the delay's distribution.
    """

    rest: Array
    spread: Array
    delay_s: float


class MotionFusion:
    """A bank of Kalman filters, one per delay, over one episode."""

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        steps = DELAYS_S / period_s
        self._older = np.ceil(steps).astype(int)
        self._fraction = (self._older - steps)[:, None]
        self._commanded: deque[Array] = deque(maxlen=int(self._older.max()) + 2)
        self.reset()

    def reset(self) -> None:
        """Forget the episode."""
        self._commanded.clear()
        self._commanded.append(np.zeros(3))
        self._offset = np.zeros((len(DELAYS_S), 3))
        self._variance = np.full((len(DELAYS_S), 3), np.inf)
        self._log_weight = np.zeros(len(DELAYS_S))

    def update(self, estimate: PositionEstimate, last_command: Array) -> Fused:
        """Process the displacement sent at the previous step, ``(3,)`` m, and then this step's estimate."""
        self.predict(last_command)
        noise = np.maximum(estimate.sigma, SIGMA_FLOOR_M) ** 2
        measured = estimate.xyz - self._past_targets()
        if np.isinf(self._variance[0, 0]):
            self._offset[:] = measured
            self._variance[:] = noise
        else:
            self._correct(measured, noise)
        weight = np.exp(self._log_weight - self._log_weight.max())
        weight /= weight.sum()
        offset = weight @ self._offset
        variance = weight @ (self._variance + (self._offset - offset) ** 2)
        return Fused(offset + self._commanded[-1], np.sqrt(variance), float(weight @ DELAYS_S))

    def predict(self, last_command: Array) -> None:
        """Process the displacement sent at the previous step, ``(3,)`` m, in a step without an estimate."""
        self._commanded.append(self._commanded[-1] + last_command)
        moved = float(np.linalg.norm(last_command))
        self._variance += REST_NOISE_M**2 + (MOTION_NOISE * moved) ** 2
        self._log_weight *= FORGETTING

    def _correct(self, measured: Array, noise: Array) -> None:
        innovation = measured - self._offset
        variance = self._variance + noise
        deviation = np.sqrt(variance)
        kept = np.clip(innovation, -GATE_SIGMAS * deviation, GATE_SIGMAS * deviation)
        likelihood = -0.5 * np.sum(kept**2 / variance + np.log(variance), axis=1)
        self._log_weight = self._log_weight + likelihood
        gain = self._variance / variance
        self._offset = self._offset + gain * kept
        self._variance = (1 - gain) * self._variance

    def _past_targets(self) -> Array:
        """Sums of the commands ``(delays, 3)`` as they were each delay ago, interpolated linearly between steps."""
        last = len(self._commanded) - 1
        history = np.asarray(self._commanded)
        older = history[np.maximum(last - self._older, 0)]
        newer = history[np.maximum(last - self._older + 1, 0).clip(max=last)]
        return older + self._fraction * (newer - older)
