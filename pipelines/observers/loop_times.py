"""Counts the frames' age and the loop's time in histograms of fixed size, for a run of any length."""

import numpy as np

from datasets.rig.frame import Frame
from pipelines.runtime.tick import Tick

_BIN_MS = 0.1
_BINS = 10_000
"""Number of bins, which cover up to 1 s; longer times count as 1 s."""


class LoopTimes:
    """Observes a run and counts its times; ``str`` gives the closing line of the run.

    Args:
        period_s: ticks that take longer have overrun.
    """

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._ages, self._reactions = np.zeros(_BINS, np.int64), np.zeros(_BINS, np.int64)
        self._late = 0

    def __call__(self, tick: Tick, frame: Frame) -> None:
        """Count one tick; held ticks are left out, because they acted on no estimate."""
        if tick.held:
            return
        for counts, value_s in ((self._ages, tick.timing.age), (self._reactions, tick.timing.reaction)):
            counts[min(max(int(1e3 * value_s / _BIN_MS), 0), _BINS - 1)] += 1
        self._late += tick.timing.busy > self._period_s

    def __str__(self) -> str:
        acted = int(self._ages.sum())
        if not acted:
            return "no frame was acted on"
        return (
            f"frames {_quantile_ms(self._ages, 0.5):.0f} ms old (median); frame to command "
            f"{_quantile_ms(self._reactions, 0.5):.1f} ms, 99 % within {_quantile_ms(self._reactions, 0.99):.1f} ms; "
            f"{self._late} of {acted} ticks over {1e3 * self._period_s:.0f} ms"
        )


def _quantile_ms(counts: np.ndarray, share: float) -> float:
    """The upper edge, ms, of the bin that contains the quantile."""
    return float(np.searchsorted(np.cumsum(counts), share * counts.sum()) + 1) * _BIN_MS
