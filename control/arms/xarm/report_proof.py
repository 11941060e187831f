"""Checks every report of the arm's position while it runs, 100 times a second."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from control.arms.arm import Vector
from control.arms.joint_band import JointBand
from datasets.arm.kinematics import Kinematics

FRAME_TOLERANCE_M = 0.01
"""Largest distance, m, between the reported TCP and the one computed from the reported joints: calibrated arms differ
from the nominal chain by a few millimetres (*assumed: nominal-chain*)."""
SKEW_S = 0.02
"""Largest time, s, between the joints and the TCP of one report (*assumed: report-skew*)."""
MAX_TURN_RAD = 0.35
_AWAY_M, _AWAY_RAD = 0.005, 0.02
"""Distance, m, and joint angle, rad, from its command beyond which the arm must be moving: the velocities at which it
still approaches are hundreds of times the last digit of a report (*assumed: pose-repeats*)."""
_LEAST_REPEATS = 20


class ReportProof:
    """Judges each report of joints and TCP; the first that fails is remembered.

    Args:
        tcp_offset_m: offset of the mounted tool's TCP along flange z.
        max_speed_m_s: largest speed of the TCP.
        max_repeat_s: how long a pose may repeat to the last bit while the arm has been sent elsewhere.
    """

    def __init__(self, tcp_offset_m: float, max_speed_m_s: float, max_repeat_s: float) -> None:
        self._kinematics = Kinematics(tcp_offset_m)
        self._tolerance_m = FRAME_TOLERANCE_M + max_speed_m_s * SKEW_S
        self._max_repeat_s = max_repeat_s
        self.fault: str | None = None
        self.is_blind = False
        """Whether the fault is that the poses are not the arm's; they do not prove its rest then either."""
        self.target: Vector | None = None
        """The commanded position of the TCP, ``(3,)`` m, or None."""
        self.target_joints: Vector | None = None
        """The commanded joints, ``(7,)`` rad, which then replace :attr:`target`; or None."""
        self.band: JointBand | None = None
        """Band that the joints must stay in during the present motion; None: any posture."""
        self._last: tuple[float, ...] = ()
        self._repeats, self._away_since = 0, math.inf

    def look(self, time_s: float, pose: Sequence[float], joints: Sequence[float], raw: Any) -> None:
        """Judge one report that came at ``time_s``.

        Args:
            pose: ``x y z`` mm and ``roll pitch yaw`` rad, as the SDK passes them on.
            joints: seven angles, rad.
            raw: the SDK's ``report_data`` of the same report, or None; the values that the SDK passes on lose any NaN.
        """
        if self.fault is None:
            try:
                self.fault = self._find_fault(time_s, pose, joints, raw)
            except Exception as error:  # an exception raised into the SDK would be lost
                self.fault = f"a report of the arm's position could not be judged ({type(error).__name__}: {error})"

    def stood(self) -> None:
        """Notes that the arm was seen to stop short of its target: from now on the pose is expected to repeat."""
        self.target = self.target_joints = None

    def _find_fault(self, time_s: float, pose: Sequence[float], joints: Sequence[float], raw: Any) -> str | None:
        told = [*pose, *joints] if raw is None else [*raw.actual_joint_angle, *raw.actual_tcp_pose]
        if not all(map(math.isfinite, told)):
            self.is_blind = True
            return "the controller reports a pose that is not a number; restart it, and ask the vendor if it stays"
        xyz, flange = np.asarray(pose[:3]) / 1000, self._kinematics.tcp_pose(joints)
        off = float(np.linalg.norm(flange[:3, 3] - xyz))
        if not off <= self._tolerance_m:
            return (
                f"the controller's TCP is {off * 1000:.0f} mm from where the joints put it: the tool's offset or the "
                "base (world) offset was changed while the arm ran; look who did"
            )
        leaning = max(tilt(pose[3:]), math.acos(float(np.clip(-flange[2, 2], -1, 1))))
        if not leaning <= MAX_TURN_RAD:
            return f"the tool is {math.degrees(leaning):.0f} deg from pointing straight down; look what turned it"
        if not (turn := yaw(pose[3:])) <= MAX_TURN_RAD:
            return f"the tool is turned by {math.degrees(turn):.0f} deg about the vertical; look what turned it"
        if self.band is not None and (strayed := self.band.outside(joints)) is not None:
            return (
                f"the arm leaves the joint band of its motion: {strayed}; look what turned elbow or wrist, and whether "
                "somebody else commands the arm"
            )
        return self._find_repeats(time_s, xyz, (*pose, *joints))

    def _find_repeats(self, time_s: float, xyz: Vector, told: tuple[float, ...]) -> str | None:
        away_m = 0.0 if self.target is None else float(np.linalg.norm(self.target - xyz))
        is_away = away_m > _AWAY_M
        if (wanted := self.target_joints) is not None:
            is_away = bool(np.max(np.abs(wanted - np.asarray(told[6:13]))) > _AWAY_RAD)
        if told != self._last or not is_away:
            self._last, self._repeats, self._away_since = told, 0, math.inf
            return None
        self._repeats, self._away_since = self._repeats + 1, min(self._away_since, time_s)
        lasted_s = time_s - self._away_since
        if lasted_s > self._max_repeat_s and self._repeats >= _LEAST_REPEATS:
            self.is_blind = True
            return (
                f"the reported pose has not changed by a bit for {lasted_s * 1000:.0f} ms, {away_m * 1000:.0f} mm from "
                "its target: the reports are stale, or the arm does not carry out the commands"
            )
        return None


def tilt(orientation_rad: Sequence[float]) -> float:
    """Angle between the tool's z axis and straight down, from roll and pitch."""
    roll, pitch = orientation_rad[:2]
    return math.acos(max(-1.0, min(1.0, -math.cos(roll) * math.cos(pitch))))


def yaw(orientation_rad: Sequence[float]) -> float:
    """Angle between the tool and its orientation at the rig's home about the vertical, from 0 to pi."""
    return abs(math.atan2(math.sin(orientation_rad[2]), math.cos(orientation_rad[2])))
