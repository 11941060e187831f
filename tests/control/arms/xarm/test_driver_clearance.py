"""The whole arm is kept clear of what stands near it, before every command; against the twin's controller."""

import time
from collections.abc import Callable

import numpy as np
import pytest

from control.arms.params import ArmParams
from control.arms.xarm.driver import XArm
from control.arms.xarm.wire.sdk import wait_until
from control.clearance.arm_clearance import ArmClearance
from control.clearance.params import ClearanceParams, Obstacle
from datasets.common.errors import SafetyStop
from datasets.rig.rig import Rig
from pace import paced
from pipelines.twin.controller.controller import ControllerTwin
from pipelines.twin.controller.firmware import STOPPED

pytestmark = pytest.mark.realtime
MARGIN_M = ClearanceParams().margin_m
WALL = Obstacle("monitor", (0.25, 0.24, 0.0), (0.55, 0.30, 0.6))


@pytest.fixture(params=["online_line", "velocity"])
def open_arm(rig: Rig, twin: ControllerTwin, request: pytest.FixtureRequest) -> Callable[[Obstacle], XArm]:
    params = ArmParams(mode=request.param)
    return lambda *obstacles: XArm(twin.host, rig, params, clearance=ArmClearance(rig, obstacles))


def test_nothing_of_the_arm_comes_nearer_than_the_margin_and_it_is_named(
    open_arm, rig: Rig, twin, request: pytest.FixtureRequest
) -> None:
    judge, nearest, sent = ArmClearance(rig, [WALL]), np.inf, []
    with open_arm(WALL) as arm:
        arm.home()

        def drive() -> None:
            nonlocal nearest
            while True:
                sent.append(float(np.linalg.norm(arm.move(np.array([0.0, 0.02, 0.0])))))
                until = time.monotonic() + 0.1
                while time.monotonic() < until:
                    nearest = min(nearest, judge.nearest(arm.joints_at(time.monotonic())).distance_m)
                    time.sleep(0.01)  # until the next command is due, as in a control loop

        with pytest.raises(SafetyStop, match=r"too near: .* comes within \d+ mm of monitor, 2[05] mm are asked"):
            drive()
        assert wait_until(lambda: twin.firmware.state == STOPPED and twin.firmware.speed_m_s() == 0, 1.0)
    assert nearest >= MARGIN_M
    assert nearest < ClearanceParams().slow_from_m
    assert sent[0] == pytest.approx(0.02)
    slowed = np.array([each for each in sent if 0 < each < 0.019])
    rises = {"online_line": 1.0, "velocity": 1.5}[request.node.callspec.params["open_arm"]]
    assert (slowed[1:] <= rises * slowed[:-1]).all(), "the nearer, the slower"


def test_a_way_that_comes_too_near_is_refused_before_anything_moves(open_arm, twin) -> None:
    with open_arm(WALL) as arm:
        arm.home()
        before = arm.tcp
        with pytest.raises(SafetyStop, match=r"on the way to .* of monitor"):
            arm.go_to(np.array([0.40, 0.20, 0.23]))
        assert not wait_until(lambda: not np.allclose(arm.tcp, before, rtol=0, atol=5e-4), 0.2)
        arm.go_to(np.array([0.40, -0.20, 0.23]))  # the other side is free, and the arm takes commands


def test_an_arm_beside_something_may_leave_it(open_arm) -> None:
    with open_arm(WALL) as arm:
        arm.home()
        for _ in paced(range(8)):
            arm.move(np.array([0.0, 0.015, 0.0]))
        sent = arm.move(np.array([0.0, -0.02, 0.0]))
    assert np.linalg.norm(sent) == pytest.approx(0.02)


def test_what_stands_where_the_arm_is_at_home_is_refused_at_once(open_arm) -> None:
    with pytest.raises(SafetyStop, match=r"at home gripper reaches into post, 2[05] mm are asked; correct keep_out"):
        open_arm(Obstacle("post", (0.38, -0.02, 0.0), (0.42, 0.02, 0.3)))


def test_the_clearance_that_an_arm_is_given_stays_as_it_is(rig: Rig) -> None:
    clearance = ArmClearance(rig, [WALL])
    for _ in range(2):
        XArm("127.0.0.1", rig, ArmParams(mode="velocity"), clearance=clearance)
    assert clearance.params == ClearanceParams()
