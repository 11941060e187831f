"""The input of registration: still frames of the arm at joint angles that the encoders reported."""

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from datasets.arm.kinematics import Kinematics
from datasets.arm.model import ARM_JOINTS, arm_spec
from datasets.common.errors import DataError
from datasets.rig.frame import Frame
from datasets.rig.projection import Array


@dataclass(frozen=True)
class Posture:
    """One capture.

    Attributes:
        frame: what the camera gave while the arm stood still.
        joints_rad: ``(7,)`` by the encoders.
        gripper_rad: opening of the gripper, 0 open .. 0.85 closed.
        mask: ``(H, W)`` bool, the arm as something else saw it; None leaves it to the motion.
    """

    frame: Frame
    joints_rad: Array
    gripper_rad: float = 0.0
    mask: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        if np.shape(self.joints_rad) != (7,) or not np.all(np.isfinite(self.joints_rad)):
            raise DataError(f"a posture needs seven finite joint angles in rad, got {self.joints_rad}")
        if self.mask is not None and self.mask.shape != self.frame.depth.shape:
            raise DataError(f"the mask is {self.mask.shape}, its frame {self.frame.depth.shape}: they must agree")


_LINKS = ("link2", "link4", "link5", "link6", "link7")


class LinkPlaces:
    """Where the axes of the links are."""

    def __init__(self) -> None:
        self._model = arm_spec("own", shapes=False).compile()
        self._data = mujoco.MjData(self._model)
        self._joints = [self._model.joint(name).qposadr[0] for name in ARM_JOINTS]
        self._bodies = [self._model.body(name).id for name in _LINKS]

    def __call__(self, joints_rad: Array) -> Array:
        """``(5, 3)`` m in the base frame, of links 2, 4, 5, 6 and 7 at joints ``(7,)``."""
        self._data.qpos[self._joints] = joints_rad
        mujoco.mj_kinematics(self._model, self._data)
        return self._data.xpos[self._bodies].copy()


def apart(joints_rad: Sequence[Array], count: int) -> float:
    """The least distance, m, between two of the ``count`` postures that differ most.

    The distance of two postures is the root mean square of that of their links and their TCP. The next posture
    is always the farthest from those already chosen (farthest point sampling), beginning with each posture in turn.
    """
    places, kinematics = LinkPlaces(), Kinematics()
    features = np.array([np.vstack([places(joints), kinematics.tcp(joints)]) for joints in joints_rad])
    distances = np.sqrt(np.mean(np.sum((features[:, None] - features) ** 2, axis=-1), axis=-1))
    best = 0.0
    for first in range(len(features)):
        nearest, least = distances[first], np.inf
        for _ in range(count - 1):
            following = int(np.argmax(nearest))
            least, nearest = float(nearest[following]), np.minimum(nearest, distances[following])
        best = max(best, least)
    return best
