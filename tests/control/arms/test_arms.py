"""What every arm promises: the real driver in both modes on the emulated controller."""

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from control.arms.arm import Arm
from control.arms.params import ArmParams
from control.arms.xarm.driver import XArm
from control.arms.xarm.wire.sdk import wait_until
from datasets.arm.kinematics import Kinematics
from datasets.common.errors import DeviceError, SafetyStop
from datasets.rig.rig import Rig
from pace import paced
from pipelines.twin.controller.controller import ControllerTwin

pytestmark = pytest.mark.realtime

ARRIVED_M = 1.5e-3


@pytest.fixture(scope="module", params=["online_line", "velocity"])
def arm(request: pytest.FixtureRequest, rig: Rig) -> Iterator[Arm]:
    # Of the deadlines on the wire test_link_faults.py tells; here a busy machine is no fault.
    params = ArmParams(mode=request.param, slow_speed_m_s=0.25, report_deadline_s=1.0, command_deadline_s=1.0)
    with ControllerTwin(rig) as twin, XArm(twin.host, rig, params) as arm:
        yield arm


@pytest.fixture
def ready(arm: Arm) -> Arm:
    arm.connect()
    arm.home()
    return arm


def run(arm: Arm, displacement: np.ndarray, steps: int, rate_hz: float = 10.0) -> list[np.ndarray]:
    """Ticks as the control loop makes them."""
    return [arm.move(displacement) for _ in paced(range(steps), 1 / rate_hz)]


def test_home_is_the_rigs_home_and_becomes_the_target(ready: Arm, rig: Rig) -> None:
    home = Kinematics().tcp(rig.home_joints_rad)
    np.testing.assert_allclose(ready.tcp, home, atol=1e-3)
    np.testing.assert_allclose(ready.target, home, atol=1e-9)
    assert ready.is_connected


def test_displacements_add_up_and_the_arm_follows(ready: Arm) -> None:
    start = ready.target
    run(ready, np.array([0.01, 0.005, 0.0]), 8)
    for _ in range(30):
        run(ready, np.zeros(3), 1)
        if arrived := np.linalg.norm(ready.tcp - ready.target) < ARRIVED_M:
            break
    np.testing.assert_allclose(ready.target, start + np.array([0.08, 0.04, 0.0]), atol=1e-9)
    assert arrived


def test_move_returns_what_was_really_sent(ready: Arm, rig: Rig) -> None:
    sent = ready.move(np.array([10.0, 0.0, 0.0]))
    np.testing.assert_allclose(sent, [rig.max_displacement_m, 0, 0], atol=1e-12)
    np.testing.assert_array_equal(ready.move(np.zeros(3)), np.zeros(3))


def test_the_arm_never_leaves_the_fence_however_hard_it_is_pushed(ready: Arm, rig: Rig) -> None:
    for step in run(ready, np.array([0.0, 0.0, -1.0]), 12):
        assert np.linalg.norm(step) <= rig.max_displacement_m + 1e-12
        assert ready.tcp[2] >= rig.workspace.low[2] - 1e-4
    assert ready.target[2] == rig.workspace.low[2]


def test_the_past_can_be_asked_for(ready: Arm) -> None:
    before = time.monotonic()
    run(ready, np.array([0.0, 0.02, 0.0]), 3)
    middle = ready.tcp_at(before + 0.15)
    assert 0.0 < middle[1] < ready.target[1]
    assert ready.joints_at(before + 0.15).shape == (7,)
    np.testing.assert_allclose(Kinematics().tcp(ready.joints_at(before + 0.15)), middle, atol=2e-3)
    with pytest.raises(DeviceError, match="go back"):
        ready.tcp_at(before - 3600.0)


def test_go_to_ends_at_the_point_and_refuses_one_outside(ready: Arm) -> None:
    ready.go_to([0.42, 0.05, 0.25])
    np.testing.assert_allclose(ready.tcp, [0.42, 0.05, 0.25], atol=1e-3)
    with pytest.raises(SafetyStop, match="outside the fence"):
        ready.go_to([0.9, 0.0, 0.25])
    assert ready.is_connected


def test_what_is_returned_is_the_callers_own(ready: Arm) -> None:
    ready.target[:] = 9.0
    ready.tcp[:] = 9.0
    assert ready.target[0] < 1.0
    assert ready.tcp[0] < 1.0


def test_a_command_that_is_not_finite_stops_the_arm(ready: Arm) -> None:
    with pytest.raises(SafetyStop, match="not three finite numbers"):
        ready.move(np.array([0.0, np.nan, 0.0]))
    assert not ready.is_connected
    with pytest.raises(SafetyStop, match="connect it again"):
        ready.move(np.zeros(3))


def test_stop_ends_motion_and_nothing_moves_until_connected_anew(ready: Arm) -> None:
    run(ready, np.array([0.0, 0.02, 0.0]), 3)
    ready.stop()
    time.sleep(0.2)  # an arm brakes, and no interface says when it stands
    at = ready.tcp
    for call in (lambda: ready.move(np.zeros(3)), ready.home, lambda: ready.go_to(at)):
        with pytest.raises(SafetyStop):
            call()
    ready.stop()
    assert not wait_until(lambda: not np.allclose(ready.tcp, at, rtol=0, atol=1e-6), 0.1)
    ready.connect()
    np.testing.assert_allclose(ready.target, at, atol=1e-3)
    assert ready.move(np.array([0.0, 0.001, 0.0]))[1] == pytest.approx(0.001)


def test_stop_from_another_thread_ends_homing(ready: Arm) -> None:
    run(ready, np.array([0.0, 0.025, 0.0]), 8)
    timer = threading.Timer(0.1, ready.stop)
    timer.start()
    with pytest.raises(SafetyStop):
        ready.home()
    timer.join()


def test_disconnect_any_number_of_times_and_use_after_it_is_an_error(ready: Arm) -> None:
    ready.disconnect()
    ready.disconnect()
    assert not ready.is_connected
    with pytest.raises((DeviceError, SafetyStop)):
        ready.move(np.zeros(3))
    ready.connect()
    assert ready.is_connected


def test_nothing_is_known_of_an_arm_never_connected(rig: Rig) -> None:
    arm = XArm("127.0.0.1", rig)
    arm.disconnect()
    arm.stop()
    assert not arm.is_connected
    with pytest.raises(DeviceError, match="connect it first"):
        _ = arm.tcp
    with pytest.raises(DeviceError, match="connect it first"):
        _ = arm.target
