"""Delays of camera and arm, from small moves that were filmed."""

import numpy as np

from control.arms.params import ArmParams
from datasets.common.errors import DataError
from perception.calibration.delays import Delay, arrival_delay, motion_delay, picture_delay, planned_mean_s
from pipelines.capture.moves import MOVE_M, Filmed

LEAST_MOVE_M = MOVE_M / 4
"""A shorter move, m, does not stand out of what a camera sees."""


def delays(filmed: Filmed, speed_m_s: float, arm: ArmParams) -> dict[str, Delay]:
    """The delays of a picture's arrival, of its time stamp, and of the arm's motion; each key describes its delay.

    Args:
        speed_m_s: the largest that the arm went at; it shortens moves that one period is not enough for.

    Raises:
        DataError: the pictures or the arm do not follow the moves, or these were too short.
    """
    pictures, encoder = np.array(filmed.pictures), (np.array(filmed.encoder_s), np.array(filmed.tcp_m))
    lengths_m = np.linalg.norm(filmed.moves_m, axis=1)
    if lengths_m.min() < LEAST_MOVE_M:
        raise DataError(
            f"a move was shortened to {1e3 * lengths_m.min():.1f} mm, {1e3 * LEAST_MOVE_M:.0f} mm are needed; allow "
            "more speed, or clear what is near the arm at home"
        )
    planned_s = np.array([planned_mean_s(length_m, speed_m_s, arm.acceleration_m_s2) for length_m in lengths_m])
    moves = np.array(filmed.commands_s), np.array(filmed.moves_m), np.array(filmed.ends_s)
    stamps_s = np.array(filmed.stamps_s)
    stamped = picture_delay(pictures, stamps_s, *encoder)
    return {
        "pictures arrive after their capture by": arrival_delay(stamped, stamps_s, np.array(filmed.arrivals_s)),
        "the camera's own times of capture are late by": stamped,
        "the arm moves later than planned by": motion_delay(*moves, *encoder, planned_s),
    }
