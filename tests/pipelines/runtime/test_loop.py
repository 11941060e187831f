"""The control loop on a world of one point: it reaches, and every fault stops it in time and says why."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from control.arms.xarm.wire.sdk import wait_until
from datasets.common.errors import DataError, DeviceError, SafetyStop
from pipelines.runtime.stops import Stop, StopReason

pytestmark = pytest.mark.realtime

GOAL = np.array([0.45, 0.08, 0.30])


def test_reaches_the_goal(world):
    result = world.runtime().reach(GOAL)
    assert result.stop is None
    assert result.residual_m < 1e-3
    assert len(result.ticks) == world.horizon
    assert world.policy.resets == 1
    assert world.arm.stopped_at is None


def test_the_policy_hears_what_was_sent_not_what_it_asked_for(world):
    world.policy.override = np.array([0.0, 0.0, -1.0])
    world.runtime().reach(GOAL)
    for before, after in zip(world.arm.moves, world.policy.seen[1:], strict=False):
        np.testing.assert_array_equal(after.last_command, before)


def test_nothing_the_policy_sees_comes_from_the_encoders(world):
    world.horizon = 3
    world.runtime().reach(GOAL)
    plain = [observation.estimate.xyz for observation in world.policy.seen]
    world.arm.home()
    world.policy.seen.clear()
    world.arm.offset_seen = np.full(3, 0.005)
    world.runtime().reach(GOAL)
    np.testing.assert_array_equal(plain, [observation.estimate.xyz for observation in world.policy.seen])


def test_a_fault_while_the_arm_settles_is_a_stop(world, monkeypatch):
    monkeypatch.setattr(world.arm, "why_stopped", lambda: "the controller reports C31")
    result = world.runtime().reach(GOAL)
    assert len(result.ticks) == world.horizon
    assert result.stop.reason is StopReason.ARM
    assert "C31" in str(result.stop)
    assert world.arm.stopped_at is not None


def test_what_ctrl_c_brings_about_in_mid_tick_is_the_operators_stop(world):
    def interrupt(command):
        world.interrupted.set()
        world.arm.fault = SafetyStop("the arm was stopped")

    world.ask = interrupt
    result = world.runtime().reach(GOAL)
    assert result.stop.reason is StopReason.OPERATOR
    assert "interrupted (Ctrl-C); then arm fault: the arm was stopped" in str(result.stop)


@pytest.mark.parametrize("age_s", [0.0, 0.1, 0.3, 0.38])
def test_the_first_frame_acted_on_is_one_the_arms_reports_cover(world, age_s, monkeypatch):
    reported_s = [0.0]

    def tcp_at(time_s):
        if time_s < reported_s[0]:
            raise DeviceError(f"the arm's reports go back {time.monotonic() - reported_s[0]:.1f} s")
        return world.arm.tcp

    monkeypatch.setattr(world.arm, "tcp_at", tcp_at)
    world.camera.age_s, world.horizon = age_s, 5
    runtime = world.runtime()
    for _ in range(3):  # the start, and each goal after a restart of the reports
        reported_s[0] = time.monotonic()
        result = runtime.reach(GOAL)
        assert result.stop is None
        assert result.ticks[0].frame_time_s >= reported_s[0]


def test_an_arm_that_never_covers_a_frame_is_stopped_and_told_why(world, monkeypatch):
    def tcp_at(time_s):
        raise DeviceError("the arm's reports go back 0.1 s")

    monkeypatch.setattr(world.arm, "tcp_at", tcp_at)
    result = world.runtime().reach(GOAL)
    assert result.stop.reason is StopReason.ARM
    assert "reports go back" in str(result.stop)


def freeze(world):
    world.camera.frozen = world.camera.read_latest(1.0)


def repeat(world):
    world.camera.frozen = world.camera.newest


def unplug(world):
    world.camera.fault = DeviceError("the camera was unplugged")


def stop_controller(world):
    world.arm.fault = DeviceError("controller error 31: collision")


FAULTS = {
    "camera frozen": (repeat, {StopReason.REPEATED_FRAME}),
    "frames late": (lambda world: setattr(world.camera, "age_s", 0.5), {StopReason.STALE_FRAME}),
    "camera unplugged": (unplug, {StopReason.CAMERA}),
    "frame of a wrong size": (lambda w: setattr(w.camera, "fault", DataError("frame is 3x3")), {StopReason.CAMERA}),
    "controller error": (stop_controller, {StopReason.ARM}),
    "unsure": (lambda world: setattr(world.estimator, "sigma", np.array([0.002, 0.002, 0.2])), {StopReason.UNCERTAIN}),
    "sigma nan": (lambda world: setattr(world.estimator, "sigma", np.full(3, np.nan)), {StopReason.NOT_FINITE}),
    "estimate nan": (lambda world: setattr(world.estimator, "error", np.full(3, np.nan)), {StopReason.NOT_FINITE}),
    "estimate jumps": (
        lambda world: setattr(world.estimator, "error", np.array([0.0, 0.2, 0.0])),
        {StopReason.JUMP, StopReason.DISAGREEMENT},
    ),
    "encoders elsewhere": (
        lambda world: setattr(world.arm, "offset_seen", np.array([0.0, 0.08, 0.0])),
        {StopReason.DISAGREEMENT},
    ),
    "command nan": (
        lambda world: setattr(world.policy, "override", np.array([0.0, np.nan, 0.0])),
        {StopReason.NOT_FINITE},
    ),
    "command of a wrong shape": (lambda w: setattr(w.policy, "override", np.zeros(2)), {StopReason.NOT_FINITE}),
    "arm thrown out of the fence": (
        lambda world: setattr(world.arm, "position", np.array([0.40, 0.0, 0.02])),
        {StopReason.OUTSIDE_FENCE},
    ),
    "loop stuck": (lambda world: setattr(world.estimator, "delay_s", 0.4), {StopReason.WATCHDOG}),
    "a bug": (lambda w: setattr(w.estimator, "fault", ZeroDivisionError("division by zero")), {StopReason.SOFTWARE}),
    "Ctrl-C": (lambda world: world.interrupted.set(), {StopReason.OPERATOR}),
}


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_stops_the_arm_within_its_deadline(world, settings, held_up, name):
    inject, reasons = FAULTS[name]
    held_up_before = []

    def break_down(world):
        held_up_before.append(held_up())
        inject(world)

    if name in ("frames late", "loop stuck"):
        world.settings = settings
    world.rate_hz = 10.0
    world.at_step = {2: break_down}
    result = world.runtime().reach(GOAL)
    lost_s = held_up() - held_up_before[0]
    assert result.stop is not None
    assert result.stop.reason in reasons
    assert len(str(result.stop)) > len(result.stop.reason.value)
    deadline_s = 0.25 + (world.settings.watchdog_s if name == "loop stuck" else 0.0)
    held_at = min((tick.time_s for tick in result.ticks if tick.held), default=np.inf)
    assert min(world.arm.stopped_at, held_at) - world.injected_at <= deadline_s + lost_s
    assert result.residual_m == np.inf
    moves = len(world.arm.moves)
    assert not wait_until(lambda: len(world.arm.moves) > moves, 0.05)


def test_a_loop_that_comes_back_after_the_watchdog_fired_sends_nothing(world, settings, monkeypatch):
    sent_at, move = [], world.arm.move
    monkeypatch.setattr(world.arm, "move", lambda command: sent_at.append(time.monotonic()) or move(command))
    world.settings, world.rate_hz = settings, 10.0
    world.at_step = {2: lambda world: setattr(world.estimator, "delay_s", 2 * settings.watchdog_s)}
    assert world.runtime().reach(GOAL).stop.reason is StopReason.WATCHDOG
    assert len(sent_at) == 3, "steps 0 to 2"
    assert max(sent_at) < world.arm.stopped_at


def test_a_camera_moved_by_20_mm_is_found_within_two_seconds(world):
    world.rate_hz = 10.0
    world.at_step = {3: lambda world: setattr(world.estimator, "error", np.array([0.02, 0.0, 0.0]))}
    result = world.runtime().reach(GOAL)
    assert result.stop.reason is StopReason.DRIFT
    assert world.arm.stopped_at - world.injected_at <= 2.0


def thaw(world):
    world.camera.frozen = None


def test_at_a_repeated_frame_the_arm_is_told_to_stay_at_its_target(world):
    world.at_step = {4: freeze, 6: thaw}
    result = world.runtime().reach(GOAL)
    assert result.stop is None
    assert [tick.step for tick in result.ticks if tick.held] == [6]
    assert len(world.policy.seen) == world.horizon - 1
    assert len(world.arm.moves) == world.horizon
    assert not world.arm.moves[6].any()
    np.testing.assert_array_equal(world.policy.told[6], world.arm.moves[5])
    np.testing.assert_array_equal(world.policy.seen[6].last_command, np.zeros(3))  # of step 7, the seventh look


def test_while_the_estimate_is_too_uncertain_the_arm_is_told_to_stay(world):
    sure = world.estimator.sigma
    world.at_step = {
        4: lambda w: setattr(w.estimator, "sigma", np.full(3, 0.2)),
        6: lambda w: setattr(w.estimator, "sigma", sure),
    }
    result = world.runtime().reach(GOAL)
    assert result.stop is None
    held = [tick for tick in result.ticks if tick.held]
    assert [tick.step for tick in held] == [5, 6]
    assert "uncertain estimate (sigma 200 mm)" in {tick.why_held for tick in held}
    assert not np.any([world.arm.moves[tick.step] for tick in held])
    assert len(world.policy.seen) == world.horizon - 2
    assert result.last_seen.step == world.horizon - 1


@pytest.mark.parametrize("seed", range(3))
def test_the_policy_hears_in_each_tick_what_was_sent_in_the_one_before(world, monkeypatch, seed):
    rng, last, move = np.random.default_rng(seed), [], world.arm.move
    fresh = world.camera.read_latest

    def stutter(max_age_s):
        if not last or rng.random() < 0.6:
            last[:] = [fresh(max_age_s)]
        return last[0]

    def glide(displacement_m):
        """As an arm whose change of displacement is limited: told to stay, it slows down only."""
        return move(displacement_m + 0.3 * (world.arm.moves[-1] if world.arm.moves else 0.0))

    monkeypatch.setattr(world.camera, "read_latest", stutter)
    monkeypatch.setattr(world.arm, "move", glide)
    world.settings = replace(world.settings, limits=replace(world.settings.limits, repeats_held=world.horizon))
    result = world.runtime().reach(GOAL)
    assert result.stop is None
    assert 5 < sum(tick.held for tick in result.ticks) < 30
    np.testing.assert_array_equal(world.policy.told, [np.zeros(3), *(tick.sent for tick in result.ticks[:-1])])


def test_single_overruns_are_counted_three_in_a_row_stop(world, settings):
    in_row = settings.limits.overruns_in_row
    world.settings = replace(world.settings, limits=replace(world.settings.limits, overruns_in_row=in_row))
    world.rate_hz, world.horizon = 10.0, 8
    world.at_step = {
        2: lambda w: setattr(w.estimator, "delay_s", 0.15),
        3: lambda w: setattr(w.estimator, "delay_s", 0),
    }
    runtime = world.runtime()
    result = runtime.reach(GOAL)
    assert result.stop is None
    late = [tick.step for tick in result.ticks if tick.timing.busy > 0.1]  # 3 alone, where the machine keeps up
    assert 3 in late
    assert runtime.overruns == len(late)
    world.arm.home()
    world.at_step = {2: lambda w: setattr(w.estimator, "delay_s", 0.15)}
    assert runtime.reach(GOAL).stop.reason is StopReason.OVERRUNS


def test_a_refused_step_stops(world):
    def refuse(command):
        raise Stop(StopReason.OPERATOR, "said no")

    world.ask = refuse
    result = world.runtime().reach(GOAL)
    assert result.stop.reason is StopReason.OPERATOR
    assert not world.arm.moves


def test_waiting_for_the_operator_is_no_overrun(world):
    world.horizon = 3
    world.ask = lambda command: time.sleep(0.3)  # for which the operator thinks
    runtime = world.runtime()
    assert runtime.reach(GOAL).stop is None
    assert runtime.overruns == 0


def test_in_shadow_the_policy_is_told_that_nothing_moved(world):
    world.arm.is_passive = True
    world.horizon = 5
    world.at_step = {1: freeze, 3: thaw}
    result = world.runtime().reach(GOAL)
    assert [tick.held for tick in result.ticks] == [False, False, False, True, False]
    assert len(world.policy.told) == world.horizon
    assert not np.any(world.policy.told)


def test_what_is_no_exception_stops_the_arm_and_is_raised_on(world):
    def kill(world):
        raise KeyboardInterrupt

    world.at_step = {2: kill}
    with pytest.raises(KeyboardInterrupt):
        world.runtime().reach(GOAL)
    assert world.arm.stopped_at is not None


def test_no_thread_is_left_behind(world):
    before = set(threading.enumerate())
    world.horizon = 2
    world.runtime().reach(GOAL)
    assert set(threading.enumerate()) <= before
