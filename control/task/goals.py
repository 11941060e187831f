"""Goals of an episode: points near home that the arm reaches with its gripper pointing down."""

import numpy as np

from control.arms.fence import Fence
from datasets.arm.kinematics import Kinematics
from datasets.common.errors import ConfigError
from datasets.rig.projection import Array
from datasets.rig.rig import Rig

MAX_DRAWS = 1000


class GoalSampler:
    """Draws goals uniformly from the ball of ``radius_m`` around home, limited to the fence and to reachable points.

    Uniform draws from the whole box would include points that the arm cannot reach with the gripper pointing down, on
    which even an oracle fails. Inverse kinematics has found joints for every goal drawn here.
    """

    def __init__(self, rig: Rig, fence: Fence, radius_m: float) -> None:
        self._rig = rig
        self._fence = fence
        self._radius_m = radius_m
        self._kinematics = Kinematics(rig.tool.tcp_offset_m)
        self.home: Array = self._kinematics.tcp(rig.home_joints_rad)
        """TCP at home, ``(3,)`` m."""
        if not fence.contains(self.home):
            raise ConfigError(
                f"home_joints_rad bring the TCP to {np.round(self.home, 3).tolist()} m, outside the fence; "
                "change home_joints_rad or the workspace of the rig"
            )

    def sample(self, rng: np.random.Generator) -> Array:
        """One goal, ``(3,)`` m.

        Raises:
            ConfigError: 1000 draws gave no reachable point.
        """
        for _ in range(MAX_DRAWS):
            direction = rng.normal(size=3)
            radius = self._radius_m * np.cbrt(rng.uniform())
            goal = self.home + radius * direction / np.linalg.norm(direction)
            if self._fence.contains(goal) and self._kinematics.is_reachable(goal, self._rig.home_joints_rad):
                return goal
        raise ConfigError(
            f"no reachable goal within {self._radius_m} m of home in {MAX_DRAWS} draws; widen the workspace"
        )
