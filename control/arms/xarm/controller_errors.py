"""The xArm controller's codes in words, with what to do.

Error and warning codes and their titles: ``ControllerErrorCodeMap`` and ``ControllerWarnCodeMap`` of
``xarm-python-sdk`` 1.18.4, and the xArm user manual; return codes: ``APIState`` of the same SDK. Wording and advice are
ours. No error is ever cleared without the operator. State 0 clears errors (user manual 9.2), so they are read first.
"""

_RECOVER = "clear the error in the vendor's studio, look at the arm, then start again"

_CONTROLLER_ERRORS = {
    1: ("the emergency stop button of the control box is pressed", "release it, enable the motors, then start again"),
    2: ("the emergency input of the control box is open", "close the EI contacts, enable the motors, then start again"),
    3: ("the emergency stop of the three-state switch is pressed", "release it, enable the motors, then start again"),
    10: ("a servo motor reports an error", "power the arm off and on with the emergency stop button"),
    **{
        10 + joint: (f"the motor of joint {joint} reports an error", "power the arm off and on with the emergency stop")
        for joint in range(1, 8)
    },
    18: ("the force-torque sensor does not answer", "check its cable, or switch it off in the studio"),
    19: ("the end effector does not answer", "check its cable and baud rate"),
    21: ("kinematic error: the arm cannot follow this path", f"keep goals nearer to home; {_RECOVER}"),
    22: ("the arm was about to collide with itself", f"keep goals away from the base; {_RECOVER}"),
    23: (
        "a joint is at its limit, its own or the reduced mode's",
        "bring the arm back to its initial position in the studio, then start again",
    ),
    24: ("a joint was asked to move too fast", f"lower the speed or stay away from singularities; {_RECOVER}"),
    25: ("the controller could not plan the motion", f"lower the speed or choose other goals; {_RECOVER}"),
    26: ("the controller's real-time system failed", "restart the control box; if it stays, ask the vendor"),
    27: ("a joint did not reply to the controller", "restart the control box; if it stays, ask the vendor"),
    28: ("the end module does not answer", "restart the control box; if it stays, ask the vendor"),
    30: ("a joint was faster than its limit", "restart the control box; if it stays, ask the vendor"),
    31: ("the arm hit something, or its payload is set wrong", f"remove the obstacle, check the payload; {_RECOVER}"),
    32: ("an arc's three points do not make a circle", _RECOVER),
    33: ("the controller's inputs and outputs failed", "restart the control box; if it stays, ask the vendor"),
    34: ("a trajectory was recorded for longer than five minutes", _RECOVER),
    35: (
        "the TCP reached the controller's safety boundary",
        "move the arm back inside with the studio, then start again",
    ),
    36: ("too many delayed commands are queued", _RECOVER),
    37: ("the arm moved by itself in manual mode", f"check payload and mounting; {_RECOVER}"),
    38: ("a joint's angle is implausible", "press the emergency stop and ask the vendor"),
    39: ("the power board's processors do not talk to each other", "ask the vendor"),
    40: ("the controller found no error-free joint path", f"choose other goals; {_RECOVER}"),
    41: ("the arm's friction file is invalid", "restart the control box; if it stays, ask the vendor"),
    42: ("the arm's calibration file is invalid", "restart the control box; if it stays, ask the vendor"),
    50: ("the force-torque sensor reports an error", "check its cable, or switch it off in the studio"),
    51: ("the force-torque sensor did not take its mode", "check its cable, or switch it off in the studio"),
    52: ("the force-torque sensor could not be zeroed", "check its cable, or switch it off in the studio"),
    53: ("the force-torque sensor is overloaded", f"take the load off it; {_RECOVER}"),
    60: ("the TCP was faster than servo mode allows", f"lower the speed; {_RECOVER}"),
    110: ("the arm's base board does not answer", "ask the vendor"),
    111: ("a device on the control box's RS-485 does not answer", "check its cable"),
}

_CONTROLLER_WARNINGS = {
    11: ("its queue of commands is full", "close other programs that command the arm"),
    12: ("a command's parameter is wrong", "look in the log for what was sent, and report it"),
    13: ("a command has a code it does not know", "update the firmware, or use the SDK's version of constraints.txt"),
    14: ("a command has no solution", "keep goals nearer to home"),
    15: ("its Modbus queue is full", "close other programs that command the end effector"),
}
NOT_CARRIED_OUT = frozenset({11, 12, 13, 14})
"""Warnings that say that a command was not carried out: the arm is not where it was sent."""

_RETURN_CODES = {
    -1: "the connection to the controller is lost",
    -2: "the arm is not ready to move: motors off, or stopped",
    -3: "the SDK raised an exception",
    -4: "the controller does not know this command",
    -6: "the target lies outside the controller's Cartesian limits",
    -7: "the target lies outside the joint limits",
    -8: "a value lies outside the range that the SDK accepts",
    -9: "the arm was stopped",
    1: "the controller has an error",
    2: "the controller has a warning",
    3: "the controller did not reply in time",
    4: "the controller's reply has the wrong length",
    5: "the controller's reply has the wrong number",
    6: "the controller's reply has the wrong protocol",
    7: "the controller replied to another command",
    8: "the command could not be written to the socket",
    9: "the arm cannot move in its present state",
    10: "the controller refused the command",
    11: "the controller reports an error of another kind",
    12: "the controller refused a parameter",
    100: "the controller did not finish in time",
}

PAUSED, STOPPED = 3, 4
_STATES = {
    0: "ready",
    1: "in motion",
    2: "ready",
    PAUSED: "paused",
    STOPPED: "stopped",
    5: "stopped by a change of configuration",
    6: "decelerating to a stop",
}
_MODES = {
    0: "position",
    1: "servo",
    2: "manual: a hand may lead the arm",
    3: "recording of a trajectory",
    4: "joint velocities",
    5: "Cartesian velocities",
    6: "online joint targets",
    7: "online Cartesian targets",
}


def describe_error(code: int) -> str:
    """A controller error in words, such as ``C31: the arm hit something ...; remove the obstacle ...``."""
    what, remedy = _CONTROLLER_ERRORS.get(code, ("an error unknown to this project", "see the vendor's manual"))
    return f"C{code}: {what}; {remedy}"


def describe_warning(code: int) -> str:
    """A controller warning in words."""
    what, remedy = _CONTROLLER_WARNINGS.get(code, ("a warning unknown to this project", "see the vendor's manual"))
    return f"W{code}: {what}; {remedy}"


def describe_return(code: int) -> str:
    """A return code of the SDK in words, such as ``code 9: the arm cannot move in its present state``."""
    return f"code {code}: {_RETURN_CODES.get(code, 'a return code this project has no words for')}"


def describe_mode(mode: int) -> str:
    """A mode of the controller in words, such as ``mode 5 (Cartesian velocities)``."""
    return f"mode {mode} ({_MODES.get(mode, 'unknown')})"


def describe_state(state: int) -> str:
    """A state of the controller in words, such as ``state 4: stopped``."""
    return f"state {state}: {_STATES.get(state, 'unknown')}"
