r"""Scores of the gauntlet's episodes: intervals for each cell, and paired comparisons between methods.

How methods are compared was fixed before the whole gauntlet was run; ``docs/control.md`` gives the reasons:

* The default is compared with the plain proportional controller on the same estimates, with a gain tuned on other seeds
  with the nominal range of delays; and, to see what learning adds, with the proportional controller on fused estimates.
* There are two measures: where an episode ends, and when it arrives, which is the time from which the true TCP stays
  within 10 mm; an arrival that never comes ranks last. Neither replaces the other; both are always reported.
* The tests are two-sided signed-rank tests on pairs of the same seed, with Holm's correction over all gaps of one rival
  and one measure.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import ndtri

from control.task.episodes import SUCCESS_MM, Episode, summarize

LEVEL = 0.05
"""Level of significance, over all cells of a comparison together."""
NEVER_S = 10.0
"""Stands for the time (s) of an arrival that never came; it is later than all others, and ranks need no more."""
MEASURES: dict[str, Callable[[Episode], float]] = {
    # Rounded to the micrometre and the millisecond, so that floating-point errors do not decide ranks.
    "final_mm": lambda one: round(1000 * one.final_m, 3),
    "arrival_s": lambda one: round(one.arrival_s, 3) if np.isfinite(one.arrival_s) else NEVER_S,
}
"""The measures by which methods are compared: where an episode ended, and from when on it stayed within 10 mm."""


def wilson(successes: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    r"""The Wilson score interval of a share (Wilson 1927), with :math:`\hat p = s/n` and :math:`z` for ``1 - level``.

    .. math::

        \frac{\hat p + \frac{z^2}{2n} \pm z \sqrt{\frac{\hat p (1 - \hat p)}{n} + \frac{z^2}{4n^2}}}{1 + \frac{z^2}{n}}
    """
    if not 0 <= successes <= n or n < 1:
        raise ValueError(f"successes must lie in 0..n with n at least 1, got {successes} of {n}")
    z = -float(ndtri(level / 2))
    share = successes / n
    middle = share + z * z / (2 * n)
    half = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, float(middle - half) / scale), min(1.0, float(middle + half) / scale)


def cell_metrics(episodes: Sequence[Episode]) -> dict[str, Any]:
    """:func:`control.task.episodes.summarize`, with ``success_*mm_ci``, the 95 % Wilson interval, for each share."""
    found: dict[str, Any] = dict(summarize(episodes))
    final_mm = 1000 * np.array([one.final_m for one in episodes])
    for limit in SUCCESS_MM:
        low, high = wilson(int(np.sum(final_mm <= limit)), len(episodes))
        found[f"success_{limit}mm_ci"] = [round(low, 4), round(high, 4)]
    return found


def holm(p_values: Sequence[float]) -> list[float]:
    """P values corrected for the number of tests (Holm 1979): each may be read as if it were the only one."""
    order = np.argsort(p_values, kind="stable")
    steps = (len(p_values) - np.arange(len(p_values))) * np.asarray(p_values)[order]
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return corrected.tolist()


def compare(
    ours: Mapping[str, Sequence[Episode]], theirs: Mapping[str, Sequence[Episode]], measure: str = "final_mm"
) -> dict[str, dict[str, float | str]]:
    """Compare two methods on the same episodes, gap by gap, by Wilcoxon's signed-rank test, corrected over all gaps.

    ``measure`` is one of ``MEASURES``; less is better. Each gap gives ``n``, ``median_difference`` (ours minus
    theirs), the numbers of episodes in which ours was ``better`` and ``worse``, ``p``, ``p_holm`` and
    ``verdict``: ``ahead``, ``behind`` (both at the 5 % level, corrected) or ``level``.
    """
    value = MEASURES[measure]
    gaps = [gap for gap in ours if gap in theirs]
    differences = {}
    for gap in gaps:
        if [one.seed for one in ours[gap]] != [one.seed for one in theirs[gap]]:
            raise ValueError(f"{gap}: paired episodes must have the same seeds in the same order")
        differences[gap] = np.array([value(a) - value(b) for a, b in zip(ours[gap], theirs[gap], strict=True)])
    p_values = [_wilcoxon(differences[gap]) for gap in gaps]
    found: dict[str, dict[str, float | str]] = {}
    for gap, p, corrected in zip(gaps, p_values, holm(p_values), strict=True):
        difference = differences[gap]
        verdict = "level" if corrected >= LEVEL else "ahead" if _signed_ranks(difference) < 0 else "behind"
        found[gap] = {
            "n": len(difference),
            "median_difference": round(float(np.median(difference)), 3),
            "better": int(np.sum(difference < 0)),
            "worse": int(np.sum(difference > 0)),
            "p": float(f"{p:.3g}"),
            "p_holm": float(f"{corrected:.3g}"),
            "verdict": verdict,
        }
    return found


def _wilcoxon(difference: np.ndarray) -> float:
    from scipy import stats  # late, for a quick --help

    if not np.any(difference):
        return 1.0
    # Rounded, so that equal differences are ties in spite of floating-point errors.
    return float(stats.wilcoxon(np.round(difference, 6), zero_method="wilcox").pvalue)


def _signed_ranks(difference: np.ndarray) -> float:
    """The sum of signed ranks that Wilcoxon's test judges; negative when ours are better."""
    from scipy import stats  # late, for a quick --help

    moved = np.round(difference[difference != 0], 6)
    return float(np.sum(np.sign(moved) * stats.rankdata(np.abs(moved))))
