"""Speed limits of an arm in velocity mode: they are smooth, and let the arm come to rest before a wall by itself."""

import numpy as np

from control.arms.arm import Vector
from control.arms.params import ArmParams
from control.clearance.arm_clearance import ArmClearance

_OVERSHOOT_M = 0.005
"""How far the arm may overshoot a target in mode 5, m: 4 mm on the twin (*assumed: velocity-braking*)."""


def as_driven(clearance: ArmClearance, params: ArmParams, rate_hz: float) -> ArmClearance:
    """The clearance for the driving mode: in velocity mode it allows for what the arm does after its last command."""
    if params.mode != "velocity":
        return clearance
    return clearance.allowing_for(_OVERSHOOT_M, params.velocity_duration_steps / rate_hz)


def speed_within(room_m: Vector, speed_m_s: Vector, duration_s: float, braking_m_s2: float) -> Vector:
    """Largest speed per axis, m/s, for which the room suffices; 0 without room.

    The room must hold slowing down to that speed, keeping it for ``duration_s``, and braking to rest. Solves
    ``v t + v^2 / (2 a) + max(u - v, 0)^2 / (2 a) = room`` for ``v``, at the present speed ``u``.
    """
    gained, room = braking_m_s2 * duration_s, np.maximum(room_m, 0)
    kept = np.sqrt(gained**2 + 2 * braking_m_s2 * room) - gained
    half = (speed_m_s - gained) / 2
    slowed = half + np.sqrt(np.maximum(half**2 - speed_m_s**2 / 2 + braking_m_s2 * room, 0))
    speed: Vector = np.where(kept >= speed_m_s, kept, np.maximum(slowed, 0))
    return speed


def remaining_velocity(velocity_m_s: Vector, since_s: float, braking_m_s2: float) -> Vector:
    """The part of a velocity ``(3,)`` that is left ``since_s`` after its end; all of it where that is not positive."""
    size = float(np.linalg.norm(velocity_m_s))
    left = max(0.0, size - braking_m_s2 * max(0.0, since_s))
    return velocity_m_s * (left / size) if size > 0 else velocity_m_s


def limit_change(wished_m_s: Vector, now_m_s: Vector, max_change_m_s: float) -> Vector:
    """The requested velocity ``(3,)``, or the nearest to it that the allowed change from the present one permits."""
    change = wished_m_s - now_m_s
    size = float(np.linalg.norm(change))
    return wished_m_s if size <= max_change_m_s else now_m_s + change * (max_change_m_s / size)
