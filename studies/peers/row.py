"""The parts of every row: both sides' figures, measured in turns."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from datasets.rig.projection import Array
from perception.calibration.registration.motion import displacement

ROUNDS = 5
Row = dict[str, Any]


def row(what: str, unit: str, ours: tuple[str, float], theirs: tuple[str, float], more: bool, note: str = "") -> Row:
    """Makes a row; ``more``: larger is better. ``times_better`` is above 1 if this project's figure is better."""
    ratio = ours[1] / theirs[1] if more else theirs[1] / ours[1]
    named = {side: {"what": name, "value": value} for side, (name, value) in (("ours", ours), ("theirs", theirs))}
    better = "more" if more else "less"
    return {"what": what, "unit": unit, **named, "better": better, "times_better": ratio, "note": note}


def in_turns(*sides: Callable[[], float]) -> list[float]:
    """The median of each side over :data:`ROUNDS` rounds, in which they take turns; a first round warms up."""
    found = [[side() for side in sides] for _ in range(ROUNDS + 1)][1:]
    return [float(np.median(values)) for values in zip(*found, strict=True)]


def rate(work: Callable[[int], Any], count: int) -> float:
    """Pieces of work per second of processor time, a figure that other programs on the machine hardly change."""
    began = time.process_time()
    for number in range(count):
        work(number)
    return count / (time.process_time() - began)


def difference(found: Array, true: Array, at: Array) -> Array:
    """Largest displacement (mm) over the places ``at`` ``(N, 3)`` m, and angle (deg), between two poses."""
    far, turned = displacement(found, true, at)
    return np.array([1e3 * far, np.degrees(turned)])
