"""The xArm7 over the vendor's SDK: displacements in, targets or velocities out, inside a fence."""

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from control.arms.arm import Arm, Vector
from control.arms.fence import REACH_M, Fence, check_start, check_tcp
from control.arms.joint_band import BAND_MARGIN_RAD, JointBand, needed_band
from control.arms.params import ArmParams
from control.arms.xarm.braking import as_driven, limit_change, remaining_velocity, speed_within
from control.arms.xarm.controller_errors import describe_return
from control.arms.xarm.link import READY_STATES, ControllerLink
from control.arms.xarm.lock import ControllerLock
from control.arms.xarm.report_proof import FRAME_TOLERANCE_M, MAX_TURN_RAD, ReportProof, tilt, yaw
from control.arms.xarm.settings import Settings, SettingsWatch, ours, require_in_range, restore, stricter
from control.arms.xarm.setup import MODE_NUMBER, check_controller, configure, enter_mode, verify
from control.arms.xarm.takeover import Holder, require_free, require_no_motion
from control.arms.xarm.turning import turning_way
from control.arms.xarm.wire.sdk import await_report, call_sdk, require_sdk, run_bounded, wait_until
from control.clearance.arm_clearance import ArmClearance, Way
from datasets.arm.kinematics import Kinematics
from datasets.common.errors import DeviceError, SafetyStop
from datasets.rig.rig import Rig

DOWN_RAD = (math.pi, 0.0, 0.0)
"""Roll, pitch and yaw of the controller's tool frame when the gripper points down as at the rig's home."""

_ARRIVED_M = 5e-4
_ARRIVED_TURN_RAD = 0.01
_STILL_S, _STILL_M = 0.05, 1e-4
_MAX_LAG_STEPS = 6
"""Largest distance between TCP and target, in steps: half a second and more of motion. Delays of the wire and of the
motors, a stall of 190 ms and reports at their deadline make less than 5 together."""
_LEAST_LAG_M = 0.02
_POSTURE_TOLERANCE_RAD = 0.2
_POSTURE_REACHED_RAD = 0.002
_MAX_POSTURE_SPEED_RAD_S, _POSTURE_ACCELERATION_RAD_S2 = 0.3, 1.0
_POSITION_MODE = 0
_CALL_TIMEOUT_S = 6.0
_WIRE_S = 0.01
"""Time, s, for a report's age when it is read and for a command's way to the arm, beyond what is measured
(*assumed: report-age*)."""
_MOTION_BEGINS_S = 0.1
"""Longest time, s, from the answer to a command until the arm begins to move (*assumed: motion-start*)."""

_SPEED_OVER_S = 0.05
_LEAST_SPEED_M_S = 0.01
"""Least speed of a line, m/s: a planner does not accept 0, and the arm may still have to finish the line before."""
_MOST_HALTS = 3
"""Ticks in a row at which a step may be refused before the arm is stopped: the cause may pass as its joints follow."""

logger = logging.getLogger(__name__)
_TOLD: set[str] = set()


class XArm(Arm):
    """An xArm7 at an address, driven inside a fence.

    Errors are never cleared here, and the motors are never enabled again after a stop: that takes a new
    :meth:`connect`, which refuses an arm that has an error or that somebody else holds. Of the controller's limits and
    ours the stricter ones apply; every report verifies them, and :meth:`disconnect` restores the settings found. The
    arm stops if its joints leave the band of the present motion, which is what the fence needs, or the way home or to a
    place. If this process dies, the arm goes on to its last target (mode 7), about two steps away (50 mm) at full speed
    or, while homing, slowly home; or it stops when the velocity's duration ends (mode 5) (*assumed: client-gone*).

    Args:
        host: the controller's IPv4 address.
        rig: workspace, tool, home, step limit and rate.
        params: mode, speeds, margins and deadlines.
        max_speed_m_s: lowers the rig's speed further.
        simulated: accept a controller in simulation mode, whose arm stands still while its reports move.
        take_over: accept an arm that manual mode, another program or a killed run holds: True, or a function that is
            asked with a description of what was found. An arm that is paused or moving, or has an error, is still
            refused.
        reports_are_commands: accept a firmware before 2.4.0, which reports where it sends the arm. An arm that does
            not follow, or was pushed, is then not noticed.
        clearance: checks before every command that the whole arm stays clear of things; None: of the table at z = 0
            and of itself.
        joint_band: band that the joints must stay in; None: what the fence needs, and ``BAND_MARGIN_RAD`` beyond it.
    """

    def __init__(
        self,
        host: str,
        rig: Rig,
        params: ArmParams | None = None,
        max_speed_m_s: float | None = None,
        simulated: bool = False,
        take_over: bool | Callable[[str], bool] = False,
        reports_are_commands: bool = False,
        clearance: ArmClearance | None = None,
        joint_band: JointBand | None = None,
    ) -> None:
        require_sdk()
        self._simulated, self._reports_are_commands, self._take_over = simulated, reports_are_commands, take_over
        self._rig, self._params = rig, params or ArmParams()
        self.fence = self._own_fence = Fence.from_rig(rig, self._params, max_speed_m_s)
        self._payload = check_start(rig, self.fence)
        self.joint_band = joint_band or needed_band(rig, self.fence).widened(BAND_MARGIN_RAD)
        self._needed_band = needed_band(rig, self.fence)
        self._kinematics = Kinematics(rig.tool.tcp_offset_m)
        self._clearance, self._halts = as_driven(clearance or ArmClearance(rig), self._params, rig.rate_hz), 0
        self._clearance.require_home()
        self._home = np.asarray(self._kinematics.tcp(rig.home_joints_rad), dtype=float)
        check_tcp(self.fence, self._home)
        self._host = host
        self._link, self._run_lock = ControllerLink(host, self._params, self.fence), ControllerLock(host)
        self._proof = ReportProof(rig.tool.tcp_offset_m, self.speed_m_s, 0.0)
        self._target: Vector | None = None
        self._last_sent = np.zeros(3)
        self._last_velocity: Vector = np.zeros(3)
        self._velocity_ends_s = 0.0
        self._lock = threading.RLock()

    @property
    def is_connected(self) -> bool:
        """Whether the arm takes commands."""
        return self._link.armed and self._link.fault is None and not self._link.stopped

    @property
    def fault(self) -> str | None:
        """Returns why the watch stopped the arm, or None."""
        return self._link.fault

    @property
    def events(self) -> tuple[tuple[float, str], ...]:
        """The events so far: their times (s on ``time.monotonic``), and what happened in words."""
        return self._link.events

    @property
    def tcp(self) -> Vector:
        """The encoders' TCP ``(3,)`` m by the newest report; raises DeviceError when that is too old."""
        return self._link.fresh_pose().xyz.copy()

    @property
    def target(self) -> Vector:
        """The last commanded TCP ``(3,)`` m; raises DeviceError before the first connect."""
        if self._target is None:
            raise DeviceError("the arm has no target yet; connect it first")
        return self._target.copy()

    @property
    def commanded_at(self) -> float | None:
        """Time at which the newest command was sent, s on ``time.monotonic``; None before the first."""
        return self._link.commanded_at

    def tcp_at(self, time_s: float) -> Vector:
        """The encoders' TCP ``(3,)`` m at a moment of ``time.monotonic``; raises DeviceError when not covered."""
        return self._link.pose_at(time_s).xyz.copy()

    def joints_at(self, time_s: float) -> Vector:
        """The encoders' joints ``(7,)`` rad at a moment of ``time.monotonic``; raises DeviceError when not covered."""
        return self._link.pose_at(time_s).joints.copy()

    def connect(self) -> None:
        """Open both connections, inspect, configure, verify, and enter the driving mode where the arm stands.

        A controller that is refused at the inspection is left as it was: nothing is set, and nothing is stopped.

        Raises:
            DeviceError: there is no controller, its firmware is wrong, it is paused, somebody else or another run on
                this computer holds it, it has an error that was not cleared, or it refused a setting.
            SafetyStop: somebody moves the arm, its TCP is outside the fence, its tool is not turned as at home, its
                joints are outside their range, or the fence reaches beyond the boundary that the site has set.
        """
        link, mode = self._link, MODE_NUMBER[self._params.mode]
        if self.is_connected:
            return
        link.close()
        self._run_lock.acquire()
        try:
            link.open()
            await_report(link.guard)
            self._require_free()
            found = Settings.read(link.guard)
            wanted = self._limits(found)
            link.put_back = lambda confirmed: self._put_back(found, wanted, confirmed)
            link.taken = True
            configure(link.motion, wanted, found)
            verify(link.guard, wanted)
            self._check_pose(wanted)
            enter_mode(link.motion, mode)
            # Some reports until now were of another tool, so a frame of that time is compared with this arm at rest.
            link.history.stood_still()
            self._target, self._last_sent, self._last_velocity = self.tcp, np.zeros(3), np.zeros(3)
            self._halts = 0
            repeats_s = self._params.command_deadline_s + _MOTION_BEGINS_S
            self._proof = ReportProof(self._rig.tool.tcp_offset_m, self.speed_m_s, repeats_s)
            self._watch_loop(link.history.latest.joints)
            link.proof, link.checks = self._proof, (lambda: self._proof.fault, SettingsWatch(link.guard, wanted))
            link.arm(mode)
        except BaseException:
            self.disconnect()
            raise
        link.note(f"connected to {self._host}, mode {mode}")

    def home(self) -> None:
        """Go home slowly in a straight line, then to the rig's home posture if the elbow has moved away from it.

        The line comes first: the fence is convex, so a line between two points of it lies inside, which a joint motion
        does not guarantee. The posture matters because seven joints leave the elbow free, and the estimator was trained
        on postures near the rig's. This last motion is checked against the fence point by point before it begins.

        Raises:
            DeviceError: a fault on the way, or the arm did not arrive. SafetyStop: it was stopped.
        """
        self.go_to(self._home)
        home = np.asarray(self._rig.home_joints_rad)
        if np.max(np.abs(self._link.history.latest.joints - home)) > _POSTURE_TOLERANCE_RAD:
            self._take_posture(home)
        self._target, self._last_sent = self._home.copy(), np.zeros(3)

    def go_to(self, xyz_m: ArrayLike) -> None:
        """Go slowly, in a straight line, to a point inside the fence; returns on arrival. The point becomes the target.

        Raises:
            SafetyStop: the point is outside the fence, the arm would come too near to something on the way, or it was
                stopped.
            DeviceError: a fault on the way, or the arm did not arrive.
        """
        self._link.require_ready()
        goal = np.asarray(xyz_m, dtype=float)
        if not self.fence.contains(goal):
            raise SafetyStop(f"the point {goal.tolist()} m lies outside the fence; the arm does not go there")
        speed = min(self._params.slow_speed_m_s, self.speed_m_s)
        way = self._clearance.way(self._link.history.latest.joints, goal)
        self._watch_way(way)
        self._link.expected = None
        deadline = time.monotonic() + float(np.linalg.norm(goal - self.tcp)) / speed * 2 + 6.0
        self._post(goal, np.zeros(3), speed)
        while not self._is_at(goal):
            if time.monotonic() > deadline:
                self.stop()
                raise DeviceError(
                    f"the arm did not arrive at {goal.round(3).tolist()} m in time; it stands at "
                    f"{self._link.history.latest.xyz.round(3).tolist()} m"
                )
            time.sleep(0.5 / self._rig.rate_hz)
            if self._params.mode == "velocity":
                self._post(goal, np.zeros(3), speed)
        self._last_sent = np.zeros(3)
        self._watch_loop(way.joints_rad[-1])

    def tcp_after(self, joints_rad: ArrayLike) -> Vector:
        """Position ``(3,)`` m that the TCP has at joints ``(7,)`` rad."""
        return np.asarray(self._kinematics.tcp(joints_rad), dtype=float)

    def take_posture(self, joints_rad: ArrayLike) -> None:
        """Turn all joints slowly and evenly to ``joints_rad`` ``(7,)``; returns on arrival. The TCP becomes the target.

        Raises:
            SafetyStop: on the way the TCP would leave the fence, the tool would turn too far from where it points at
                home, or the arm would come too near to something; nothing has moved then. Or the arm was stopped.
            DeviceError: a fault on the way, or the arm did not arrive.
        """
        self._link.require_ready()
        joints = np.asarray(joints_rad, dtype=float)
        start = self._link.history.latest.joints
        way = turning_way(self.fence, self._kinematics, start, joints)
        self._take_posture(joints, self._slow_turn(start, joints, way))
        self._last_sent = np.zeros(3)

    def move(self, displacement_m: ArrayLike) -> Vector:
        """Move the last target by ``displacement_m`` ``(3,)``, clipped to step limit and fence; returns what was sent.

        The step is shortened where any part of the arm comes near something; where it is too near, nothing is sent.

        Raises:
            SafetyStop: the command is not finite, would bring the arm too near to something for several ticks in a
                row, or the arm was stopped.
            DeviceError: the controller or the connection has a fault; the arm is stopped.
        """
        with self._lock:
            self._link.require_ready()
            last = self.target
            try:
                target, scale = self._cleared(last, self.fence.next_target(last, displacement_m, self._last_sent))
            except SafetyStop:
                self.stop()
                raise
            sent = target - last
            self._link.expected = target, max(_MAX_LAG_STEPS * self.fence.max_displacement_m, _LEAST_LAG_M)
            self._post(target, sent, self.speed_m_s * scale)
            self._last_sent = sent
            return sent.copy()

    def why_stopped(self) -> str | None:
        """Returns the watch's fault, or that the arm was stopped, in words; None while it takes commands."""
        try:
            self._link.require_ready()
        except (DeviceError, SafetyStop) as reason:
            return str(reason)
        return None

    def stop(self) -> bool:
        """Stop now and stay stopped until a new :meth:`connect`; returns whether the stop was confirmed.

        The stop goes through the second connection.
        """
        return self._link.stop()

    def disconnect(self) -> None:
        """Stop the arm, put the controller's settings back and close both connections; idempotent, never raises."""
        self._link.close()
        self._run_lock.release()

    @property
    def speed_m_s(self) -> float:
        """Largest speed of the TCP, m/s: the rig's, or a lower one of site or controller."""
        return self.fence.max_displacement_m * self._rig.rate_hz

    @property
    def _posture_speed_rad_s(self) -> float:
        """Speed of a joint, rad/s, at which every point within the arm's reach keeps to the speed limit."""
        return min(_MAX_POSTURE_SPEED_RAD_S, self.speed_m_s / REACH_M)

    def _require_free(self) -> None:
        """Refuse an arm that may not be taken over; this only reads reports and changes nothing."""
        link = self._link
        check_controller(link.guard, self._params.mode, self._simulated, self._reports_are_commands)
        link.require_rest()
        holder = Holder.read(link.motion)
        require_no_motion(holder)
        if not (holder.is_held and self._take_over):
            require_free(holder)
            return
        if callable(self._take_over):
            if not self._take_over(str(holder)):
                raise SafetyStop("the operator did not agree to take the arm over; it is left as it was")
            check_controller(link.guard, self._params.mode, self._simulated, self._reports_are_commands)
            link.require_rest()
            if (now := Holder.read(link.motion)) != holder:
                raise SafetyStop(f"the arm has changed hands meanwhile ({holder}, now {now}); start again")
        self._tell(f"taking over an arm that was held: {holder}")

    def _limits(self, found: Settings) -> Settings:
        """The stricter of our limits and the site's; logs the differences and lowers this run's speed to them."""
        wished = ours(self._rig, self._own_fence, self._payload, self._params, found, self.joint_band)
        wanted = stricter(wished, found, self._own_fence)
        require_in_range(wanted, self._rig.home_joints_rad, "home")
        step = self._own_fence.max_displacement_m
        if wanted.reduced:
            step = min(step, wanted.tcp_speed / 1000 / self._rig.rate_hz)
        self.fence = replace(self._own_fence, max_displacement_m=step)
        for told, differences in (
            ("stricter limits of the site stand", wished.differences(wanted)),
            ("settings of the controller changed for this run", found.differences(wanted)),
        ):
            if differences:
                self._tell(f"{told}: {_list(differences)}")
        return wanted

    def _put_back(self, found: Settings, wanted: Settings, confirmed: bool) -> None:
        if not (left := found.differences(wanted)):
            return
        if confirmed:  # the limits of an arm that may still move are not loosened
            left = restore(self._link.guard, found, wanted)
        if left:
            self._tell(f"settings of the controller that could not be restored: {_list(left)}")
        else:
            self._link.note("the controller's settings are restored")

    def _tell(self, what: str) -> None:
        """Note an event, and log it as a warning once per process, because a rehearsal often connects to its twin."""
        self._link.note(what)
        logger.log(logging.DEBUG if what in _TOLD else logging.WARNING, "%s", what)
        _TOLD.add(what)

    def _post(self, target: Vector, step: Vector, speed_m_s: float) -> None:
        self._target = self._proof.target = target
        self._link.post(self._command(target, step, speed_m_s))

    def _command(self, target: Vector, step: Vector, speed_m_s: float) -> Callable[[], int]:
        """The SDK call of one command, to be made when the connection is free."""
        if self._params.mode == "velocity":
            return lambda: self._send_velocity(target, step, speed_m_s)
        return lambda: self._send_target(target, speed_m_s)

    def _send_target(self, target: Vector, speed_m_s: float) -> int:
        x, y, z = (target * 1000).tolist()
        roll, pitch, yaw = DOWN_RAD
        acceleration = self._params.acceleration_m_s2 * 1000
        speed_m_s = max(speed_m_s, _LEAST_SPEED_M_S)
        return int(
            call_sdk(
                "set_position",
                lambda: self._link.motion.set_position(
                    x, y, z, roll, pitch, yaw, speed=speed_m_s * 1000, mvacc=acceleration, wait=False
                ),
            )
        )

    def _send_velocity(self, target: Vector, step: Vector, speed_m_s: float) -> int:
        """Send the velocity of this step plus part of the arm's lag behind its target, with braking at the fence.

        Since the previous command it changes no faster than the acceleration limit allows, unless the fence requires
        harder braking. Here the fence relies on fresh reports; with an absolute target (mode 7) it needs no reports.
        """
        period, braking = 1 / self._rig.rate_hz, self._params.velocity_braking_m_s2
        duration = self._params.velocity_duration_steps * period
        pose = self._link.history.latest
        velocity = (step + self._params.velocity_gain * (target - step - pose.xyz)) / period
        size = float(np.linalg.norm(velocity))
        if size > speed_m_s:
            velocity *= speed_m_s / size
        time_s = time.monotonic()
        now = remaining_velocity(self._last_velocity, time_s - self._velocity_ends_s, braking)
        passed = min(period, max(0.0, time_s - (self._velocity_ends_s - duration)))
        velocity = limit_change(velocity, now, self._params.acceleration_m_s2 * passed)
        # If this is the last command, the arm goes on for the whole duration and then brakes: all of this stays inside.
        tcp = pose.xyz + now * (time_s - pose.time + _WIRE_S)
        down = speed_within(tcp - self.fence.low_m, -now, duration, braking)
        up = speed_within(self.fence.high_m - tcp, now, duration, braking)
        self._last_velocity = velocity = np.clip(velocity, -down, up)
        speeds = [*(velocity * 1000).tolist(), 0.0, 0.0, 0.0]
        code = call_sdk(
            "vc_set_cartesian_velocity",
            lambda: self._link.motion.vc_set_cartesian_velocity(speeds, duration=duration),
        )
        self._velocity_ends_s = time.monotonic() + duration
        return int(code)

    def _is_at(self, goal: Vector) -> bool:
        """Whether the arm stands at the goal, pointing down; raises an error with the reason if it was stopped."""
        self._link.require_ready()
        here, before = self.tcp, self.tcp_at(time.monotonic() - _STILL_S)
        near = np.linalg.norm(here - goal) < _ARRIVED_M and np.linalg.norm(here - before) < _STILL_M
        turned = max(tilt(self._link.orientation_rad), yaw(self._link.orientation_rad))
        return bool(near and turned < _ARRIVED_TURN_RAD)

    def _cleared(self, last: Vector, target: Vector) -> tuple[Vector, float]:
        """The point ``(3,)`` m between last and next target to send the arm to, and the share of speed, 0 to 1."""
        history = self._link.history  # the watch judges its age
        now = history.latest
        before = history.at(now.time - _SPEED_OVER_S) if history.span_s > _SPEED_OVER_S else now
        speed_m_s = float(np.linalg.norm(now.xyz - before.xyz)) / _SPEED_OVER_S
        verdict = self._clearance.step(now.joints, last, target, speed_m_s)
        self._halts = self._halts + 1 if verdict.scale == 0 else 0
        if self._halts > _MOST_HALTS:
            raise SafetyStop(f"the arm would come too near: {verdict.reason}")
        return last + verdict.scale * (target - last), verdict.scale

    def _slow_turn(self, start: Vector, joints: Vector, way: Vector) -> float:
        """Speed of the joint that turns most, rad/s, at which the TCP keeps to the slow speed on its way ``(N, 3)``."""
        longest_m = float(np.linalg.norm(np.diff(way, axis=0), axis=1).max()) * (len(way) - 1)
        slow_m_s = min(self._params.slow_speed_m_s, self.speed_m_s)
        turn_rad = float(np.max(np.abs(joints - start)))
        return min(self._posture_speed_rad_s, slow_m_s * turn_rad / max(longest_m, 1e-6))

    def _watch_way(self, way: Way) -> None:
        """Hold the joints within ``BAND_MARGIN_RAD`` of a slow motion's own way, wherever that lies (*assumed: elbow*).

        A run may begin with the elbow far from its place at home; the way back then leaves the band the fence needs.
        """
        self._proof.band = JointBand.of(way.joints_rad).widened(BAND_MARGIN_RAD)

    def _watch_loop(self, start_rad: Vector) -> None:
        """Hold the joints within ``BAND_MARGIN_RAD`` of what the fence needs from here on, until the next slow motion.

        The band also includes the present posture ``(7,)``: before the first homing the elbow may stand elsewhere, and
        the last joint may be off by the yaw that is accepted at the start (``MAX_TURN_RAD``).
        """
        self._proof.band = self._needed_band.joined(JointBand.of(start_rad)).widened(BAND_MARGIN_RAD)

    def _take_posture(self, joints: Vector, speed_rad_s: float | None = None) -> None:
        link, speed_rad_s = self._link, speed_rad_s or self._posture_speed_rad_s
        link.expected = None
        start = link.history.latest.joints
        self._watch_way(self._clearance.turn(start, joints))
        for part in np.linspace(0, 1, 50):
            tcp = self._kinematics.tcp(start + (joints - start) * part)
            if not self.fence.contains(tcp):
                raise SafetyStop(
                    "the arm's elbow is far from the rig's home posture, and turning it back would leave the fence; "
                    "bring the arm to its home joints in the vendor's studio, then start again"
                )
        seconds = float(np.max(np.abs(joints - start))) / speed_rad_s * 2 + 3
        try:
            with link.other_mode(_POSITION_MODE):
                enter_mode(link.motion, _POSITION_MODE)
                link.settle(_POSITION_MODE)
                link.require_ready()  # the new mode's "ready" undid a stop that came meanwhile
                self._proof.target_joints = joints
                self._target = self._proof.target = self.tcp_after(joints)
                # The SDK reads the arm's serial number here, and raises ValueError where that is blank.
                code = run_bounded(lambda: self._turn_joints(joints, speed_rad_s), _CALL_TIMEOUT_S, "set_servo_angle")
                if code != 0:
                    raise DeviceError(f"the controller did not take the posture ({describe_return(code)})")
                wait_until(lambda: self._has_halted() or self._has_posture(joints), seconds)
                link.require_ready()
                if not self._has_posture(joints):
                    self.stop()  # stop first; only then ask the controller for the reason
                    raise DeviceError(f"the arm did not reach the posture{link.error_in_words()}")
                self._proof.target_joints = None
                self._watch_loop(joints)
                enter_mode(link.motion, MODE_NUMBER[self._params.mode])
                link.settle(MODE_NUMBER[self._params.mode])
            link.require_ready()
        except BaseException:
            self.stop()
            raise

    def _turn_joints(self, joints: Vector, speed_rad_s: float) -> int:
        return int(
            self._link.motion.set_servo_angle(
                angle=joints.tolist(), speed=speed_rad_s, mvacc=_POSTURE_ACCELERATION_RAD_S2, wait=False
            )
        )

    def _has_halted(self) -> bool:
        return self._link.stopped or self._link.fault is not None or self._link.state not in READY_STATES

    def _has_posture(self, joints: Vector) -> bool:
        return bool(np.max(np.abs(self._link.history.latest.joints - joints)) < _POSTURE_REACHED_RAD)

    def _check_pose(self, wanted: Settings) -> None:
        pose = self._link.fresh_pose()
        off = float(np.linalg.norm(self._kinematics.tcp(pose.joints) - pose.xyz))
        if off > FRAME_TOLERANCE_M:
            raise SafetyStop(
                f"the controller's TCP is {off * 1000:.0f} mm from where the joints put it: a base (world) offset is "
                "set, or the tool's offset is another; set both in the vendor's studio"
            )
        check_tcp(self.fence, pose.xyz)
        leaning, turned = tilt(self._link.orientation_rad), yaw(self._link.orientation_rad)
        if leaning > MAX_TURN_RAD:
            raise SafetyStop(
                f"the tool is {math.degrees(leaning):.0f} deg from pointing straight down; turn it down in the "
                "vendor's studio, then start again"
            )
        if turned > MAX_TURN_RAD:  # the first line would turn it back, at a speed that the controller chooses
            raise SafetyStop(
                f"the tool is turned by {math.degrees(turned):.0f} deg about the vertical; turn it back to yaw 0 with "
                "the last joint in the vendor's studio, then start again"
            )
        require_in_range(wanted, pose.joints, "the arm's posture")


def _list(differences: dict[str, str]) -> str:
    return "; ".join(f"{name} {difference}" for name, difference in differences.items())
