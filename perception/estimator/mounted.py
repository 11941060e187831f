r"""The estimator of an arm whose base does not stand on the table: on a plate, on a pedestal, or beside it.

The check of the camera's pose (:mod:`perception.estimator.pose_check`) lays the table it sees on z = 0. Nothing
else in the estimator knows where z = 0 is, so it is asked in the base frame moved to the table's height
:math:`h`, and its answer is brought back:

.. math:: \hat x = \mathrm{estimate}(T_{-h}\, T_{base, camera}) + h\, e_z
"""

import numpy as np

from datasets.rig.frame import Frame
from datasets.rig.projection import Array, Intrinsics
from perception.estimator.estimate import PositionEstimate
from perception.estimator.estimator import PositionEstimator

MOST_TABLE_Z_M = 0.3
"""A table farther than this above or below the base is a wrong unit or another surface."""


def seen_from_table(t_base_camera: Array, table_z_m: float) -> Array:
    """The pose (4x4) in the base frame moved up to the table's height."""
    pose = np.array(t_base_camera, dtype=float)
    pose[2, 3] -= table_z_m
    return pose


class MountedEstimator:
    """A :class:`PositionEstimator` that is told how high the table lies in the base frame.

    Args:
        table_z_m: negative where the base stands on a plate.
    """

    def __init__(self, estimator: PositionEstimator, table_z_m: float) -> None:
        self._estimator = estimator
        self.table_z_m = table_z_m

    def estimate(
        self,
        frame: Frame,
        t_base_camera: Array | None = None,
        intrinsics: Intrinsics | None = None,
    ) -> PositionEstimate:
        """Locate the TCP, base frame; pose and intrinsics default to the rig's own. Raises as the estimator does."""
        pose = self._estimator.rig.t_base_camera if t_base_camera is None else t_base_camera
        found = self._estimator.estimate(frame, seen_from_table(pose, self.table_z_m), intrinsics)
        return PositionEstimate(found.xyz + np.array([0.0, 0.0, self.table_z_m]), found.sigma)
