"""Forward and inverse kinematics of the xArm7, and which points it reaches with the gripper pointing down."""

from dataclasses import replace
from functools import cached_property
from typing import cast

import mink
import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

from datasets.arm.model import ARM_JOINTS, TCP_SITE, arm_spec
from datasets.arm.tools import ToolParams
from datasets.common.errors import Sim2RealError
from datasets.rig.projection import Array
from datasets.rig.rig import Joints, Rig, Tool

POSITION_TOLERANCE_M = 1e-3
TILT_TOLERANCE_RAD = 0.03
DAMPING = 0.02
"""Damping of :meth:`Kinematics.approach`: enough for a stretched arm, and a few steps still reach the millimetre."""


class ReachError(Sim2RealError):
    """No joint position brings the TCP there with the gripper pointing down."""


def pointing_down(yaw_rad: float = 0.0, tilt_rad: ArrayLike = (0.0, 0.0)) -> Array:
    """Rotation (3x3) of a TCP whose z axis points to the table.

    ``yaw_rad`` 0 is the orientation of the rig's home; ``tilt_rad`` are small rotations about the base's x and y axes.
    """
    c, s = np.cos(yaw_rad), np.sin(yaw_rad)
    down = np.array([[-c, s, 0.0], [s, c, 0.0], [0.0, 0.0, -1.0]])
    tilt = mink.SO3.exp(np.array([*np.asarray(tilt_rad, dtype=float), 0.0])).as_matrix()
    return tilt @ down


class Kinematics:
    """The arm's chain from the base to the TCP, without shapes, physics or gripper motion.

    Not thread-safe: each user keeps an instance of its own.

    Args:
        tcp_offset_m: place of the mounted tool's TCP along flange z; None: our model's gripper, 0.172 m.
    """

    def __init__(self, tcp_offset_m: float | None = None) -> None:
        spec = arm_spec("own", shapes=False)
        if tcp_offset_m is not None:
            spec.site(TCP_SITE).pos = [0.0, 0.0, tcp_offset_m]
        self._model = spec.compile()
        self._configuration = mink.Configuration(self._model)
        self._pose_task = mink.FrameTask(TCP_SITE, "site", position_cost=1.0, orientation_cost=0.3)
        self._posture_task = mink.PostureTask(self._model, cost=1e-3)
        self._limits = [mink.ConfigurationLimit(self._model)]
        self._joint_ids = np.array([self._model.joint(name).qposadr[0] for name in ARM_JOINTS])
        self._dof_ids = np.array([self._model.joint(name).dofadr[0] for name in ARM_JOINTS])
        self._site_id = self._model.site(TCP_SITE).id
        self._jacobian = np.zeros((6, self._model.nv))

    @cached_property
    def joint_limits(self) -> Array:
        """Lower and upper limits, shape ``(7, 2)`` rad (xArm user manual)."""
        return np.array([self._model.joint(name).range for name in ARM_JOINTS])

    def tcp_pose(self, joints_rad: ArrayLike) -> Array:
        """``T_base_tcp`` (4x4) at seven joint angles."""
        self._place(joints_rad)
        return self._configuration.get_transform_frame_to_world(TCP_SITE, "site").as_matrix()

    def tcp(self, joints_rad: ArrayLike) -> Array:
        """TCP position ``(3,)`` m in the base frame."""
        return self.tcp_pose(joints_rad)[:3, 3]

    def tcps(self, joints_rad: ArrayLike) -> NDArray[np.float64]:
        """TCP positions ``(N, 3)`` m in the base frame, at joints ``(N, 7)`` rad."""
        return np.array([self.tcp(joints) for joints in np.asarray(joints_rad)], dtype=float)

    def step(
        self, joints_rad: ArrayLike, xyz_m: ArrayLike, rotation: ArrayLike | None = None, iterations: int = 1
    ) -> Array:
        """Joints after ``iterations`` differential-IK steps from ``joints_rad`` towards a pose, inside the limits.

        ``rotation`` (3x3) defaults to pointing down with zero yaw, as the controller holds it during Cartesian motion.
        """
        target = np.eye(4)
        target[:3, :3] = pointing_down() if rotation is None else rotation
        target[:3, 3] = xyz_m
        self._place(joints_rad)
        self._pose_task.set_target(mink.SE3.from_matrix(target))
        self._posture_task.set_target(self._configuration.q)
        for _ in range(iterations):
            velocity = mink.solve_ik(
                self._configuration,
                [self._pose_task, self._posture_task],
                1.0,
                "daqp",
                damping=1e-6,
                limits=self._limits,
            )
            self._configuration.integrate_inplace(velocity, 1.0)
        return self._configuration.q[self._joint_ids].copy()

    def approach(self, joints_rad: Array, xyz_m: Array, rotation: Array, iterations: int = 4) -> Array:
        r"""Joints near ``joints_rad`` that bring the TCP about to a pose: a fifth of :meth:`step`'s time, less exact.

        Damped least squares, :math:`\Delta q = J^T (J J^T + \lambda^2 I)^{-1} e` (Buss, "Introduction to inverse
        kinematics with Jacobian transpose, pseudoinverse and damped least squares methods", 2009, eq. 11), clipped to
        the limits. It serves for drawing random postures, where the pose reached matters, not the one asked for.
        """
        model, data, jacobian = self._model, self._configuration.data, self._jacobian
        low, high = self.joint_limits.T
        joints = np.clip(joints_rad, low, high)
        place, turn = data.site_xpos[self._site_id], data.site_xmat[self._site_id].reshape(3, 3)
        error, solution = np.empty(6), np.empty(6)
        for _ in range(iterations):
            data.qpos[self._joint_ids] = joints
            mujoco.mj_kinematics(model, data)
            mujoco.mj_comPos(model, data)
            mujoco.mj_jacSite(model, data, jacobian[:3], jacobian[3:], self._site_id)
            error[:3] = xyz_m - place
            across = rotation @ turn.T
            error[3] = (across[2, 1] - across[1, 2]) / 2
            error[4] = (across[0, 2] - across[2, 0]) / 2
            error[5] = (across[1, 0] - across[0, 1]) / 2
            square = jacobian @ jacobian.T
            square.flat[::7] += DAMPING**2
            mujoco.mju_cholFactor(square, 0.0)
            mujoco.mju_cholSolve(solution, square, error)
            joints = np.minimum(np.maximum(joints + (jacobian.T @ solution)[self._dof_ids], low), high)
        return joints

    def solve(self, xyz_m: ArrayLike, near_rad: ArrayLike, rotation: ArrayLike | None = None) -> Array:
        """Joints ``(7,)`` rad that bring the TCP to ``xyz_m`` with ``rotation`` (default: straight down, zero yaw).

        Raises:
            ReachError: position misses by more than 1 mm or orientation by more than 0.03 rad.
        """
        wanted = pointing_down() if rotation is None else np.asarray(rotation, dtype=float)
        joints = np.asarray(near_rad, dtype=float)
        for _ in range(12):
            joints = self.step(joints, xyz_m, wanted, iterations=5)
            pose = self.tcp_pose(joints)
            distance = float(np.linalg.norm(pose[:3, 3] - np.asarray(xyz_m)))
            angle = float(np.arccos(np.clip((np.trace(wanted.T @ pose[:3, :3]) - 1) / 2, -1, 1)))
            if distance < POSITION_TOLERANCE_M / 10 and angle < TILT_TOLERANCE_RAD / 10:
                break
        if distance > POSITION_TOLERANCE_M or angle > TILT_TOLERANCE_RAD:
            point = np.round(np.asarray(xyz_m, dtype=float), 3).tolist()
            raise ReachError(
                f"point {point} m is not reachable with the gripper pointing down: inverse kinematics ends "
                f"{distance * 1000:.0f} mm and {np.degrees(angle):.0f} deg away; choose a point nearer to home"
            )
        return joints

    def is_reachable(self, xyz_m: ArrayLike, near_rad: ArrayLike) -> bool:
        """Whether :meth:`solve` finds joints for the point, pointing straight down."""
        try:
            self.solve(xyz_m, near_rad)
        except ReachError:
            return False
        return True

    def _place(self, joints_rad: ArrayLike) -> None:
        q = np.zeros(self._model.nq)
        q[self._joint_ids] = joints_rad
        self._configuration.update(q)


def wearing(rig: Rig, name: str) -> Rig:
    """The rig with the tool of that name mounted, its home posture such that the TCP is where it was at home.

    Raises:
        ConfigError: there is no such tool, or its file does not fit.
        ReachError: no posture with the tool pointing down has its TCP there.
    """
    if name == rig.tool.name:
        return rig
    tool = Tool(name, ToolParams.load(name).tcp_m)
    home = Kinematics(rig.tool.tcp_offset_m).tcp(rig.home_joints_rad)
    joints = Kinematics(tool.tcp_offset_m).solve(home, rig.home_joints_rad)
    return replace(rig, tool=tool, home_joints_rad=cast(Joints, tuple(np.round(joints, 4).tolist())))
