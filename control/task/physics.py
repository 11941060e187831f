"""The planner's reference carried out by position-controlled joints in MuJoCo."""

import mujoco
import numpy as np

from control.task.dynamics import SUBSTEP_S, ArmDynamics, DynamicsParams, KinematicArm, PlannedArm, ResponseArm
from datasets.arm.kinematics import Kinematics
from datasets.arm.model import ARM_ACTUATORS, ARM_JOINTS, TCP_SITE, arm_spec
from datasets.common.errors import ConfigError
from datasets.rig.projection import Array
from datasets.rig.rig import Rig

TIMESTEP_S = 0.002
GRAVITY_M_S2 = 9.81


class PhysicsArm(PlannedArm):
    """An arm whose seven joint servos follow the inverse kinematics of the planner's reference at every substep.

    Lag, sag under an unknown payload and coupling between joints come from the simulation; ``lag_s`` is not used. The
    gripper points straight down at home's yaw, and its fingers do not move.
    """

    def __init__(self, params: DynamicsParams, rig: Rig) -> None:
        super().__init__(params, 1 / rig.rate_hz)
        spec = arm_spec("own", shapes=False)
        spec.option.timestep = TIMESTEP_S
        self._model = spec.compile()
        self._data = mujoco.MjData(self._model)
        self._kinematics = Kinematics(rig.tool.tcp_offset_m)
        self._home = np.array(rig.home_joints_rad)
        self._joints = np.array([self._model.joint(name).qposadr[0] for name in ARM_JOINTS])
        self._servos = np.array([self._model.actuator(name).id for name in ARM_ACTUATORS])
        self._site = self._model.site(TCP_SITE).id
        self._hand = int(self._model.site_bodyid[self._site])
        self._gains = self._model.actuator_gainprm[self._servos].copy()
        self._biases = self._model.actuator_biasprm[self._servos].copy()
        self._hand_kg = float(self._model.body_mass[self._hand])

    def reset(self, tcp: Array, rng: np.random.Generator) -> None:
        """Stand still with ``tcp`` as the target, and draw this episode's arm and camera."""
        super().reset(tcp, rng)
        gain, payload = rng.uniform(*self._params.servo_gain), rng.uniform(*self._params.payload_kg)
        self._model.actuator_gainprm[self._servos] = gain * self._gains
        self._model.actuator_biasprm[self._servos] = gain * self._biases
        self._model.body_mass[self._hand] = self._hand_kg + payload
        mujoco.mj_resetData(self._model, self._data)
        self._wanted = self._kinematics.solve(tcp, self._home)
        self._data.qpos[self._joints] = self._wanted
        self._data.ctrl[self._servos] = self._wanted
        # Gravity compensation scales with a body's mass: only a separate force hides the payload from it.
        self._data.xfrc_applied[self._hand, 2] = -payload * GRAVITY_M_S2
        for _ in range(round(0.5 / TIMESTEP_S)):
            mujoco.mj_step(self._model, self._data)
        here = self._data.site_xpos[self._site] + self._offset
        self._path.clear()
        self._path.extend([here, here])

    def _follow(self, reference: Array) -> Array:
        self._wanted = self._kinematics.step(self._wanted, reference)
        self._data.ctrl[self._servos] = self._wanted
        for _ in range(round(SUBSTEP_S / TIMESTEP_S)):
            mujoco.mj_step(self._model, self._data)
        return self._data.site_xpos[self._site] + self._offset


def make_dynamics(params: DynamicsParams, rig: Rig) -> ArmDynamics:
    """The arm that ``params.model`` names; raises ConfigError if there is none of that name."""
    if params.model == "kinematic":
        return KinematicArm(params, 1 / rig.rate_hz)
    if params.model == "response":
        return ResponseArm(params, 1 / rig.rate_hz)
    if params.model == "physics":
        return PhysicsArm(params, rig)
    raise ConfigError(f"dynamics.model must be kinematic, response or physics, got {params.model}")
