"""Delays of camera and arm, from small moves that were filmed."""

import numpy as np

from control.arms.params import ArmParams
from perception.calibration.delays import Delay, arrival_delay, motion_delay, picture_delay, planned_mean_s
from pipelines.capture.moves import MOVE_M, Filmed


def delays(filmed: Filmed, speed_m_s: float, arm: ArmParams) -> dict[str, Delay]:
    """The delays of a picture's arrival, of its time stamp, and of the arm's motion; each key describes its delay.

    Raises:
        DataError: the pictures or the arm do not follow the moves.
    """
    pictures, encoder = np.array(filmed.pictures), (np.array(filmed.encoder_s), np.array(filmed.tcp_m))
    planned_s = planned_mean_s(MOVE_M, speed_m_s, arm.acceleration_m_s2)
    moves = np.array(filmed.commands_s), np.array(filmed.moves_m), np.array(filmed.ends_s)
    stamps_s = np.array(filmed.stamps_s)
    stamped = picture_delay(pictures, stamps_s, *encoder)
    return {
        "pictures arrive after their capture by": arrival_delay(stamped, stamps_s, np.array(filmed.arrivals_s)),
        "the camera's own times of capture are late by": stamped,
        "the arm moves later than planned by": motion_delay(*moves, *encoder, planned_s),
    }
