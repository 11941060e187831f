"""What the controller is told before the arm may move, and the proof that it took it."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from control.arms.fence import Fence, Payload
from control.arms.params import ArmParams, DriveMode
from control.arms.xarm.controller_errors import PAUSED, STOPPED, describe_error, describe_return
from control.arms.xarm.sdk import run_bounded, wait_until
from datasets.common.errors import DeviceError
from datasets.rig.rig import Rig

MODE_NUMBER: dict[DriveMode, int] = {"online_line": 7, "velocity": 5}
MODE_SINCE: dict[DriveMode, tuple[int, int, int]] = {"online_line": (1, 11, 0), "velocity": (1, 8, 0)}
"""Firmware that has the mode (mode 7) or its ``duration`` watchdog (mode 5); the SDK does not check."""

_CALL_TIMEOUT_S = 6.0
_WARNED, _CANNOT_MOVE = 2, 9


def check_controller(api: Any, mode: DriveMode, simulated: bool = False) -> None:
    """Refuse an arm that is not an xArm7, only simulated, of too old a firmware, paused, or with an error unlooked at.

    Args:
        api: a connection whose rich reports have begun: only they say whether the arm is simulated.
        mode: that will drive the arm.
        simulated: the caller means the vendor's firmware image, which has no arm. An address says nothing about that:
            a real controller behind a tunnel has a loopback address too.

    Raises:
        DeviceError: with what was found and what to do.
    """
    if api.axis != 7:
        raise DeviceError(f"the controller drives a robot of {api.axis} axes; this project needs an xArm7")
    if api.is_simulation_robot and not simulated:
        raise DeviceError(
            "the controller is in simulation mode: its reports would move while the arm stands still; switch to the "
            "real robot in the vendor's studio, then start again"
        )
    version, needed = tuple(api.version_number), MODE_SINCE[mode]
    if version < needed:
        raise DeviceError(
            f"the controller's firmware is {_dotted(version)}; mode {MODE_NUMBER[mode]} ({mode}) needs "
            f"{_dotted(needed)} or newer: update it in the vendor's studio, or choose another mode in params/arm.yaml"
        )
    code, (error, _) = run_bounded(api.get_err_warn_code, _CALL_TIMEOUT_S, "get_err_warn_code")
    if code != 0:
        raise DeviceError(f"the controller does not tell its errors ({describe_return(code)}); restart it")
    if error != 0:
        raise DeviceError(f"the controller reports {describe_error(error)}")
    if api.state == PAUSED:
        raise DeviceError(
            "somebody has paused the arm in mid-motion, and being made ready would let it go on; press stop in the "
            "vendor's studio, look at the arm, then start again"
        )


def configure(api: Any, guard: Any, rig: Rig, fence: Fence, payload: Payload, params: ArmParams) -> None:
    """Enable the motors and set tool, payload, collision sensitivity, boundary and speed limits, in mode 0.

    The stop before them drops what others have queued or paused: the first "ready" would carry it out, with no boundary
    set yet. Each setting may reset mode and state, so the mode that drives comes after all of them.

    Raises:
        DeviceError: the controller refused one.
    """
    _set("stop what others began", lambda: api.set_state(STOPPED))
    _set("enable the motors", lambda: api.motion_enable(True))
    enter_mode(api, 0)
    # The reply to a payload may already say "cannot move", because the payload reset the state: read back below.
    _set("set the payload", lambda: api.set_tcp_load(payload.mass_kg, [0, 0, payload.centre_m * 1000]), _CANNOT_MOVE)
    _set("ready again", lambda: api.set_state(0))
    _set("set the tool", lambda: api.set_tcp_offset([0, 0, rig.tool.tcp_offset_m * 1000, 0, 0, 0], wait=False))
    _set("ready again", lambda: api.set_state(0))
    if guard.collision_sensitivity != params.collision_sensitivity:  # setting it makes the SDK sleep half a second
        _set("set collision sensitivity", lambda: api.set_collision_sensitivity(params.collision_sensitivity))
    _set("set the boundary", lambda: api.set_reduced_tcp_boundary(boundary_mm(rig, params)))
    _set("switch the boundary on", lambda: api.set_fence_mode(True))
    _set("limit the speed", lambda: api.set_reduced_max_tcp_speed(_speed_mm_s(rig, fence)))
    _set("limit the joints' speed", lambda: api.set_reduced_max_joint_speed(params.max_joint_speed_rad_s))
    _set("set reduced mode", lambda: api.set_reduced_mode(params.reduced_mode))


def verify(rich: Any, rig: Rig, fence: Fence, payload: Payload, params: ArmParams, timeout_s: float = 3.0) -> None:
    """Read back from the rich report what :func:`configure` set; raises DeviceError naming what differs."""
    centre_mm, speed_mm_s = [0, 0, payload.centre_m * 1000], _speed_mm_s(rig, fence)
    wanted: dict[str, Callable[[], bool]] = {
        "tool offset": lambda: bool(np.allclose(rich.tcp_offset[:3], [0, 0, rig.tool.tcp_offset_m * 1000], atol=0.1)),
        "payload": lambda: abs(rich.tcp_load[0] - payload.mass_kg) < 0.01,
        "payload's centre": lambda: bool(np.allclose(rich.tcp_load[1], centre_mm, atol=0.1)),
        "collision sensitivity": lambda: rich.collision_sensitivity == params.collision_sensitivity,
        "safety boundary": lambda: rich.is_fence_mode and list(rich.reduced_tcp_boundary) == boundary_mm(rig, params),
        "TCP speed limit": lambda: abs(rich.reduced_max_tcp_speed - speed_mm_s) < 0.1,
        "joint speed limit": lambda: abs(rich.reduced_max_joint_speed - params.max_joint_speed_rad_s) < 0.01,
        "reduced mode": lambda: rich.is_reduced_mode == params.reduced_mode,
    }
    if not wait_until(lambda: all(check() for check in wanted.values()), timeout_s):
        missing = ", ".join(name for name, check in wanted.items() if not check())
        raise DeviceError(f"the controller did not take over: {missing}; set it in the vendor's studio and look why")


def enter_mode(api: Any, mode: int) -> None:
    """Set mode, then state, and wait until the reports say so; raises DeviceError."""
    _set(f"set mode {mode}", lambda: api.set_mode(mode))
    _set("set the state to ready", lambda: api.set_state(0))
    if not wait_until(lambda: api.mode == mode and api.state in (0, 1, 2), 2.0):
        raise DeviceError(
            f"the controller did not enter mode {mode} (it is in mode {api.mode}, state {api.state}); "
            "look for an error or a pressed emergency stop"
        )


def boundary_mm(rig: Rig, params: ArmParams) -> list[int]:
    """The controller's box: the workspace and its margin, as ``x+ x- y+ y- z+ z-`` in whole mm, rounded outwards."""
    margin = params.controller_margin_m
    low = [math.floor(value * 1000 + 1e-6) for value in rig.workspace.low - margin]
    high = [math.ceil(value * 1000 - 1e-6) for value in rig.workspace.high + margin]
    return [value for pair in zip(high, low, strict=True) for value in pair]


def _speed_mm_s(rig: Rig, fence: Fence) -> float:
    return fence.max_displacement_m * rig.rate_hz * 1000


def _set(what: str, call: Callable[[], Any], *also_fine: int) -> None:
    result = run_bounded(call, _CALL_TIMEOUT_S, what)
    code = result[0] if isinstance(result, list | tuple) else result
    # While a warning stands the SDK's setters hand its code on: the value was taken, which is read back later.
    if code not in (0, _WARNED, *also_fine):
        raise DeviceError(f"the controller refused to {what}: {describe_return(code)}")


def _dotted(version: tuple[int, ...]) -> str:
    return "v" + ".".join(map(str, version))
