"""Decides whether and how fast the arm may go to its next target, and whether it may follow a given way."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import mujoco
import numpy as np
from numpy.typing import ArrayLike

from control.clearance.distance import ArmDistance
from control.clearance.params import Clearance, ClearanceParams, Obstacle
from control.clearance.shapes import tool_pieces
from datasets.arm.kinematics import Kinematics, pointing_down
from datasets.arm.model import ARM_JOINTS, TCP_SITE, arm_spec
from datasets.arm.tools import ToolParams
from datasets.common.errors import SafetyStop
from datasets.rig.projection import Array
from datasets.rig.rig import Rig

PLATE = "the base plate"
_STEP_M = 0.004
"""Length, m, of a straight way's pieces between two solutions of the inverse kinematics: near a singularity, longer
pieces lead to other joints at the end of the way."""
_MISSED_M = 1e-3
_NEARER_M = 1e-6
_LEAVING_TOLERANCE_M = 5e-4
_RESERVE_M = 1e-4
"""Reserve above the margin, m, within which nothing is approached, so that a way out can be proven to stay outside the
margin."""
_ITERATIONS = 2
_HALVINGS = 10
_LESS = 0.7
"""Factor on the scale for a second try where a velocity is kept: there the distance falls less evenly, because of what
the arm does at its present speed."""
_CUTS_A_STEP = 3
_CUTS_LEAVING = 12
_DOWN = pointing_down()


@dataclass(frozen=True)
class Verdict:
    """The share of a displacement that may be sent, and why.

    Attributes:
        scale: factor on the displacement from the last target to the next, 0 to 1; 0: the arm may not go on that way.
        reason: what slows or stops it, in words with the pair's names; empty at full speed.
        clearance: the smallest distance during the whole motion, of the pairs that come within ``slow_from_m``.
    """

    scale: float
    reason: str
    clearance: Clearance


@dataclass(frozen=True)
class Way:
    """A way that was found clear: the joints ``(N, 7)`` rad along it, and its smallest distance."""

    joints_rad: Array
    clearance: Clearance


class ArmClearance:
    """Keeps the whole arm clear of the table, the base plate, boxes of the site, and itself. Not thread-safe.

    Between places the controller is taken to turn the joints as little as it can (the minimal norm solution,
    *assumed: elbow*), with the gripper pointing down at yaw 0: its maker does not state which of the many postures of
    seven joints it chooses. Everything else is a bound (:mod:`control.clearance.distance`).

    Args:
        rig: the home posture and the tool.
        obstacles: boxes of the site in the base frame.
        table_z_m: height of the table in the base frame; the base plate reaches from there to the base's underside.
        params: margins and where to slow down.
        tool: boxes in the flange's frame around what is held besides the tool.
        keeps_velocity_s: how long the arm keeps the velocity of a command if no other command follows, s; 0 where a
            command is a target, at which the arm comes to rest by itself.

    Raises:
        SafetyStop: the table's height is not a finite number, or above 0.1 m.
    """

    def __init__(
        self,
        rig: Rig,
        obstacles: Sequence[Obstacle] = (),
        table_z_m: float = 0.0,
        params: ClearanceParams | None = None,
        tool: Sequence[Obstacle] = (),
        keeps_velocity_s: float = 0.0,
    ) -> None:
        if not np.isfinite(table_z_m) or table_z_m > 0.1:
            raise SafetyStop(f"the table's height must be a number of at most 0.1 m in the base frame, got {table_z_m}")
        self.params, self.rig, self.keeps_velocity_s = params or ClearanceParams(), rig, keeps_velocity_s
        self.obstacles, self.table_z_m, self.tool = tuple(obstacles), table_z_m, tuple(tool)
        half = self.params.plate_half_width_m
        plate = [Obstacle(PLATE, (-half, -half, table_z_m), (half, half, 0.0))] if table_z_m < 0 else []
        itself_m = self.params.itself_slow_from_m
        mounted = ToolParams.load(rig.tool)
        self._distance = ArmDistance([*obstacles, *plate], table_z_m, tool_pieces(tool), itself_m, mounted)
        self._kinematics = Kinematics(rig.tool.tcp_offset_m)
        self._low, self._high = self._kinematics.joint_limits.T
        self._model = arm_spec("own", mounted, shapes=False).compile()
        self._data = mujoco.MjData(self._model)
        self._joints = np.array([self._model.joint(name).qposadr[0] for name in ARM_JOINTS])
        self._dofs = np.array([self._model.joint(name).dofadr[0] for name in ARM_JOINTS])
        self._site = self._model.site(TCP_SITE).id
        self._jacobian = np.zeros((6, self._model.nv))

    @property
    def distance(self) -> ArmDistance:
        """The shapes by which distances are judged."""
        return self._distance

    def allowing_for(self, overshoot_m: float, keeps_velocity_s: float = 0.0) -> "ArmClearance":
        """The same for an arm that overshoots its targets by ``overshoot_m`` and may keep a command's velocity."""
        params = self.params.allowing_for(overshoot_m)
        return ArmClearance(self.rig, self.obstacles, self.table_z_m, params, self.tool, keeps_velocity_s)

    def require_home(self) -> Clearance:
        """The smallest distance at home; raises SafetyStop naming what is within the margin there."""
        home = self.nearest(self.rig.home_joints_rad)
        if home.distance_m < self.params.margin_m:
            raise SafetyStop(
                f"at home {home}, {self.params.margin_m * 1000:.0f} mm are asked; correct keep_out in the site file, "
                "the table's height, or the rig's home posture"
            )
        return home

    def nearest(self, joints_rad: ArrayLike, within_m: float = 1.0) -> Clearance:
        """The smallest distance below ``within_m`` at joints ``(7,)``; raises SafetyStop if these are not finite.

        Links of the arm count only where they are nearer to each other than ``itself_slow_from_m``.
        """
        return self._distance.nearest(_finite(joints_rad, (7,), "joints"), within_m)

    def along(self, joints_rad: ArrayLike) -> Clearance:
        """A lower bound of the distances within ``slow_from_m`` along a way ``(N, 7)``, straight in joint space.

        It holds between the given joints too, and is exact to half a millimetre where it falls below the margin.
        """
        return self._distance.along(joints_rad, self.params.margin_m, self.params.slow_from_m)

    def step(
        self, joints_rad: ArrayLike, target_m: ArrayLike, next_target_m: ArrayLike, speed_m_s: float = 0.0
    ) -> Verdict:
        """Returns how much of the displacement from the last target to the next one may be sent.

        Checks everything between the arm's present place, its last target and its next one, and the further distance
        that it needs to stop from its present speed. Motion away from what is near is never slowed or stopped.

        Args:
            joints_rad: the encoders' joints ``(7,)``.
            target_m: the last target of the TCP ``(3,)``, inside the fence.
            next_target_m: the next ``(3,)``, inside the fence.
            speed_m_s: of the TCP at present.

        Raises:
            SafetyStop: an argument is not finite.
        """
        now = _finite(joints_rad, (7,), "joints")
        target, following = _finite(target_m, (3,), "target"), _finite(next_target_m, (3,), "next target")
        speed_m_s = float(_finite(speed_m_s, (), "speed"))
        at_target = self._brought(now, target)
        at_next = self._brought(at_target, following)
        scale, reason = self._posture_scale(at_target, at_next)
        further, verdict = self._distance_scale(now, target, following, at_target, at_next, speed_m_s)
        return verdict if further <= scale else Verdict(scale, reason, verdict.clearance)

    def way(self, joints_rad: ArrayLike, points_m: ArrayLike) -> Way:
        """The way on straight lines of the TCP from its place at joints ``(7,)`` through points ``(N, 3)``, if clear.

        A way may begin within the margin if it leads out of it.

        Raises:
            SafetyStop: the way comes too near to something, to a singularity or to a joint's limit, or cannot be
                followed with the gripper pointing down; the message says what, where, and how far along the way.
        """
        joints = [_finite(joints_rad, (7,), "joints")]
        here = self._kinematics.tcp(joints[0])
        points = np.atleast_2d(np.asarray(points_m, dtype=float))
        for point in _finite(points, (len(points), 3), "points"):
            count = max(1, int(np.ceil(np.linalg.norm(point - here) / _STEP_M)))
            for part in np.linspace(here, point, count + 1)[1:]:
                joints.append(self._brought(joints[-1], part))
                missed = float(np.linalg.norm(self._kinematics.tcp(joints[-1]) - part))
                if missed > _MISSED_M:
                    raise SafetyStop(
                        f"no joints bring the TCP to {_point(part)} m with the gripper pointing down: "
                        f"{missed * 1000:.0f} mm are missing"
                    )
                scale, reason = self._posture_scale(joints[-2], joints[-1])
                if scale == 0:
                    raise SafetyStop(f"at {_point(part)} m {reason}")
            here = point
        return self._clear(np.array(joints))

    def turn(self, joints_rad: ArrayLike, to_rad: ArrayLike) -> Way:
        """The straight way in joint space from joints ``(7,)`` to others ``(7,)``; raises SafetyStop as :meth:`way`."""
        return self._clear(np.stack([_finite(joints_rad, (7,), "joints"), _finite(to_rad, (7,), "joints")]))

    def _clear(self, joints: Array) -> Way:
        start = self._distance.nearest(joints[0], self.params.slow_from_m)
        needed = min(self.params.margin_m, start.distance_m - _LEAVING_TOLERANCE_M)
        worst = start
        for corners in pairwise(joints):
            found = self._distance.certified(np.stack(corners), needed, self.params.slow_from_m)
            if found.distance_m < needed:
                where = _point(self._kinematics.tcp(corners[1]))
                raise SafetyStop(
                    f"on the way to {where} m {found}, {self.params.margin_m * 1000:.0f} mm are asked; choose another "
                    "goal, or go there over another point"
                )
            worst = min(worst, found, key=lambda clearance: clearance.distance_m)
        return Way(joints, worst)

    def _distance_scale(
        self, now: Array, target: Array, following: Array, at_target: Array, at_next: Array, speed_m_s: float
    ) -> tuple[float, Verdict]:
        params, distance = self.params, self._distance
        beyond = self._beyond(now, target, following, at_next, speed_m_s)
        whole, at = distance.between_and_at(np.stack([now, at_target, beyond]), params.slow_from_m)
        if whole.distance_m >= params.slow_from_m:
            return 1.0, Verdict(1.0, "", whole)
        room, left = np.minimum(at[1:], params.slow_from_m).tolist()
        leaves = left >= room - _NEARER_M
        if (leaves or room == params.slow_from_m) and whole.distance_m >= params.margin_m:
            return 1.0, Verdict(1.0, "", whole)
        needed, closely = params.margin_m + _RESERVE_M, (_CUTS_A_STEP, _LEAVING_TOLERANCE_M)
        if leaves:
            start = min(distance.nearest(joints, params.slow_from_m).distance_m for joints in (now, at_target))
            needed = params.margin_m if start >= params.margin_m else start - _LEAVING_TOLERANCE_M
            closely = _CUTS_LEAVING, _RESERVE_M / 10
            corners = np.stack([now, at_target, beyond])
            if distance.certified(corners, needed, params.slow_from_m, *closely).distance_m >= needed:
                return 1.0, Verdict(1.0, "", whole)
        # On such a short way the distance falls about evenly: go as far as the margin, or hardly at all.
        ramp = (room - params.margin_m) / (params.slow_from_m - params.margin_m)
        falls_m = max(room - left, _NEARER_M)
        if self.keeps_velocity_s:
            step_m = max(float(np.linalg.norm(following - target)), _NEARER_M)
            behind_m = float((target - self._kinematics.tcp(now)) @ (following - target)) / step_m
            within = (room - needed - _LEAVING_TOLERANCE_M) / falls_m
            most = min(ramp, self._kept_scale(step_m, behind_m, within, speed_m_s))
            tried = [most, most * _LESS, 0.0]
        else:
            tried = [min(ramp, (room - params.margin_m) / falls_m), 0.0]
        for scale in sorted({min(1.0, max(params.least_scale, each)) for each in tried}, reverse=True):
            part = target + scale * (following - target)
            at_part = self._brought(at_target, part)
            rest = self._beyond(now, target, part, at_part, speed_m_s)
            way, on = rest - at_target, beyond - at_target
            share = min(max(float(way @ on) / max(float(on @ on), _NEARER_M**2), 0.0), 1.0)
            if whole.distance_m - distance.farthest_m(way - share * on) >= needed:
                found = whole  # almost a mixture of joints that are already proven clear
            else:
                corners = np.stack([now, at_target, rest])
                found = distance.certified(corners, needed, params.slow_from_m, *closely)
            if found.distance_m >= needed:
                return scale, Verdict(scale, f"slowed: {found}" if scale < 1 else "", found)
        return 0.0, Verdict(0.0, f"{found}, {params.margin_m * 1000:.0f} mm are asked", found)

    def _kept_scale(self, step_m: float, behind_m: float, share: float, speed_m_s: float) -> float:
        """The largest scale of a step at which the arm goes no farther than a ``share`` of what the whole step causes.

        The distance that the present speed causes does not shrink with the step; the distance that the command's
        velocity causes shrinks with the step and its square.

        Args:
            step_m: length from the last target to the next.
            behind_m: how far the arm is behind its last target; below 0: beyond it.
            share: largest share of the distance beyond the last target to which the whole step would bring the arm.
            speed_m_s: present speed of the TCP.
        """

        def beyond_m(scale: float) -> float:
            return max(scale * step_m, self._stopping(scale * step_m, speed_m_s) - behind_m)

        low, high, within_m = 0.0, 1.0, share * beyond_m(1.0)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if beyond_m(middle) <= within_m else (low, middle)
        return low

    def _beyond(self, now: Array, target: Array, following: Array, at_following: Array, speed_m_s: float) -> Array:
        """Joints at the earliest place where the arm can come to rest on its way to a target: there or beyond it."""
        stopping = self._stopping(float(np.linalg.norm(following - target)), speed_m_s)
        to_go = following - self._kinematics.tcp(now)
        distance = float(np.linalg.norm(to_go))
        if stopping <= distance or distance < _NEARER_M:
            return at_following
        return self._brought(at_following, following + to_go * (stopping / distance - 1))

    def _stopping(self, step_m: float, speed_m_s: float) -> float:
        """Distance, m, before the arm can stop: it reacts late, may keep the command's velocity, and brakes."""
        params = self.params
        commanded_m_s = step_m * self.rig.rate_hz if self.keeps_velocity_s else 0.0
        braking = max(speed_m_s, commanded_m_s) ** 2 / (2 * params.braking_m_s2)
        return speed_m_s * params.reaction_s + commanded_m_s * self.keeps_velocity_s + braking

    def _posture_scale(self, now: Array, following: Array) -> tuple[float, str]:
        """The share of the speed that a singularity or a joint's limit permits, and the reason."""
        params = self.params
        condition = self.condition(following)
        singular = limited = 1.0
        if condition > params.singularity_slow and condition > self.condition(now):
            singular = (params.singularity_stop - condition) / (params.singularity_stop - params.singularity_slow)
        rooms = np.minimum(now - self._low, self._high - now), np.minimum(following - self._low, self._high - following)
        joint = int(np.argmin(rooms[1]))
        if rooms[1][joint] < min(params.joint_slow_from_rad, rooms[0][joint] - 1e-9):
            limited = (rooms[1][joint] - params.joint_limit_margin_rad) / (
                params.joint_slow_from_rad - params.joint_limit_margin_rad
            )
        if min(singular, limited) == 1:
            return 1.0, ""
        if singular <= limited:
            most = params.singularity_stop
            reason = f"the arm is near a singularity (condition number {condition:.0f}, at most {most:g})"
        else:
            reason = f"{ARM_JOINTS[joint]} is {np.degrees(rooms[1][joint]):.0f} deg from its limit"
        scale = min(singular, limited)
        return (max(scale, params.least_scale) if scale > 0 else 0.0), reason

    def condition(self, joints_rad: Array) -> float:
        """Condition number of the TCP's Jacobian, largest over smallest singular value, m and rad side by side."""
        model, data, jacobian = self._model, self._data, self._jacobian
        data.qpos[self._joints] = joints_rad
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_jacSite(model, data, jacobian[:3], jacobian[3:], self._site)
        values = np.linalg.svd(jacobian[:, self._dofs], compute_uv=False)
        return float(values[0] / max(values[-1], 1e-12))

    def _brought(self, joints: Array, xyz_m: Array) -> Array:
        """Joints ``(7,)`` near the given ones that bring the TCP to a point, with the gripper pointing down."""
        return self._kinematics.approach(joints, xyz_m, _DOWN, iterations=_ITERATIONS)


def _finite(values: ArrayLike, shape: tuple[int, ...], what: str) -> Array:
    array = np.asarray(values, dtype=float)
    if array.shape != shape or not np.isfinite(array).all():
        raise SafetyStop(f"the {what} must be finite numbers of shape {shape}, got {array.tolist()}")
    return array


def _point(xyz_m: Array) -> str:
    return "(" + ", ".join(f"{value:.3f}" for value in xyz_m) + ")"
