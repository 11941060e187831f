"""Velocity mode: speed changes gently, the fence's braking comes first, and no sequence of commands gets outside."""

from dataclasses import replace
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.arms.params import ArmParams
from control.arms.xarm.braking import remaining_velocity, speed_within
from control.arms.xarm.driver import _WIRE_S, XArm  # the margin that is tested
from control.arms.xarm.wire.pose_history import Pose
from datasets.rig.rig import Rig
from pace import paced
from pipelines.twin.controller.controller import ControllerTwin
from pipelines.twin.controller.protocol import Register

SPEED_M_S = 0.25
PERIOD_S, DURATION_S, TICK_S = 0.1, 0.25, 0.004
TRACKING_M = 1e-3
"""The driver counts with the velocity it commanded, behind which the arm itself still is."""

vectors = st.tuples(*[st.floats(-1, 1)] * 3).map(np.array)
commands = st.lists(st.tuples(vectors, st.floats(0.09, 0.6)), min_size=1, max_size=25)


class Sent(NamedTuple):
    """One command: where the arm was and which velocity was in force, ``(3,)`` each, and what was sent."""

    tcp: np.ndarray
    before: np.ndarray
    velocity: np.ndarray


@pytest.fixture(scope="module")
def driver(rig: Rig) -> XArm:
    """Never connected: its clock and its connection are those of a :class:`FlyingArm`."""
    return XArm("127.0.0.1", rig, ArmParams(mode="velocity"))


class FlyingArm:
    """The driver over a controller of a few lines, whose axes, each by itself as the driver counts, ramp and brake.

    It takes the driver's private parts in hand: thousands of commands are tried, by a turned clock and without a wire.
    """

    def __init__(
        self, driver: XArm, acceleration_m_s2: float, start_m: np.ndarray, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.driver, self.fence = driver, driver.fence
        self.params = driver._params = replace(driver._params, acceleration_m_s2=acceleration_m_s2)
        driver._last_velocity, driver._velocity_ends_s = np.zeros(3), 0.0
        driver._link.history.clear()
        self.xyz, self.velocity = start_m.copy(), np.zeros(3)
        self.sent: list[Sent] = []
        self._now, self._wanted, self._until = 1000.0, np.zeros(3), 0.0
        self.driver._link.motion = SimpleNamespace(vc_set_cartesian_velocity=self._take)
        monkeypatch.setattr("control.arms.xarm.driver.time", SimpleNamespace(monotonic=lambda: self._now))

    def command(self, velocity_m_s: np.ndarray, wait_s: float) -> None:
        """Wish for a velocity, as a step from a target at which the arm already is, and let time pass."""
        self.driver._link.history.add(Pose(self._now, self.xyz.copy(), np.zeros(7)))
        ends_s, last = self.driver._velocity_ends_s, self.driver._last_velocity
        before = remaining_velocity(last, self._now - ends_s, self.params.velocity_braking_m_s2)
        self.driver._send_velocity(self.xyz + velocity_m_s * PERIOD_S, velocity_m_s * PERIOD_S, SPEED_M_S)
        self.sent.append(Sent(self.xyz.copy(), before, self._wanted.copy()))
        for _ in range(round(wait_s / TICK_S)):
            self._tick()

    def _take(self, speeds: list[float], duration: float) -> int:
        self._wanted, self._until = np.array(speeds[:3]) / 1000, self._now + duration
        return 0

    def _tick(self) -> None:
        wanted = self._wanted if self._now < self._until else np.zeros(3)
        change = self.params.velocity_braking_m_s2 * TICK_S
        self.velocity = self.velocity + np.clip(wanted - self.velocity, -change, change)
        self.xyz = self.xyz + self.velocity * TICK_S
        self._now += TICK_S


@given(start=vectors, wishes=commands, acceleration=st.floats(0.2, 4.0))
def test_no_sequence_of_commands_leaves_the_fence_or_changes_speed_at_once(driver, start, wishes, acceleration) -> None:
    low, high = driver.fence.low_m, driver.fence.high_m
    with pytest.MonkeyPatch.context() as patch:
        arm = FlyingArm(driver, acceleration, (low + high) / 2 + start * (high - low) / 2, patch)
        for wish, wait_s in wishes:
            arm.command(wish, wait_s)
            assert arm.fence.contains(arm.xyz, tolerance_m=TRACKING_M)
    for tcp, before, velocity in arm.sent:
        assert np.linalg.norm(velocity) <= SPEED_M_S + 1e-9
        here, braking = tcp + before * _WIRE_S, arm.params.velocity_braking_m_s2
        down = speed_within(here - low, -before, DURATION_S, braking)
        up = speed_within(high - here, before, DURATION_S, braking)
        assert np.all((velocity >= -down - 1e-9) & (velocity <= up + 1e-9))
        held_by_the_fence = (velocity >= up - 1e-9) | (velocity <= -down + 1e-9)
        change = np.where(held_by_the_fence, 0.0, velocity - before)
        assert np.linalg.norm(change) <= acceleration * PERIOD_S + 1e-9


def test_the_change_counts_from_what_is_left_once_the_duration_is_over(driver, monkeypatch) -> None:
    arm = FlyingArm(driver, 1.0, np.array([0.4, 0.0, 0.3]), monkeypatch)
    wishes = [(0.25, 0.1), (0.25, 0.1), (0.25, 0.1), (-0.25, 0.1), (-0.25, 0.6), (0.25, 0.1)]
    for speed, wait_s in wishes:
        arm.command(np.array([0.0, speed, 0.0]), wait_s)
    sent = [round(float(each.velocity[1]), 6) for each in arm.sent]
    assert sent == [0.1, 0.2, 0.25, 0.15, 0.05, 0.1]


@pytest.mark.realtime
def test_the_wire_never_sees_a_jump_of_the_velocity(rig: Rig) -> None:
    params = ArmParams(mode="velocity")
    with ControllerTwin(rig) as twin, XArm(twin.host, rig, params) as arm:
        for step in paced([0.025] * 4 + [-0.025] * 5):
            arm.move(np.array([0.0, step, 0.0]))
        commands = [(at_s, each) for at_s, each in twin.log if each.register == Register.VC_SET_CARTV]
    sent = [np.array(each.floats(3)) / 1000 for _, each in commands]
    assert len(sent) == 9
    changes = np.linalg.norm(np.diff([np.zeros(3), *sent], axis=0), axis=1)
    # Where the machine lets a velocity run out before the next, the arm has braked meanwhile.
    ran_out_s = np.maximum(np.diff([commands[0][0], *(at_s for at_s, _ in commands)]) - DURATION_S, 0.0)
    most = params.acceleration_m_s2 / rig.rate_hz
    assert np.all(changes <= most + params.velocity_braking_m_s2 * ran_out_s + 1e-4)
    assert np.max(changes) >= most - 1e-4
    assert sent[-1][1] == pytest.approx(-SPEED_M_S, abs=1e-4)
