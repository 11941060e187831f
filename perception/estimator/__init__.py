"""The shipped estimator: from one RGB-D frame to the position of the TCP with its uncertainty."""

from perception.estimator.estimate import PositionEstimate
from perception.estimator.estimator import PositionEstimator

__all__ = ["PositionEstimate", "PositionEstimator"]
