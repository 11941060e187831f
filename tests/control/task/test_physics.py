import numpy as np
import pytest

from control.task.dynamics import DynamicsParams
from control.task.physics import PhysicsArm, make_dynamics
from datasets.arm.kinematics import Kinematics
from datasets.common.errors import ConfigError
from datasets.rig.rig import Rig


def drive(rig: Rig, periods: int = 15, **ranges) -> tuple[PhysicsArm, np.ndarray]:
    """An arm moved 0.1 m sideways in steps, then left to settle: the arm and its last target."""
    arm = PhysicsArm(DynamicsParams(model="physics", **ranges), rig)
    target = Kinematics().tcp(rig.home_joints_rad)
    arm.reset(target, np.random.default_rng(0))
    for period in range(periods):
        target = target + (np.array([0.0, 0.025, 0.0]) if period < 4 else np.zeros(3))
        arm.advance(target)
    return arm, target


def test_the_joints_bring_the_tcp_to_the_target(rig):
    arm, target = drive(rig)
    assert np.linalg.norm(arm.tcp - target) < 5e-4
    assert np.linalg.norm(arm.velocity) < 5e-3


def test_it_lags_and_soft_servos_lag_more(rig):
    stiff, target = drive(rig, periods=4)
    soft, _ = drive(rig, periods=4, servo_gain=(0.3, 0.3))
    assert 1e-3 < np.linalg.norm(stiff.tcp - target) < 0.05
    assert np.linalg.norm(soft.tcp - target) > np.linalg.norm(stiff.tcp - target)


def test_an_unknown_payload_pulls_it_down(rig):
    arm, target = drive(rig, payload_kg=(1.0, 1.0))
    assert 5e-4 < target[2] - arm.tcp[2] < 0.01
    assert np.linalg.norm((arm.tcp - target)[:2]) < 2e-3


def test_speed_and_acceleration_stay_within_limits(rig):
    arm = PhysicsArm(DynamicsParams(model="physics", speed_m_s=(0.1, 0.1)), rig)
    start = Kinematics().tcp(rig.home_joints_rad)
    arm.reset(start, np.random.default_rng(0))
    speeds = []
    for _ in range(5):
        arm.advance(start + np.array([0.0, 0.2, 0.0]))
        speeds.append(np.linalg.norm(arm.velocity))
    assert max(speeds) == pytest.approx(0.1, rel=0.15)


def test_an_arm_of_no_known_model_is_refused(rig):
    with pytest.raises(ConfigError, match=r"dynamics\.model must be kinematic, response or physics, got respons"):
        make_dynamics(DynamicsParams(model="respons"), rig)
