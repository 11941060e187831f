"""Checks that a posture keeps the arm out of itself, its tool and the table; draws random postures that do.

It only answers yes or no, for drawing scenes. A real arm is kept clear by :mod:`control.clearance`, whose bounds are
proven.
"""

from dataclasses import replace
from itertools import pairwise

import mujoco
import numpy as np
from numpy.typing import ArrayLike

from datasets.arm.kinematics import Kinematics
from datasets.arm.model import ARM_JOINTS, FLANGE, GRIPPER_LINKS, add_surface, arm_spec, gripper_joints
from datasets.arm.shapes import load_shapes, mirrored
from datasets.arm.tools import ToolParams
from datasets.common.errors import ConfigError
from datasets.rig.projection import Array
from datasets.rig.rig import Tool, Workspace

LINKS = ("link_base", *(f"link{index}" for index in range(1, 8)))
MARGIN_M = 0.01
"""Least distance between links, and above the table, m."""
_ARM, _HAND = 1, 2
_MOST_DRAWS = 100_000


class FreePostures:
    """Postures of the own arm with a tool. Not thread-safe.

    Each convex solid of the arm is a geom of its own; pairs of links that are not neighbours may not come within
    ``MARGIN_M`` of each other, and no moving part within ``MARGIN_M`` of the table's plane, z = 0.
    """

    def __init__(self, tool: Tool) -> None:
        mounted = ToolParams.load(tool)
        spec = arm_spec("own", mounted, shapes=False)
        for body, lofts in load_shapes().items():
            for number, loft in enumerate(lofts):
                solid = replace(loft, mirror=None).triangles()
                for copy, surface in enumerate(
                    [solid] if loft.mirror is None else [solid, mirrored(solid, loft.mirror)]
                ):
                    for name in (body, body.replace("left_", "right_")) if body.startswith("left_") else (body,):
                        if spec.body(name) is not None:
                            side = surface if name == body else mirrored(surface, "y")
                            add_surface(spec, name, None, side, f"{name} {number} {copy}")
        for name, surface in mounted.parts():
            add_surface(spec, FLANGE, None, surface, f"tool {name}")
        for geom in spec.geoms:
            # The gripper's own parts touch each other.
            hand = geom.parent.name in GRIPPER_LINKS
            geom.contype, geom.conaffinity, geom.margin = (0 if hand else _ARM), _ARM, MARGIN_M
        for one, other in pairwise(LINKS):
            spec.add_exclude(bodyname1=one, bodyname2=other)
        spec.worldbody.add_geom(
            name="table",
            type=mujoco.mjtGeom.mjGEOM_PLANE,
            size=[1, 1, 1],
            contype=_ARM,
            conaffinity=_ARM,
            margin=MARGIN_M,
        )
        self._model = spec.compile()
        self._data = mujoco.MjData(self._model)
        self._joints = np.array([self._model.joint(name).qposadr[0] for name in ARM_JOINTS])
        self._gripper = gripper_joints(self._model)
        self._kinematics = Kinematics(tool.tcp_offset_m)
        low, high = self._kinematics.joint_limits.T
        # A joint that turns all the way round is limited to one turn, so that it takes every angle only once.
        self._low, self._high = np.maximum(low, -np.pi), np.minimum(high, np.pi)

    def holds(self, joints_rad: ArrayLike, gripper_rad: float = 0.0) -> bool:
        """Whether the arm at joints ``(7,)`` is free of itself, its tool and the table."""
        self._data.qpos[self._joints] = joints_rad
        self._data.qpos[self._gripper] = gripper_rad
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_collision(self._model, self._data)
        return self._data.ncon == 0

    def sample(self, rng: np.random.Generator, workspace: Workspace) -> tuple[Array, Array]:
        """Joints ``(7,)``, uniform between their limits, and TCP ``(3,)`` m; drawn until the TCP is in the box.

        Raises:
            ConfigError: none of very many postures has its TCP there.
        """
        for _ in range(_MOST_DRAWS):
            joints = rng.uniform(self._low, self._high)
            tcp = self._kinematics.tcp(joints)
            if workspace.contains(tcp) and self.holds(joints):
                return joints, tcp
        raise ConfigError(f"none of {_MOST_DRAWS} random postures brings the TCP into the workspace; widen workspace")
