"""Speed limits of an arm in velocity mode: smooth, and such that it comes to rest before a wall by itself."""

import numpy as np

from control.arms.arm import Vector
from control.arms.params import ArmParams
from control.clearance.arm_clearance import ArmClearance

_OVERSHOOT_M = 0.005
"""Of a target in mode 5: 4 mm on the twin (*assumed: velocity-braking*)."""


def as_driven(clearance: ArmClearance, params: ArmParams, rate_hz: float) -> ArmClearance:
    """The clearance, in velocity mode with what the arm may do between its last command and its rest added."""
    if params.mode != "velocity":
        return clearance
    return clearance.allowing_for(_OVERSHOOT_M, params.velocity_duration_steps / rate_hz)


def speed_within(room_m: Vector, speed_m_s: Vector, duration_s: float, braking_m_s2: float) -> Vector:
    """Largest speed per axis that fits into the room, with slowing down to it before and braking after; 0 without room.

    Solves ``v t + v^2 / (2 a) + max(u - v, 0)^2 / (2 a) = room`` for ``v``, at the present speed ``u``.
    """
    gained, room = braking_m_s2 * duration_s, np.maximum(room_m, 0)
    kept = np.sqrt(gained**2 + 2 * braking_m_s2 * room) - gained
    half = (speed_m_s - gained) / 2
    slowed = half + np.sqrt(np.maximum(half**2 - speed_m_s**2 / 2 + braking_m_s2 * room, 0))
    speed: Vector = np.where(kept >= speed_m_s, kept, np.maximum(slowed, 0))
    return speed


def remaining_velocity(velocity_m_s: Vector, since_s: float, braking_m_s2: float) -> Vector:
    """The part of a velocity ``(3,)`` that is left some time after its end; all of it before."""
    size = float(np.linalg.norm(velocity_m_s))
    left = max(0.0, size - braking_m_s2 * max(0.0, since_s))
    return velocity_m_s * (left / size) if size > 0 else velocity_m_s


def limit_change(wished_m_s: Vector, now_m_s: Vector, max_change_m_s: float) -> Vector:
    """The wished velocity ``(3,)``, or how far towards it the change allowed leads from the present one."""
    change = wished_m_s - now_m_s
    size = float(np.linalg.norm(change))
    return wished_m_s if size <= max_change_m_s else now_m_s + change * (max_change_m_s / size)
