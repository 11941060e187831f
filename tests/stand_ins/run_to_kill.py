"""A run of the command line in a process of its own, for test_run_killed.py to kill: HOST, drive mode, folder.

The controller's servers live in the process of the test. Wires, loop, monitor, watchdog and recorder are a real run's;
the pictures are grey, the estimator listens to the arm's reports, and the policy goes round in a circle without end.
"""

import sys
from dataclasses import replace
from functools import partial

import numpy as np

from control.arms.params import ArmParams
from control.arms.site import SITE_EXAMPLE_PATH
from control.arms.xarm.shadow import ShadowArm
from datasets.rig.rig import Rig
from patience import patient  # this folder is a script's first place to look
from perception.calibration.calibration import Calibration
from perception.cameras.realsense.camera import RealSenseCamera
from perception.cameras.realsense.settings import CameraParams
from perception.estimator.estimate import PositionEstimate
from pipelines import run_real
from pipelines.setup import devices
from pipelines.setup.settings import RuntimeParams
from pipelines.setup.setup import Setup, make_fence
from pipelines.twin.camera.camera import CameraTwin
from pipelines.twin.controller.controller import point_sdk_at_emulators
from point_world import Unbound
from untrained import grey_pictures

STEP_M, STEPS_ROUND = 0.02, 20


class Listening(Unbound):
    def __init__(self, arm):
        self.arm = arm

    def estimate(self, frame):
        return PositionEstimate(self.arm.tcp_at(frame.timestamp), np.full(3, 0.002))


class Circling:
    def reset(self):
        self.step = 0

    def act(self, observation):
        self.step += 1
        angle = 2 * np.pi * self.step / STEPS_ROUND
        return STEP_M * np.array([np.cos(angle), np.sin(angle), 0.0])

    def hold(self, last_command): ...


def main(host, mode, folder):
    point_sdk_at_emulators()
    # A busy machine may hold up either process: here that is no fault.
    rig, arm = Rig.load(), ArmParams(mode=mode, report_deadline_s=1.0, command_deadline_s=1.0)
    settings = patient(RuntimeParams.load(), repeats_held=20).with_horizon(1000)
    seeing = replace(CameraParams.load(), fps=15, warm_up_frames=3)
    fence = make_fence(rig, arm)
    with ShadowArm(host, rig, fence, arm) as ears, CameraTwin(rig.camera, lambda: grey_pictures(None)) as camera:
        setup = Setup(rig, settings, arm, seeing, Listening(ears), Circling(), fence, Calibration.of_rig(rig))
        Setup.load = lambda *given, **named: setup
        devices.RealSenseCamera = partial(RealSenseCamera, context=camera.context)
        named = ["--arm", host, "--camera", "realsense", "--yes", "--record", folder, "--site", str(SITE_EXAMPLE_PATH)]
        run_real.main([*named, "--goal", "0.42", "0.03", "0.26"])


if __name__ == "__main__":
    main(*sys.argv[1:])
