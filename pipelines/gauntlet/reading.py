"""Reads the gauntlet's metrics.json: its methods and gaps, and how far the camera may be off."""

from collections.abc import Mapping, Sequence
from typing import Any

LIMIT_MM = 20
"""An episode that ends within this distance, mm, counts as a success in the heat map and on the page."""
TOLERATED = 0.9
"""Least share of episodes within 20 mm at which a camera error counts as tolerated."""

Metrics = Mapping[str, Any]


def method_names(metrics: Metrics) -> list[str]:
    """The methods that metrics.json holds, in its order."""
    return list(metrics["about"]["methods"])


def gap_names(metrics: Metrics) -> list[str]:
    """The gaps that every method ran, in order: all but those of the camera map."""
    return [name for name, gap in metrics["about"]["gaps"].items() if gap["group"] != "camera_map"]


def camera_line(metrics: Metrics, method: str, axis: int) -> tuple[list[float], list[dict]]:
    """A method's cells along one axis (0: moved, mm; 1: turned, deg), the other at 0, from nominal on."""
    found = []
    for gap, told in metrics["about"]["gaps"].items():
        off = told.get("camera_off")
        cell = metrics[method].get(gap, {"n": 0})
        if off is not None and off[1 - axis] == 0 and cell["n"]:
            found.append((off[axis], cell))
    found.sort(key=lambda one: one[0])
    return [one[0] for one in found], [one[1] for one in found]


def camera_tolerance(metrics: Metrics, method: str, axis: int) -> float | None:
    """How far the camera may be off along one axis before fewer than 90 % end within 20 mm; None: already nominal."""
    amounts, cells = camera_line(metrics, method, axis)
    if not amounts or amounts[0] != 0:
        return None
    return tolerance(amounts, [cell[f"success_{LIMIT_MM}mm"] for cell in cells])


def tolerance(amounts: Sequence[float], shares: Sequence[float]) -> float | None:
    """How far something may be off before the share falls below ``TOLERATED``, linear between the measured points.

    ``amounts`` increase from 0. Returns the largest of them if the share never falls so far, None if it begins below.
    """
    if shares[0] < TOLERATED:
        return None
    for i in range(1, len(amounts)):
        if shares[i] < TOLERATED:
            part = (shares[i - 1] - TOLERATED) / (shares[i - 1] - shares[i])
            return float(amounts[i - 1] + part * (amounts[i] - amounts[i - 1]))
    return float(amounts[-1])
