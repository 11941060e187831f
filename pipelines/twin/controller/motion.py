"""The motion of the emulated arm: limited in speed and acceleration, and integrated only when it is read.

The real controller's planner is not published (*assumed: planner*). This one keeps the promises of the vendor's
documentation: speed and acceleration limits, straight lines, new targets that interrupt old ones, and a velocity that
ends with its duration. It is kinder than *assumed: arm-response*: it starts at once, without lag or tracking error.
"""

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from datasets.arm.kinematics import Kinematics
from datasets.rig.projection import Array

TICK_S = 0.004
"""The controller's period, 250 Hz (xArm developer manual)."""
STOP_ACCELERATION_M_S2 = 5.0
"""Deceleration of the TCP in a stop (*assumed: stop-braking*)."""
TURN_SPEED_RAD_S = 1.0
"""Rate at which orientation follows its target (*assumed: planner*)."""
JOINT_SPEED_LIMIT_RAD_S = np.pi
"""Largest speed of a joint: 180 deg/s (xArm user manual, technical specifications)."""
JOINT_ACCELERATION_LIMIT_RAD_S2 = 20.0
"""Largest acceleration of a joint (the vendor's SDK, ``joint_acc_limit``)."""
IK_TOLERANCE_M = 0.003
_IK_PERIOD_S = 0.01
_HISTORY = 4096

TOOL_TO_FLANGE = np.diag([-1.0, -1.0, 1.0])
"""Rotation: the TCP site of our arm model is turned by pi about z against the controller's tool frame."""


class MotionFault(Exception):
    """The arm cannot follow: ``code`` is the controller's error code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"C{code}")
        self.code = code


@dataclass
class LineTarget:
    """Go to a point in a straight line."""

    xyz_m: Array
    rotation: Array
    speed_m_s: float
    acceleration_m_s2: float


@dataclass
class VelocityTarget:
    """Keep a velocity until ``until`` s, then stop."""

    velocity_m_s: Array
    until: float
    acceleration_m_s2: float


@dataclass
class JointTarget:
    """Go to joint angles, all joints arriving together."""

    joints_rad: Array
    speed_rad_s: float
    acceleration_rad_s2: float


Target = LineTarget | VelocityTarget | JointTarget


@dataclass(frozen=True)
class Stray:
    """A fault in which joints leave the way to the target by themselves.

    Attributes:
        by_rad: the final deviation of each joint, ``(7,)``.
        speed_rad_s: speed of the joint that goes farthest.
        holds_tool: the other joints compensate as far as they can, so that the tool stays where it should.
    """

    by_rad: Array
    speed_rad_s: float
    holds_tool: bool = False


def approach_speed(distance: float, acceleration: float, tick_s: float = TICK_S) -> float:
    """Largest speed from which a stop within ``distance`` is possible at ``acceleration`` in ticks of ``tick_s``."""
    step = acceleration * tick_s
    return -step / 2 + float(np.sqrt(step * step / 4 + 2 * acceleration * distance))


class Motion:
    """Position and velocity of the arm, its joints by inverse kinematics, and its past joints.

    Args:
        joints_rad: the joints ``(7,)`` at ``now``.
        now: time in s, on the caller's monotonic clock.
        tool_offset_m: offset of the tool really mounted, along flange z; None: the gripper's.
    """

    def __init__(self, joints_rad: Array, now: float, tool_offset_m: float | None = None) -> None:
        self._kinematics = Kinematics(tool_offset_m)
        self.target: Target | None = None
        self.twist: Array | None = None
        """Orientation (3x3) to which the tool turns instead of the target's, or None."""
        self.stray: Stray | None = None
        """The deviation of joints that grows with time; None: it stays as it is."""
        self._strayed: Array = np.zeros(7)
        self._stray_part = 0.0
        self._time = now
        self._joints: Array = np.zeros(7)
        self._xyz: Array = np.zeros(3)
        self._rotation: Array = np.eye(3)
        self._velocity: Array = np.zeros(3)
        self._joint_velocity: Array = np.zeros(7)  # of a move of the joints, or of its braking
        self._history: deque[tuple[float, Array]] = deque(maxlen=_HISTORY)
        self._place(np.asarray(joints_rad, dtype=float))
        self._history.append((now, self.joints))

    @property
    def joints(self) -> Array:
        """The joints ``(7,)`` rad at the time of the last :meth:`advance`."""
        return self._joints + self._strayed

    @property
    def xyz_m(self) -> Array:
        """The TCP ``(3,)`` m that follows from the joints."""
        return self._kinematics.tcp(self.joints)

    @property
    def rotation(self) -> Array:
        """The orientation (3x3) of the controller's tool frame that follows from the joints."""
        return self._kinematics.tcp_pose(self.joints)[:3, :3] @ TOOL_TO_FLANGE

    @property
    def is_moving(self) -> bool:
        """Whether the arm moves or has a target."""
        return self.target is not None or self.speed_m_s > 0 or self._turns or self._strays

    @property
    def speed_m_s(self) -> float:
        """The TCP's speed, m/s."""
        return float(np.linalg.norm(self._velocity))

    def stop(self) -> None:
        """Brake along the present direction of motion."""
        self.target = None

    def place(self, joints_rad: Array) -> None:
        """Stand still at other joints ``(7,)`` from now on."""
        self.stop()
        self._strayed = np.zeros(7)
        self._place(np.asarray(joints_rad, dtype=float))
        self._history.append((self._time, self.joints))

    def joints_at(self, time_s: float) -> Array:
        """Joints ``(7,)`` at a moment not later than the last :meth:`advance`, by interpolation."""
        index = bisect_left(self._history, time_s, key=lambda entry: entry[0])
        if index == 0:
            return self._history[0][1]
        if index == len(self._history):
            return self._history[-1][1]
        (t0, a), (t1, b) = self._history[index - 1], self._history[index]
        return a + (b - a) * ((time_s - t0) / (t1 - t0))

    def advance(self, now: float) -> None:
        """Move on to ``now``; raises MotionFault when the arm cannot follow."""
        while self._time < now:
            if not self.is_moving:
                self._history.append((self._time, self.joints))
                self._history.append((now, self.joints))
                self._time = now
                break
            until = min(now, self._time + _IK_PERIOD_S)
            if isinstance(self.target, JointTarget):
                self._follow_joints(self.target, until - self._time)
            elif self.target is None and self._turns:
                self._brake_joints(until)
            else:
                self._follow_cartesian(until)
            if self.stray is not None:
                self._go_astray(self.stray, until - self._time)
            self._time = until
            self._history.append((until, self.joints))

    @property
    def _turns(self) -> bool:
        return bool(self._joint_velocity.any())

    @property
    def _strays(self) -> bool:
        return self.stray is not None and self._stray_part < 1

    def _go_astray(self, stray: Stray, dt: float) -> None:
        step = min(1.0 - self._stray_part, stray.speed_rad_s * dt / float(np.max(np.abs(stray.by_rad))))
        self._stray_part += step
        self._strayed = self._strayed + stray.by_rad * step
        if stray.holds_tool:
            pose = self._kinematics.tcp_pose(self._joints)
            self._strayed = self._kinematics.step(self.joints, pose[:3, 3], pose[:3, :3]) - self._joints

    def _follow_cartesian(self, until: float) -> None:
        self._joint_velocity = np.zeros(7)
        time = self._time
        while time < until:
            dt = min(TICK_S, until - time)
            self._tick(time, dt)
            time += dt
        self._solve(until - self._time)

    def _tick(self, time: float, dt: float) -> None:
        target = self.target
        limit = STOP_ACCELERATION_M_S2
        wanted: Array = np.zeros(3)
        if isinstance(target, LineTarget):
            limit = target.acceleration_m_s2
            offset = target.xyz_m - self._xyz
            distance = float(np.linalg.norm(offset))
            if distance <= 2e-5 and self.speed_m_s <= limit * dt:
                self._velocity[:] = 0
                self._xyz = target.xyz_m.copy()
                if self._turn(target.rotation, dt):
                    self.target = None
                return
            speed = min(target.speed_m_s, approach_speed(distance, limit), distance / dt)
            wanted = offset * (speed / max(distance, 1e-12))
            self._turn(target.rotation, dt)
        elif isinstance(target, VelocityTarget):
            limit = target.acceleration_m_s2
            self._turn(self._rotation, dt)
            if time < target.until:
                wanted = target.velocity_m_s
            elif self.speed_m_s <= limit * dt:
                self.target = None
        change = wanted - self._velocity
        size = float(np.linalg.norm(change))
        if size > limit * dt:
            change *= limit * dt / size
        self._velocity = self._velocity + change
        self._xyz = self._xyz + self._velocity * dt

    def _turn(self, rotation: Array, dt: float) -> bool:
        rotation = rotation if self.twist is None else self.twist
        if np.max(np.abs(rotation - self._rotation)) < 1e-4:
            return True
        offset = Rotation.from_matrix(rotation @ self._rotation.T).as_rotvec()
        part = min(1.0, TURN_SPEED_RAD_S * dt / float(np.linalg.norm(offset)))
        self._rotation = Rotation.from_rotvec(offset * part).as_matrix() @ self._rotation
        return False

    def _solve(self, elapsed: float) -> None:
        joints = self._kinematics.step(self._joints, self._xyz, self._rotation @ TOOL_TO_FLANGE)
        if np.linalg.norm(self._kinematics.tcp(joints) - self._xyz) > IK_TOLERANCE_M:
            self._halt()
            raise MotionFault(21)
        if np.max(np.abs(joints - self._joints)) > JOINT_SPEED_LIMIT_RAD_S * max(elapsed, TICK_S):
            self._halt()
            raise MotionFault(24)
        self._joints = joints

    def _halt(self) -> None:
        self._place(self._joints)
        self.target = None

    def _follow_joints(self, target: JointTarget, dt: float) -> None:
        offset = target.joints_rad - self._joints
        largest = float(np.max(np.abs(offset)))
        if largest < 1e-6:
            self.target = None
            self._place(self._joints)
            return
        fastest = min(target.speed_rad_s, approach_speed(largest, target.acceleration_rad_s2, dt))
        direction = offset / largest
        along = max(0.0, float(self._joint_velocity @ direction) / float(direction @ direction))
        speed = min(fastest, along + target.acceleration_rad_s2 * dt)
        self._turn_joints(direction * min(largest / dt, speed), dt)

    def _brake_joints(self, until: float) -> None:
        """Brake all joints together: the TCP at the rate of a stop, where no joint would have to exceed its limit."""
        time = self._time
        while time < until and self._turns:
            dt = min(TICK_S, until - time)
            fastest = float(np.max(np.abs(self._joint_velocity)))
            braked = min(JOINT_ACCELERATION_LIMIT_RAD_S2 / fastest, STOP_ACCELERATION_M_S2 / max(self.speed_m_s, 1e-9))
            self._turn_joints(self._joint_velocity * max(0.0, 1 - braked * dt), dt)
            time += dt

    def _turn_joints(self, velocity: Array, dt: float) -> None:
        before = self._xyz
        self._place(self._joints + velocity * dt)
        self._joint_velocity, self._velocity = velocity, (self._xyz - before) / dt

    def _place(self, joints: Array) -> None:
        pose = self._kinematics.tcp_pose(joints)
        self._joints, self._xyz, self._rotation = joints, pose[:3, 3], pose[:3, :3] @ TOOL_TO_FLANGE
        self._velocity, self._joint_velocity = np.zeros(3), np.zeros(7)
