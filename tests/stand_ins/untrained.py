"""What takes the place of trained models and drawn pictures where the twin is run without them."""

from contextlib import contextmanager

import numpy as np

from datasets.arm.kinematics import Kinematics
from datasets.rig.envelope import CameraEnvelope
from perception.estimator.estimate import PositionEstimate
from point_world import Unbound


class Knowing(Unbound):
    """Takes the TCP from the emulated joints, as a camera would see it that may have been pushed aside."""

    def __init__(self, rig):
        self.rig, self.kinematics, self.twin = rig, Kinematics(), None
        self.envelope, self.rng = CameraEnvelope(), np.random.default_rng(0)

    def faults(self, t_base_camera, intrinsics):
        return []

    def estimate(self, frame):
        pushed = self.twin.world.t_base_camera[:3, 3] - self.rig.t_base_camera[:3, 3]
        tcp = self.kinematics.tcp(self.twin.controller.joints(frame.timestamp))
        return PositionEstimate(tcp - pushed + self.rng.normal(0, 0.001, 3), np.full(3, 0.002))


class Gentle:
    """A slow proportional controller."""

    def reset(self): ...

    def act(self, observation):
        return 0.2 * (observation.goal - observation.estimate.xyz)

    def hold(self, last_command): ...


@contextmanager
def grey_pictures(world):
    rng = np.random.default_rng(0)

    def render(time_s):
        depth = np.full((480, 640), 1.1, np.float32)
        depth[rng.integers(480, size=50), rng.integers(640, size=50)] += 0.01  # a living sensor's
        return np.full((480, 640, 3), 128, np.uint8), depth

    yield render
