"""Figures of the predictions on one split; the keys are described in :mod:`perception.evaluation.measure`."""

from typing import Any

import numpy as np

from perception.evaluation.metrics import coverage, per_axis, summarize
from perception.evaluation.predictions import Predictions

SHOWN, HIDDEN = 0.1, 0.02
"""Shares of the tool's surface; an open view shows about half, the rest is its far side."""
SPLIT_FIGURES = ("default", "glance", "base", "sigma", "axes", "confessed", "conditions", "moved")


def split_figures(predictions: Predictions, max_sigma_m: float) -> dict[str, Any]:
    """The figures by each of ``SPLIT_FIGURES``; a frame with a sigma above ``max_sigma_m`` is confessed."""
    errors = predictions.fovea - predictions.tcp
    confessed = predictions.fovea_sigma.max(axis=1) > max_sigma_m
    return {
        "default": summarize(errors),
        "glance": summarize(predictions.glance - predictions.tcp),
        "base": summarize(predictions.base_error),
        "sigma": coverage(errors, predictions.fovea_sigma),
        "axes": per_axis(errors),
        "confessed": {"share": round(float(confessed.mean()), 4), **summarize(errors[~confessed])},
        "conditions": _conditions(predictions),
        "moved": round(float((predictions.moved > 0.5).mean()), 4),
    }


def visible_figures(predictions: Predictions, max_sigma_m: float) -> dict[str, Any]:
    """The figures of frames that show the tool, and how many of those that hide it are confessed."""
    shown, hidden = predictions.shown >= SHOWN, predictions.shown < HIDDEN
    confessed = predictions.fovea_sigma.max(axis=1) > max_sigma_m
    looks = {"pair": predictions.fovea, "glance": predictions.glance, "coarse": predictions.coarse}
    errors = {name: answers - predictions.tcp for name, answers in looks.items()}
    found: dict[str, Any] = {name: summarize(each[shown]) for name, each in errors.items()}
    for name, values, chosen in (("in_window", predictions.in_window, shown), ("confessed", confessed, hidden)):
        if chosen.any():
            found[name] = round(float(values[chosen].mean()), 4)
    return {**found, "answered": summarize(errors["pair"][shown & ~confessed]), "hidden": int(hidden.sum())}


def _conditions(predictions: Predictions) -> dict[str, Any]:
    errors = predictions.fovea - predictions.tcp
    found: dict[str, Any] = {}
    for name in ("distance", "side", "elevation", "focal"):
        values = np.abs(predictions.side) if name == "side" else getattr(predictions, name)
        if np.ptp(values) == 0:
            continue
        low, high = np.quantile(values, [1 / 3, 2 / 3])
        parts = {"low": values < low, "middle": (values >= low) & (values < high), "high": values >= high}
        found[name] = {"edges": [round(float(low), 3), round(float(high), 3)]}
        found[name] |= {part: summarize(errors[chosen]) for part, chosen in parts.items()}
    return found
