"""Judges each frame by the pose and depth that `calibrate` would measure on the others: what calibrating is worth."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.rig.projection import Array
from perception.calibration.registration.register import register
from perception.calibration.registration.result import CalibrationError
from perception.estimator.estimator import PositionEstimator
from perception.real.frames import RealFrames
from perception.real.judge import LEAST_OTHERS, answer, figures

MOST_DEVIATION_M = 1.0
"""A calibration is accepted here even with a large deviation: the estimates judge it, and it moves no arm."""
FOLDS = 5
"""Of many frames, a fifth at a time is left out of the calibration that it is judged by."""


def judge_calibrated(
    estimator: PositionEstimator,
    frames: RealFrames,
    truth: Array,
    start: Array,
    table_z_m: float,
    visible: NDArray[np.bool_],
) -> dict[str, Any]:
    """Figures as :func:`perception.real.judge.figures` has them, or the reason why there are none.

    Args:
        estimator: of any folder.
        frames: of an arm at rest.
        truth: ``(N, 3)`` m, the TCP by the joints.
        start: camera pose (4x4) near which the calibration searches.
        table_z_m: of the table in the base frame.
        visible: ``(N,)``, which frames show the TCP; others have no part in the figures.
    """
    captures = frames.captures
    if not frames.postures:
        return {"n": 0, "reason": "the arm moved while the frames were recorded"}
    if len(captures) <= LEAST_OTHERS:
        return {"n": 0, "reason": f"a calibration needs more than {LEAST_OTHERS} frames"}
    tool = "none" if frames.is_bare else captures.setting.tool
    fold = np.arange(len(captures)) % min(FOLDS, len(captures))
    errors, sigmas = [], []
    for number in np.unique(fold[visible]):
        left_out = np.flatnonzero((fold == number) & visible)
        try:
            others = captures.select(np.flatnonzero(fold != number))
            found = register(
                others, tool=tool, start=start, least_postures=LEAST_OTHERS, most_deviation_m=MOST_DEVIATION_M
            )
        except CalibrationError as error:
            return {"n": 0, "reason": f"the other frames give no calibration ({error})"}
        own = captures.select(left_out)
        own = replace(own, depth=np.stack([found.true_depth(depth) for depth in own.depth]))
        answers = answer(estimator, own, [found.t_base_camera] * len(own), table_z_m)
        errors.append(answers.xyz - truth[left_out])
        sigmas.append(answers.sigma)
    return {"n": int(visible.sum()), **figures(np.concatenate(errors), np.concatenate(sigmas))}
