"""The fence: where the TCP may be sent, how far in one step; and what must hold before the arm may move at all."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from control.arms.arm import Vector
from control.arms.params import ArmParams
from datasets.arm.kinematics import Kinematics
from datasets.arm.tools import ToolParams
from datasets.common.errors import ConfigError, SafetyStop
from datasets.rig.rig import Rig, Tool

REACH_M = 0.7
"""Largest horizontal distance from the base axis, m (xArm user manual, technical specifications: X and Y +-700 mm)."""
TOP_M = 0.9515
"""Largest height, m (same table: Z -400..951.5 mm)."""
KEEP_OUT_M = 0.2
"""Least horizontal distance from the base axis, m: room for the base with the gripper beside it, and a margin
(*assumed: keep-out*)."""
LEAST_REACHED = 2 / 3
"""Least share of the box that the arm must reach with the gripper pointing down, judged on an even grid of ``GRID``
points along each axis."""
GRID = 4
TABLE_CLEARANCE_M = 0.02
"""Least height, m, above the table at z = 0 at which the controller's boundary and the watch act; the box lies a margin
higher.

The fingers' tips lie at the TCP, and 7.5 mm below it where the tool leans by 20 degrees.
"""


@dataclass(frozen=True)
class Fence:
    """A box and a step limit for commanded TCP positions.

    Attributes:
        low_m: lower corner ``(3,)`` in the base frame.
        high_m: upper corner ``(3,)``.
        max_displacement_m: largest norm of one displacement.
        max_change_m: largest norm of the difference of successive displacements, or None. At a face of the box the
            target may stop harder than this: never outside outranks smooth.
        margin_m: how far outside the box the controller's own boundary lies, and the watch stops the arm.
    """

    low_m: Vector
    high_m: Vector
    max_displacement_m: float
    max_change_m: float | None = None
    margin_m: float = ArmParams.controller_margin_m

    @classmethod
    def from_rig(cls, rig: Rig, params: ArmParams | None = None, max_speed_m_s: float | None = None) -> "Fence":
        """Makes the fence of the rig's workspace, reduced by the margin of ``params`` on every side.

        ``max_speed_m_s`` can only lower the rig's speed.

        Raises:
            SafetyStop: the margin leaves nothing of the box, or the speed is not a positive number.
        """
        params = params or ArmParams()
        low = np.asarray(rig.workspace.low + params.fence_margin_m, dtype=float)
        high = np.asarray(rig.workspace.high - params.fence_margin_m, dtype=float)
        if not np.all(low < high):
            raise SafetyStop(f"fence_margin_m {params.fence_margin_m} leaves nothing of the workspace; make it smaller")
        step = rig.max_displacement_m
        if max_speed_m_s is not None:
            if not (np.isfinite(max_speed_m_s) and max_speed_m_s > 0):
                raise SafetyStop(f"the speed limit must be a positive number of m/s, got {max_speed_m_s}")
            step = min(step, max_speed_m_s / rig.rate_hz)
        return cls(low, high, step, params.max_displacement_change_m, params.controller_margin_m)

    @property
    def least_height_m(self) -> float:
        """Least height of the box above the table, m."""
        return self.margin_m + TABLE_CLEARANCE_M

    def contains(self, xyz_m: ArrayLike, tolerance_m: float = 0.0) -> bool:
        """Whether a point lies in or on the box; False for a point that is not finite."""
        xyz = np.asarray(xyz_m, dtype=float)
        return bool(np.all(xyz >= self.low_m - tolerance_m) and np.all(xyz <= self.high_m + tolerance_m))

    def next_target(self, target_m: Vector, displacement_m: ArrayLike, last_m: ArrayLike | None = None) -> Vector:
        """The target ``(3,)`` after a requested displacement, kept inside the box and within the step limit.

        Args:
            target_m: the last target, inside the box.
            displacement_m: the displacement requested, ``(3,)``.
            last_m: the displacement sent before, for the limit on its change. A displacement of zero is not limited:
                whoever asks the arm to stay must not get another step.

        Raises:
            SafetyStop: a displacement is not three finite numbers, or the last target is not inside.
        """
        wished = np.asarray(displacement_m, dtype=float)
        if wished.shape != (3,) or not np.isfinite(wished).all():
            raise SafetyStop(f"the commanded displacement {wished.tolist()} is not three finite numbers; the arm stops")
        if not self.contains(target_m):
            raise SafetyStop(f"the last target {_point(target_m)} lies outside the fence; home the arm first")
        if self.max_change_m is not None and last_m is not None and wished.any():
            last = np.asarray(last_m, dtype=float)
            if last.shape != (3,) or not np.isfinite(last).all():
                raise SafetyStop(f"the displacement sent before, {last.tolist()}, is not three finite numbers")
            wished = last + _limit(_limit(wished, self.max_displacement_m) - last, self.max_change_m)
        # The box is convex and holds the last target, so clipping to it cannot lengthen the step.
        return np.clip(target_m + _limit(wished, self.max_displacement_m), self.low_m, self.high_m)


def check_start(rig: Rig, fence: Fence) -> ToolParams:
    """Checks what must hold before connecting; returns the rig's tool.

    Raises:
        SafetyStop: the box is empty, beyond the arm's reach, at its base or at the table; the tool is unknown.
    """
    if not np.all(fence.low_m < fence.high_m):
        raise SafetyStop("the fence is empty; give workspace bounds in params/rig.yaml")
    farthest = float(np.hypot(*np.maximum(np.abs(fence.low_m[:2]), np.abs(fence.high_m[:2]))))
    if farthest > REACH_M or fence.high_m[2] > TOP_M:
        raise SafetyStop(
            f"the fence reaches {farthest:.2f} m from the base axis and {fence.high_m[2]:.2f} m up, beyond the xArm7's "
            f"{REACH_M} m and {TOP_M} m; shrink the workspace in params/rig.yaml"
        )
    nearest = float(np.hypot(*np.maximum(0, np.maximum(fence.low_m[:2], -fence.high_m[:2]))))
    if nearest < KEEP_OUT_M:
        raise SafetyStop(
            f"the fence comes within {nearest:.2f} m of the base axis, where the arm itself stands; "
            f"keep it {KEEP_OUT_M} m away: shrink the workspace in params/rig.yaml"
        )
    if fence.low_m[2] < fence.least_height_m:
        raise SafetyStop(
            f"the fence begins {fence.low_m[2]:.3f} m above the table, and the controller's boundary "
            f"{fence.margin_m:g} m (controller_margin_m) below it; "
            f"raise workspace.z_m to {fence.least_height_m:g} m or more"
        )
    reached = _reached(fence, rig)
    if reached < LEAST_REACHED:
        raise SafetyStop(
            f"the arm reaches only {reached:.0%} of the fence with its tool down, {LEAST_REACHED:.0%} are asked; "
            "shrink the workspace in params/rig.yaml"
        )
    return known_tool(rig.tool)


def _reached(fence: Fence, rig: Rig) -> float:
    """The share of an even grid over the box that joints reach."""
    kinematics = Kinematics(rig.tool.tcp_offset_m)
    axes = np.linspace(fence.low_m, fence.high_m, GRID).T
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    return float(np.mean([kinematics.is_reachable(point, rig.home_joints_rad) for point in points]))


def known_tool(tool: Tool) -> ToolParams:
    """The tool's file, whose TCP agrees with the rig's; raises SafetyStop when there is none or they differ."""
    try:
        return ToolParams.load(tool)
    except ConfigError as error:
        raise SafetyStop(str(error)) from error


def check_tcp(fence: Fence, tcp_m: Vector) -> None:
    """Raises SafetyStop unless the TCP lies inside the fence."""
    if not fence.contains(tcp_m):
        raise SafetyStop(
            f"the TCP is at {_point(tcp_m)} m, outside the fence {_point(fence.low_m)} .. {_point(fence.high_m)}; "
            "move the arm into it by hand or with the vendor's studio, then start again"
        )


def _limit(vector: Vector, norm: float) -> Vector:
    """The vector, shortened to ``norm`` where it is longer; safe for any finite input."""
    largest = float(np.max(np.abs(vector)))
    if largest <= norm / 2:
        return vector
    unit = vector / largest
    length = float(np.linalg.norm(unit))
    return vector if largest * length <= norm else unit * (norm / length)


def _point(xyz_m: ArrayLike) -> str:
    return "(" + ", ".join(f"{value:.3f}" for value in np.asarray(xyz_m, dtype=float)) + ")"
