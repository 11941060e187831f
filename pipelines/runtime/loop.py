"""The control loop: a frame, an estimate, checks and a command at every tick, and one way to stop."""

import time
from dataclasses import dataclass
from functools import partial

import numpy as np

from control.arms.arm import Arm
from control.policies.policy import Observation, Policy
from perception.cameras.camera import Camera
from perception.estimator.estimate import Estimator
from pipelines.runtime.hooks import Hooks
from pipelines.runtime.monitor import Monitor
from pipelines.runtime.stops import Stop, StopReason, as_stop, faults_as, timed
from pipelines.runtime.tick import GoalResult, Seen, Tick, Vector
from pipelines.runtime.ticker import Ticker
from pipelines.runtime.watchdog import Watchdog


@dataclass(frozen=True)
class LoopSettings:
    """Times of the loop.

    Attributes:
        rate_hz: rate of the ticks.
        horizon: number of ticks for a goal.
        settle_s: time from the last tick until the arm is at rest.
        max_frame_age_s: largest age of a frame when the loop takes it.
        watchdog_s: longest silence of the loop.
    """

    rate_hz: float
    horizon: int
    settle_s: float
    max_frame_age_s: float
    watchdog_s: float


class Runtime:
    """Reaches goals with devices that are already connected.

    The loop never queries the controller: the encoders' TCP comes from its report stream. A tick without a new frame,
    or with an estimate that is too uncertain, commands the arm to stay at its last target.

    Args:
        estimator: the estimator, bound to the camera.
        arm: the arm; if it never moves, the policy is given 0 as the displacement sent.
    """

    def __init__(
        self,
        camera: Camera,
        estimator: Estimator,
        policy: Policy,
        arm: Arm,
        monitor: Monitor,
        settings: LoopSettings,
        hooks: Hooks,
    ) -> None:
        self._camera, self._estimator, self._policy, self._arm, self._monitor = camera, estimator, policy, arm, monitor
        self._settings, self._hooks = settings, hooks
        self._ticker = Ticker(1.0 / settings.rate_hz, wait=hooks.interrupted.wait)
        self._goal_index = -1
        self._sent_untold = np.zeros(3)
        self._under_way: Seen | None = None

    @property
    def overruns(self) -> int:
        """Ticks that took longer than the period, over all goals."""
        return self._monitor.overruns.total

    def reach(self, goal_m: Vector) -> GoalResult:
        """Steer the TCP to ``goal_m`` ``(3,)`` m for the whole horizon, then let it settle.

        A fault or a failed check stops the arm and ends the goal: the result contains the :class:`Stop`. An error that
        is not an ``Exception`` (a second Ctrl-C) stops the arm and is raised again.
        """
        goal, ticks = np.asarray(goal_m, dtype=float), list[Tick]()
        self._goal_index += 1
        self._sent_untold, self._under_way = np.zeros(3), None
        self._policy.reset()
        self._monitor.reset()
        self._ticker.reset()
        with Watchdog(self._settings.watchdog_s, self._arm.stop) as watchdog:
            try:
                self._set_out()
                for step in range(self._settings.horizon):
                    if self._ticker.wait():
                        raise self._hooks.interrupted.stop()
                    tick, frame = self._tick(step, goal, ticks[-1].sent if ticks else np.zeros(3), watchdog)
                    ticks.append(tick)
                    for observer in self._hooks.observers:
                        observer(tick, frame)
                    if self._hooks.gate is None:
                        self._monitor.overruns.check(time.monotonic() - tick.due_s, self._ticker.period_s)
                watchdog.rest()
                tcp = self._settle()
            except BaseException as error:
                silent_s = self._settings.watchdog_s if watchdog.has_fired else None
                watchdog.rest()
                times = timed(self._arm.stop)
                if not isinstance(error, Exception):
                    raise
                interruption = self._hooks.interrupted.stop if self._hooks.interrupted.is_set() else None
                stop = as_stop(error, silent_s=silent_s, interruption=interruption)
                last_tcp = ticks[-1].tcp if ticks else np.full(3, np.nan)
                return GoalResult(goal, ticks, last_tcp, np.inf, None, stop, *times, self._under_way)
        return GoalResult(goal, ticks, tcp, float(np.linalg.norm(tcp - goal)), self._arm.target)

    def _set_out(self) -> None:
        """Wait for a frame whose time the arm's reports cover; after ``max_frame_age_s`` the first tick decides."""
        until_s = time.monotonic() + self._settings.max_frame_age_s
        while (taken_s := self._camera.begin_goal(self._goal_index)) is not None:
            if self._arm.covers(taken_s) or time.monotonic() > until_s:
                return

    def _tick(self, step: int, goal: Vector, last_sent: Vector, watchdog: Watchdog) -> Seen:
        """Look, decide, send."""
        look = partial(self._look, step, goal, time.monotonic())
        watchdog.feed()
        tick, frame = look()
        if self._hooks.gate is not None and not tick.held:  # staying in place needs no permission
            tick, frame = self._hooks.gate((tick, frame), last_sent, look, watchdog)
            self._ticker.reset()
        if watchdog.has_fired:
            raise Stop(StopReason.WATCHDOG, "the loop was stuck before this command")
        tick.acted_s = time.monotonic()
        tick.sent = np.full(3, np.nan)  # unknown if the arm answers with a fault
        with faults_as(StopReason.ARM):
            tick.sent = self._arm.move(tick.command)
        tick.done_s = time.monotonic()
        if not self._arm.is_passive:
            self._sent_untold = self._sent_untold + tick.sent
        self._under_way = None
        return tick, frame

    def _look(self, step: int, goal: Vector, began_s: float) -> Seen:
        """The newest frame, and the policy's command for it after all checks."""
        self._under_way = None
        with faults_as(StopReason.CAMERA):
            frame = self._camera.read_latest(self._settings.max_frame_age_s)
        taken_s = time.monotonic()
        tick = Tick(
            goal_index=self._goal_index,
            step=step,
            goal=goal,
            time_s=began_s,
            due_s=self._ticker.due_s,
            frame_time_s=frame.timestamp,
            taken_s=taken_s,
        )
        self._under_way = tick, frame
        is_new = self._monitor.frame.check(frame.timestamp, taken_s)
        with faults_as(StopReason.ARM):
            tick.tcp = self._arm.tcp
        self._monitor.fence.check(tick.tcp)
        tick.estimated_s = taken_s
        if not is_new:
            self._hold(tick)
            return tick, frame
        with faults_as(StopReason.NO_ESTIMATE, "{} (a network gave no number, or the picture does not fit)"):
            estimate = self._estimator.estimate(frame)
        tick.estimate, tick.sigma, tick.estimated_s = estimate.xyz, estimate.sigma, time.monotonic()
        if not self._monitor.estimate.check(estimate, frame.timestamp):
            self._hold(tick)
            return tick, frame
        with faults_as(StopReason.ARM):
            tick.tcp_at_frame = self._arm.tcp_at(frame.timestamp)
        self._monitor.encoders.check(estimate.xyz, tick.tcp_at_frame)
        command = self._policy.act(Observation(estimate, goal, self._sent_untold))
        self._sent_untold = np.zeros(3)
        if np.shape(command) == (3,):
            tick.command = command
        self._monitor.command.check(command)
        return tick, frame

    def _hold(self, tick: Tick) -> None:
        """Keep the arm at its last target, and tell the policy that a period passes: its clock must not stand still."""
        tick.hold()
        self._policy.hold(self._sent_untold)
        self._sent_untold = np.zeros(3)

    def _settle(self) -> Vector:
        """Wait until the arm is at rest; returns its TCP, ``(3,)`` m."""
        if self._hooks.interrupted.wait(self._settings.settle_s):
            raise self._hooks.interrupted.stop()
        if (reason := self._arm.why_stopped()) is not None:  # no further command follows that would report it
            raise Stop(StopReason.ARM, reason)
        with faults_as(StopReason.ARM):
            tcp = self._arm.tcp
        self._monitor.fence.check(tcp)
        return tcp
