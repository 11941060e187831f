"""Configures the controller before the arm may move, and verifies that it accepted everything."""

from collections.abc import Callable
from typing import Any

from control.arms.params import DriveMode
from control.arms.xarm.controller_errors import PAUSED, STOPPED, describe_error, describe_return
from control.arms.xarm.settings import Settings, guard_setters
from control.arms.xarm.wire.sdk import run_bounded, wait_until
from datasets.common.errors import DeviceError

MODE_NUMBER: dict[DriveMode, int] = {"online_line": 7, "velocity": 5}
MODE_SINCE: dict[DriveMode, tuple[int, int, int]] = {"online_line": (1, 11, 0), "velocity": (1, 8, 0)}
"""First firmware with the mode (mode 7) or with its ``duration`` watchdog (mode 5); the SDK does not check this."""

ENCODERS_SINCE = (2, 4, 0)
"""First firmware that reports what the encoders read, not the command (*assumed: encoders*; xarm_ros2, issue 95)."""
FULL_REPORT_BYTES = 574
"""Least length, in bytes, of a rich report that holds the limits of the reduced mode; others saw 494 from an xArm6 with
firmware 1.8.5."""
_CALL_TIMEOUT_S = 6.0
_WARNED, _CANNOT_MOVE = 2, 9


def check_controller(api: Any, mode: DriveMode, simulated: bool = False, reports_are_commands: bool = False) -> None:
    """Refuse an arm that is not an xArm7, is simulated or paused, has an error, or has too old a firmware or reports.

    Args:
        api: a connection whose rich reports have begun: only they show whether the arm is simulated
            (*assumed: simulation-flag*).
        mode: the mode that will drive the arm.
        simulated: the caller means the vendor's firmware image, which has no arm. The address does not show this: a
            real controller behind a tunnel has a loopback address too.
        reports_are_commands: the caller accepts a firmware that reports where it sends the arm, not where the arm is.

    Raises:
        DeviceError: the arm is refused; the message says what was found and what to do.
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
    if version < ENCODERS_SINCE and not reports_are_commands:
        raise DeviceError(
            f"the controller's firmware is {_dotted(version)}; before {_dotted(ENCODERS_SINCE)} it reports where it "
            "sends the arm, not where the arm is: update it in the vendor's studio, or read docs/first_day.md on what "
            "is not guarded then and give --reports-are-commands"
        )
    if (told := int(api.report_data.data_size)) < FULL_REPORT_BYTES:
        raise DeviceError(
            f"the controller's reports have {told} bytes, fewer than {FULL_REPORT_BYTES}: they do not hold boundary, "
            "joint range and rebound, so that their state is unknown; update its firmware in the vendor's studio"
        )
    require_no_error(api)
    if api.state == PAUSED:
        raise DeviceError(
            "somebody has paused the arm in mid-motion, and being made ready would let it go on; press stop in the "
            "vendor's studio, look at the arm, then start again"
        )


def require_no_error(api: Any) -> None:
    """Raises DeviceError if the controller replies that it has an error; reports come only every 0.2 s."""
    code, (error, _) = run_bounded(api.get_err_warn_code, _CALL_TIMEOUT_S, "get_err_warn_code")
    if code not in (0, _WARNED):
        raise DeviceError(f"the controller does not report its errors ({describe_return(code)}); restart it")
    if error != 0:
        raise DeviceError(f"the controller reports {describe_error(error)}")


def configure(api: Any, wanted: Settings, found: Settings) -> None:
    """Enable the motors and set tool, payload, collision sensitivity, boundary, guards and speed limits, in mode 0.

    A stop is sent first; it drops what others have queued or paused (*assumed: stop-drops*), because the first "ready"
    would carry that out before any boundary is set. Each setting may reset mode and state, so the driving mode is set
    last. Speeds and joint range take effect when the reduced mode is switched on after them.

    Args:
        wanted: the settings to set.
        found: the present settings; a sensitivity or guard that is already as wanted is not set again.

    Raises:
        DeviceError: the controller refused a setting, or has an error.
    """
    try:
        _configure(api, wanted, found)
    except DeviceError:
        require_no_error(api)  # names the controller's error if that is the cause
        raise


def _configure(api: Any, wanted: Settings, found: Settings) -> None:
    _set("stop what others began", lambda: api.set_state(STOPPED))
    require_no_error(api)
    _set("enable the motors", lambda: api.motion_enable(True))
    enter_mode(api, 0)
    # The reply to a payload may already say "cannot move", because the payload reset the state: it is read back below.
    _set("set the payload", lambda: api.set_tcp_load(wanted.mass, list(wanted.centre)), _CANNOT_MOVE)
    _make_ready(api)
    _set("set the tool", lambda: api.set_tcp_offset(list(wanted.tool_offset), wait=False))
    _make_ready(api)
    if found.sensitivity != wanted.sensitivity:
        # The SDK's own setter sleeps, and then makes the arm ready no matter what happened meanwhile.
        _set("set collision sensitivity", lambda: api.core.set_collis_sens(wanted.sensitivity), _CANNOT_MOVE)
        _make_ready(api)
    _set("set the boundary", lambda: api.set_reduced_tcp_boundary(list(wanted.boundary)))
    _set("switch the boundary on", lambda: api.set_fence_mode(wanted.fenced))
    for key, setter in guard_setters(api, wanted).items():
        if getattr(found, key) != getattr(wanted, key):
            _set(f"set the {key.replace('_', ' ')}", setter, _CANNOT_MOVE)
    _set("limit the speed", lambda: api.set_reduced_max_tcp_speed(wanted.tcp_speed))
    _set("limit the joints' speed", lambda: api.set_reduced_max_joint_speed(wanted.joint_speed))
    _set("set reduced mode", lambda: api.set_reduced_mode(wanted.reduced))


def verify(rich: Any, wanted: Settings, timeout_s: float = 3.0) -> None:
    """Compare the rich report with what :func:`configure` set; raises DeviceError naming what differs."""
    if not wait_until(lambda: not wanted.differences(Settings.read(rich)), timeout_s):
        missing = ", ".join(wanted.differences(Settings.read(rich)))
        raise DeviceError(f"the controller did not take over: {missing}; set it in the vendor's studio and look why")


def _make_ready(api: Any) -> None:
    """Set state 0. This clears errors (*documented: ready-clears*), so the controller is asked for one just before."""
    require_no_error(api)
    _set("set the state to ready", lambda: api.set_state(0))


def enter_mode(api: Any, mode: int) -> None:
    """Set mode, then state, and wait until the reports say so; raises DeviceError."""
    _set(f"set mode {mode}", lambda: api.set_mode(mode))
    _make_ready(api)
    if not wait_until(lambda: api.mode == mode and api.state in (0, 1, 2), 2.0):
        raise DeviceError(
            f"the controller did not enter mode {mode} (it is in mode {api.mode}, state {api.state}); "
            "look for an error or a pressed emergency stop"
        )


def _set(what: str, call: Callable[[], Any], *also_fine: int) -> None:
    result = run_bounded(call, _CALL_TIMEOUT_S, what)
    code = result[0] if isinstance(result, list | tuple) else result
    # During a warning the SDK's setters return its code: the value was accepted, and is read back later.
    if code not in (0, _WARNED, *also_fine):
        raise DeviceError(
            f"the controller refused to {what}: {describe_return(code)}; look why in the vendor's studio, its firmware "
            "may be too old"
        )


def _dotted(version: tuple[int, ...]) -> str:
    return "v" + ".".join(map(str, version))
