"""Who may take an arm over: one that somebody holds is refused by looking alone, unless that is said."""

from collections.abc import Callable

import numpy as np
import pytest

from control.arms.params import ArmParams
from control.arms.xarm.driver import XArm
from control.arms.xarm.takeover import Holder
from control.arms.xarm.wire.sdk import wait_until
from datasets.common.errors import DeviceError, SafetyStop
from datasets.rig.rig import Rig
from pipelines.twin.controller.controller import ControllerTwin
from pipelines.twin.controller.firmware import MANUAL, ONLINE_LINE, POSITION, SERVO, STOPPED, VELOCITY
from pipelines.twin.controller.protocol import Register

pytestmark = pytest.mark.realtime

TELLS_SOMETHING = {
    *(Register.MOTION_EN, Register.SET_STATE, Register.SET_MODE, Register.SET_TCP_OFFSET, Register.SET_LOAD_PARAM),
    *(Register.SET_COLLIS_SENS, Register.SET_LIMIT_XYZ, Register.SET_FENSE_ON, Register.SET_REDUCED_MODE),
    *(Register.SET_REDUCED_TRSV, Register.SET_REDUCED_P2PV, Register.MOVE_LINE, Register.CLEAN_ERR),
}


def arm_it(twin: ControllerTwin, mode: int) -> None:
    """As another client, or one that was killed, leaves it: motors on, ready, in a mode."""
    firmware = twin.firmware
    with firmware.lock:
        firmware.enable(True)
        firmware.set_mode(mode)
        firmware.set_state(0)


def told(twin: ControllerTwin) -> set[int]:
    return TELLS_SOMETHING & {request.register for _, request in twin.log}


@pytest.mark.parametrize("mode", ["online_line", "velocity"])
@pytest.mark.parametrize(
    ("held_in", "words"),
    [
        (SERVO, r"mode 1 \(servo\), state 2: ready.*another program drives it"),
        (MANUAL, r"mode 2 \(manual: .*\), state 2: ready.*a hand may be on the arm"),
        (VELOCITY, r"mode 5 .*one that was killed left it armed"),
        (ONLINE_LINE, r"mode 7 .*--take-over"),
    ],
)
def test_an_arm_that_somebody_holds_is_refused_and_left_as_it_is(
    twin: ControllerTwin, rig: Rig, mode: str, held_in: int, words: str
) -> None:
    arm_it(twin, held_in)
    with pytest.raises(DeviceError, match=words):
        XArm(twin.host, rig, ArmParams(mode=mode)).connect()  # type: ignore[arg-type]
    assert not told(twin)
    assert (twin.firmware.mode, twin.firmware.state) == (held_in, 2)


def test_commands_that_wait_are_somebodys(twin: ControllerTwin, rig: Rig) -> None:
    arm_it(twin, POSITION)
    firmware = twin.firmware
    with firmware.lock:
        x, y, z, *angles = firmware.pose()
        # Stopped with commands that wait: a state that no order of messages to the twin leads to.
        firmware._queue.append(firmware.line((x, y + 50, z, *angles), 50.0, 500.0))
        firmware._state = STOPPED
    with pytest.raises(DeviceError, match=r"the arm is held: mode 0 .*commands queued: 1"):
        XArm(twin.host, rig).connect()
    assert not told(twin)


@pytest.mark.parametrize("state", [STOPPED, 5])
@pytest.mark.parametrize("left_in", [POSITION, MANUAL, ONLINE_LINE])
def test_an_arm_that_is_stopped_is_nobodys(twin: ControllerTwin, rig: Rig, left_in: int, state: int) -> None:
    arm_it(twin, left_in)
    twin.firmware._state = state  # in whatever mode: messages that lead to state 5 change the mode
    with XArm(twin.host, rig) as arm:
        assert arm.is_connected


@pytest.mark.parametrize("held_in", [MANUAL, ONLINE_LINE])
def test_it_is_taken_over_when_that_is_said_and_told(twin: ControllerTwin, rig: Rig, held_in: int) -> None:
    arm_it(twin, held_in)
    with XArm(twin.host, rig, take_over=True) as arm:
        assert any(f"taking over an arm that was held: mode {held_in}" in event for _, event in arm.events)
        arm.move(np.array([0.0, 0.01, 0.0]))


def test_the_operator_is_shown_what_was_found_and_may_say_no(twin: ControllerTwin, rig: Rig) -> None:
    arm_it(twin, MANUAL)
    shown: list[str] = []
    with pytest.raises(SafetyStop, match="did not agree"):
        XArm(twin.host, rig, take_over=lambda found: bool(shown.append(found))).connect()
    assert shown == ["mode 2 (manual: a hand may lead the arm), state 2: ready, commands queued: 0"]
    assert not told(twin)


def test_an_arm_that_changed_hands_while_the_operator_thought_is_refused(twin: ControllerTwin, rig: Rig) -> None:
    arm_it(twin, ONLINE_LINE)

    def thinks(found: str) -> bool:
        arm_it(twin, MANUAL)
        return bool(wait_until(lambda: False, 0.1)) or True

    with pytest.raises(SafetyStop, match="changed hands meanwhile"):
        XArm(twin.host, rig, take_over=thinks).connect()
    assert not told(twin)


def pause(twin: ControllerTwin) -> None:
    twin.firmware.pause()


def move(twin: ControllerTwin) -> None:
    firmware = twin.firmware
    with firmware.lock:
        firmware.set_mode(POSITION)
        firmware.set_state(0)
        x, y, z, *angles = firmware.pose()
        firmware.go(firmware.line((x, y + 250, z, *angles), 50.0, 500.0), interrupts=True)


def crawl(twin: ControllerTwin) -> None:
    """Slower than the joints' rest can tell."""
    firmware = twin.firmware
    with firmware.lock:
        firmware.set_mode(POSITION)
        firmware.set_state(0)
        x, y, z, *angles = firmware.pose()
        firmware.go(firmware.line((x, y + 50, z, *angles), 2.0, 500.0), interrupts=True)


@pytest.mark.parametrize(
    ("others", "words"),
    [
        (pause, "paused the arm in mid-motion"),
        (move, "the arm is moving, though nothing was commanded from here"),
        (crawl, "carrying out a command that did not come from here"),
        (lambda twin: twin.firmware.fail(31), "C31: the arm hit something"),
    ],
)
def test_no_consent_takes_over_an_arm_that_is_paused_under_way_or_in_error(
    twin: ControllerTwin, rig: Rig, others: Callable[[ControllerTwin], None], words: str
) -> None:
    arm_it(twin, ONLINE_LINE)
    others(twin)
    with pytest.raises((DeviceError, SafetyStop), match=words):
        XArm(twin.host, rig, take_over=True).connect()
    assert not told(twin)


def test_what_holds_an_arm() -> None:
    armed = [Holder(mode, state, 0) for mode in range(1, 8) for state in (0, 1, 2)]
    free = [Holder(mode, state, 0) for mode in range(8) for state in (4, 5, 6)] + [Holder(0, 2, 0), Holder(0, 0, 0)]
    assert all(each.is_held for each in armed)
    assert not any(each.is_held for each in free)
    assert Holder(0, 4, 3).is_held
