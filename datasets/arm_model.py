"""The xArm7 with its gripper as a MuJoCo specification: the project's own, or the official meshes when at hand."""

from pathlib import Path
from typing import Literal

import mujoco

ArmName = Literal["own", "menagerie"]

ARM_JOINTS = tuple(f"joint{i}" for i in range(1, 8))
GRIPPER_JOINTS = tuple(
    f"{side}_{part}_joint" for side in ("left", "right") for part in ("driver", "finger", "inner_knuckle")
)
"""All six turn by the same angle: the gripper's linkage is a parallelogram (0 open at 85 mm .. 0.85 rad closed)."""
GRIPPER_CLOSED_RAD = 0.85
TCP_SITE = "link_tcp"

_OWN_XML = Path(__file__).with_name("xarm7.xml")


def arm_spec(arm: ArmName = "own") -> mujoco.MjSpec:
    """The arm alone, its base frame at the origin; joints ``ARM_JOINTS`` and ``GRIPPER_JOINTS``, site ``TCP_SITE``."""
    spec = mujoco.MjSpec.from_file(str(_OWN_XML))

    # provisional shapes
    def capsule(body: str, a: list[float], b: list[float], r: float) -> None:
        spec.body(body).add_geom(type=mujoco.mjtGeom.mjGEOM_CAPSULE, fromto=a + b, size=[r, 0, 0], rgba=[1, 1, 1, 1])

    capsule("link_base", [0, 0, 0.05], [0, 0, 0.2], 0.06)
    capsule("link1", [0, 0, -0.05], [0, 0, 0.0], 0.055)
    capsule("link2", [0, 0, 0], [0, -0.2, 0], 0.05)
    capsule("link3", [0, 0, -0.05], [0.0525, 0, 0], 0.05)
    capsule("link4", [0, 0, 0], [0.0775, -0.2, 0], 0.045)
    capsule("link5", [0, 0, -0.1], [0, 0, 0], 0.045)
    capsule("link6", [0, 0, 0], [0.076, 0.05, 0], 0.04)
    capsule("xarm_gripper_base_link", [0, 0, 0.02], [0, 0, 0.06], 0.035)
    for side in ("left", "right"):
        s = 1 if side == "left" else -1
        capsule(f"{side}_finger", [0, -s * 0.02, 0.01], [0, -s * 0.02, 0.055], 0.01)
    return spec
