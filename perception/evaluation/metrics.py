r"""Figures of merit of position estimates, in mm.

With errors :math:`e_i = x_i - t_i`: ``median_mm``, ``mean_mm`` and ``p95_mm`` are those of :math:`\|e_i\|`; coverage is
the share of :math:`|e_{ik}| \le n \sigma_{ik}` over frames and axes (a Gaussian's: 0.683 for n = 1, 0.954 for n = 2).
"""

import numpy as np

from datasets.rig.projection import Array

ONE_SIGMA = 0.6827


def summarize(errors_m: Array) -> dict[str, float | int]:
    """Count, median, mean and 95th percentile of the distances of errors ``(N, 3)`` m."""
    distance = 1000 * np.linalg.norm(errors_m, axis=1)
    if not len(distance):
        return {"n": 0}
    return {
        "n": len(distance),
        "median_mm": round(float(np.median(distance)), 3),
        "mean_mm": round(float(distance.mean()), 3),
        "p95_mm": round(float(np.quantile(distance, 0.95)), 3),
    }


def per_axis(errors_m: Array) -> dict[str, dict[str, float]]:
    """For x, y and z: mean error (bias), median and 95th percentile of its size, of errors ``(N, 3)`` m; mm."""
    return {
        axis: {
            "bias_mm": round(float(values.mean()), 3),
            "median_mm": round(float(np.median(np.abs(values))), 3),
            "p95_mm": round(float(np.quantile(np.abs(values), 0.95)), 3),
        }
        for axis, values in zip("xyz", 1000 * errors_m.T, strict=True)
    }


def coverage(errors_m: Array, sigmas_m: Array) -> dict[str, float]:
    """Shares of errors per axis within one and two sigma, and the median sigma in mm; both ``(N, 3)`` m."""
    ratio = np.abs(errors_m) / sigmas_m
    return {
        "within_1_sigma": round(float((ratio <= 1).mean()), 4),
        "within_2_sigma": round(float((ratio <= 2).mean()), 4),
        "median_sigma_mm": round(1000 * float(np.median(sigmas_m)), 3),
    }


def sigma_scale(errors_m: Array, sigmas_m: Array) -> Array:
    """Factor per axis ``(3,)`` on sigma that makes 68.27 % of the errors ``(N, 3)`` lie within one sigma."""
    return np.quantile(np.abs(errors_m) / sigmas_m, ONE_SIGMA, axis=0)
