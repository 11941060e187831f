"""Determines who holds an arm before any command is sent, and whether the arm may be taken over."""

from typing import Any, NamedTuple

from control.arms.xarm.controller_errors import describe_mode, describe_state
from datasets.common.errors import DeviceError, SafetyStop

MANUAL_MODE = 2
_UNDER_WAY, _ARMED = 1, (0, 1, 2)


class Holder(NamedTuple):
    """The state of the controller by its newest reports, which shows whether somebody drives the arm.

    Every program or person that drives the arm shows in these reports (*assumed: holder*).

    Attributes:
        mode: mode of the controller; 0 unless a program, or a hand in manual mode, asked for another.
        state: 0 to 2 if the arm would carry out a command.
        queued: number of commands that wait to be carried out.
    """

    mode: int
    state: int
    queued: int

    @classmethod
    def read(cls, api: Any) -> "Holder":
        """The holder by the reports of an ``XArmAPI``, which must have begun; sends the controller no request."""
        return cls(int(api.mode), int(api.state), int(api.cmd_num))

    @property
    def is_held(self) -> bool:
        """Whether somebody has set a mode that is armed, or commands wait."""
        return (self.mode != 0 and self.state in _ARMED) or self.queued > 0

    def __str__(self) -> str:
        return f"{describe_mode(self.mode)}, {describe_state(self.state)}, commands queued: {self.queued}"


def require_no_motion(holder: Holder) -> None:
    """Raises SafetyStop while a command is carried out, even a slow one: in mode 0 the state shows it."""
    if holder.mode == 0 and holder.state == _UNDER_WAY:
        raise SafetyStop(
            f"the arm is carrying out a command that did not come from here ({holder}); end the other program, or stop "
            "it in the vendor's studio, then start again"
        )


def require_free(holder: Holder) -> None:
    """Raises DeviceError if somebody holds the arm; the message says what was found and what to do."""
    if not holder.is_held:
        return
    why = (
        "it is in manual mode, a hand may be on the arm"
        if holder.mode == MANUAL_MODE
        else "another program drives it, or one that was killed left it armed"
    )
    raise DeviceError(
        f"the arm is held: {holder}: {why}; look at the arm, end what holds it, press stop in the vendor's studio and "
        "start again, or, where nobody holds it, start again with --take-over"
    )
