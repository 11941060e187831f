"""An arm that is only observed: everything runs, nothing moves, and the commands that would be sent are shown."""

import time
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from control.arms.arm import Arm
from control.arms.fence import Fence
from control.arms.params import ArmParams
from control.arms.xarm.wire.pose_history import Pose, PoseHistory
from control.arms.xarm.wire.sdk import close_apis, open_api, wait_until
from datasets.arm.kinematics import Kinematics
from datasets.common.errors import DeviceError
from datasets.rig.rig import Rig

Vector = NDArray[np.float64]

_OLDEST_FRAME_S = 0.5
"""Time, s, for which reports are gathered before the first frame needs to know where the arm was."""


class ShadowArm(Arm):
    """Reads a controller's 100 Hz reports; sends it nothing, so motors, mode, state and settings stay as they are.

    The TCP is computed from the joints, because the controller knows the tool only once it is configured. Every command
    starts at the present TCP, because targets that no arm follows would run away.
    """

    is_passive = True

    def __init__(self, host: str, rig: Rig, fence: Fence, params: ArmParams) -> None:
        self._host, self._fence, self._params = host, fence, params
        self._kinematics = Kinematics(rig.tool.tcp_offset_m)
        self._history = PoseHistory(max_gap_s=params.report_deadline_s)
        self._home = np.asarray(self._kinematics.tcp(rig.home_joints_rad), dtype=float)
        self._api: Any = None

    @property
    def is_connected(self) -> bool:
        """Whether the link to the reports is open."""
        return self._api is not None

    @property
    def tcp(self) -> Vector:
        """The TCP by the encoders, ``(3,)`` m; raises DeviceError when reports no longer come."""
        return self.tcp_at(time.monotonic())

    @property
    def target(self) -> Vector:
        """The present TCP, because nothing is ever commanded."""
        return self.tcp

    def tcp_at(self, time_s: float) -> Vector:
        """The TCP by the encoders at a past moment, ``(3,)`` m; raises DeviceError when it is not covered."""
        return np.asarray(self._kinematics.tcp(self.joints_at(time_s)), dtype=float)

    def joints_at(self, time_s: float) -> Vector:
        """The encoders' joints ``(7,)`` rad at a past moment; raises DeviceError when it is not covered."""
        return np.asarray(self._history.at(time_s).joints, dtype=float)

    def connect(self) -> None:
        """Begin to listen; if this raises DeviceError, no connection stays open."""
        if self._api is not None:
            return
        self._history.clear()
        api = open_api(self._host, "real")
        try:
            api.register_report_callback(self._on_report)
            if not wait_until(self._covers_a_frame, 2.0):
                raise DeviceError("the controller sends no reports; restart it, and look for a firewall")
        except BaseException:
            close_apis(api)
            raise
        self._api = api

    def home(self) -> None:
        """Does nothing: this arm is never moved."""

    def move(self, displacement_m: ArrayLike) -> Vector:
        """Returns what would be sent from here, or from the nearest point of the fence if the arm is outside.

        A hand may lead the arm out of the fence a little.
        Raises SafetyStop on a command that is not finite.
        """
        here = np.clip(self.tcp, self._fence.low_m, self._fence.high_m)
        return np.asarray(self._fence.next_target(here, displacement_m) - here, dtype=float)

    def stop(self) -> bool:
        """Does nothing: this program moves nothing, and the person who moves the arm has another way to stop it."""
        return True

    def disconnect(self) -> None:
        """Stop listening; idempotent."""
        if self._api is not None:
            close_apis(self._api)
            self._api = None

    def _covers_a_frame(self) -> bool:
        try:
            self._history.at(time.monotonic() - _OLDEST_FRAME_S)
        except DeviceError:
            return False
        return True

    def _on_report(self, item: dict[str, Any]) -> None:
        pose = np.array(item["cartesian"])
        time_s = time.monotonic() - self._params.report_delay_s
        self._history.add(Pose(time_s, pose[:3] / 1000, np.array(item["joints"][:7])))
