"""The control loop: at every tick frame, estimate, checks, command; and one way to stop."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from control.arms.arm import Arm
from control.policies.policy import Observation, Policy
from datasets.common.errors import DataError, DeviceError, SafetyStop
from datasets.rig.frame import Frame
from datasets.rig.projection import Intrinsics
from perception.cameras.camera import Camera
from perception.cameras.playback import RecordingEnded
from perception.cameras.run_recording import RecordedFrame
from perception.estimator.estimate import Estimator, PositionEstimate
from pipelines.runtime.draft import Draft
from pipelines.runtime.interrupt import Interruption
from pipelines.runtime.monitor import Monitor
from pipelines.runtime.stops import Stop, StopReason, timed
from pipelines.runtime.tick import GoalResult, Tick, Vector
from pipelines.runtime.ticker import Ticker
from pipelines.runtime.watchdog import Watchdog

Observer = Callable[[Tick, Frame], None]
"""Is shown each tick with its frame once the command is out; must return quickly and keep the frame unchanged."""

Gate = Callable[[Vector], None]
"""Asks the operator before the step ``(3,)`` m that would be sent; raises :class:`Stop` when refused."""

Preview = Callable[[Vector, Vector], Vector]
"""The step that the arm would make of a command, given the step sent before; both ``(3,)`` m."""

_SAME_STEP_M, _SAME_STEP_SHARE = 1e-3, 0.5
"""A step this near to the one that the operator agreed to, or by this share of its length, is not asked for again."""


@dataclass(frozen=True)
class View:
    """What the estimator is told about the camera; None: the rig's own values."""

    t_base_camera: NDArray[np.float64] | None = None
    intrinsics: Intrinsics | None = None


class Runtime:
    """Reaches goals with devices that are already connected.

    The controller is never asked anything within the loop: the encoders' TCP comes from its report stream. A tick
    without a new frame commands the arm to stay at its last target. Of a recorded run the first goal is shown the first
    goal's frames, and so on.

    Args:
        interrupted: set it (a signal handler does) and the loop stops at once.
        observers: shown every tick, after its command was sent.
        gate: asks before every command that moves (``--step``); the loop's timing is then not judged. A
            frame that is too old by the time of the answer is not acted on: another is looked at.
        preview: what the gate is shown of a command; the command itself where there is none.
        moving: False in shadow, where ``sent`` was not really sent and the policy is told so.
    """

    def __init__(
        self,
        camera: Camera,
        estimator: Estimator,
        policy: Policy,
        arm: Arm,
        monitor: Monitor,
        *,
        rate_hz: float,
        horizon: int,
        settle_s: float,
        max_frame_age_s: float,
        watchdog_s: float,
        view: View | None = None,
        observers: tuple[Observer, ...] = (),
        gate: Gate | None = None,
        preview: Preview = lambda command, last_sent: command,
        moving: bool = True,
        interrupted: Interruption | None = None,
    ) -> None:
        self._camera, self._estimator, self._policy, self._arm, self._monitor = camera, estimator, policy, arm, monitor
        self._horizon, self._settle_s, self._max_frame_age_s = horizon, settle_s, max_frame_age_s
        self._watchdog_s = watchdog_s
        self._view = View() if view is None else view
        self._observers, self._moving = observers, moving
        self._gate, self._preview = gate, preview
        self._interrupted = Interruption() if interrupted is None else interrupted
        self._ticker = Ticker(1.0 / rate_hz, wait=self._interrupted.wait)
        self._goal_index = self._shown_goal = -1
        self._draft: Draft | None = None
        self._ahead: Frame | None = None

    @property
    def overruns(self) -> int:
        """Ticks that took longer than the period, over all goals."""
        return self._monitor.overruns.total

    def reach(self, goal_m: Vector) -> GoalResult:
        """Steer the TCP to ``goal_m`` ``(3,)`` m for the whole horizon, then let it settle.

        A fault or a failed check stops the arm and ends the goal: the result carries the :class:`Stop`. What is not
        an ``Exception`` (a second Ctrl-C) stops the arm and is raised on.
        """
        self._goal_index += 1
        goal = np.asarray(goal_m, dtype=float)
        ticks: list[Tick] = []
        self._draft = None
        self._policy.reset()
        self._monitor.reset()
        self._ticker.reset()
        untold = np.zeros(3)  # sent since the policy last acted
        with Watchdog(self._watchdog_s, self._arm.stop) as watchdog:
            try:
                while self._shown_goal < self._goal_index:
                    # The first frame acted on was taken after the arm came to rest, as a recorded one was.
                    frame = self._camera.read()
                    self._shown_goal = self._goal_of(frame)
                    self._ahead = frame if isinstance(frame, RecordedFrame) else None
                for step in range(self._horizon):
                    if self._ticker.wait():
                        raise self._interrupted.stop()
                    draft = self._draft = Draft(self._goal_index, step, goal, time.monotonic())
                    tick, frame = self._tick(draft, untold, ticks[-1].sent if ticks else np.zeros(3), watchdog)
                    if self._moving:
                        untold = tick.sent + untold if tick.held else tick.sent
                    self._draft = None
                    ticks.append(tick)
                    for observer in self._observers:
                        observer(tick, frame)
                    if self._gate is None:
                        self._monitor.overruns.check(time.monotonic() - self._ticker.due_s, self._ticker.period_s)
                watchdog.rest()
                if self._interrupted.wait(self._settle_s):
                    raise self._interrupted.stop()
                if (reason := self._arm.why_stopped()) is not None:  # no command was left to be told so
                    raise Stop(StopReason.ARM, reason)
                tcp = self._encoders()
                self._monitor.fence.check(tcp)
            except BaseException as error:
                stuck = watchdog.has_fired
                watchdog.rest()
                times = timed(self._arm.stop)
                if not isinstance(error, Exception):
                    raise
                stop = self._as_stop(error, stuck)
                broken_off = None if self._draft is None else self._draft.broken_off(self._ticker.due_s)
                return GoalResult(goal, ticks, self._last_tcp(ticks), np.inf, None, stop, *times, broken_off)
        return GoalResult(goal, ticks, tcp, float(np.linalg.norm(tcp - goal)), self._arm.target)

    def _tick(self, draft: Draft, untold: Vector, last_sent: Vector, watchdog: Watchdog) -> tuple[Tick, Frame]:
        watchdog.feed()
        frame = self._look(draft, untold)
        if self._gate is not None and not draft.held:  # to stay where it is needs nobody's leave
            draft, frame = self._ask(self._gate, draft, frame, last_sent, watchdog)
        if watchdog.has_fired:
            raise Stop(StopReason.WATCHDOG, "the loop was stuck before this command")
        draft.acted_s = time.monotonic()
        draft.sent = np.full(3, np.nan)  # unknown, should the arm answer with a fault
        draft.sent = self._move(draft.command)
        draft.done_s = time.monotonic()
        return draft.tick(frame, self._ticker.due_s), frame

    def _look(self, draft: Draft, untold: Vector) -> Frame:
        """A frame and what the policy wants at its sight, every check passed; written into ``draft`` as it comes."""
        frame = self._frame()
        draft.frame, draft.taken_s = frame, time.monotonic()
        draft.held = not self._monitor.frame.check(frame.timestamp, draft.taken_s)
        draft.tcp = self._encoders()
        self._monitor.fence.check(draft.tcp)
        draft.estimated_s = draft.taken_s
        if draft.held:
            draft.command = np.zeros(3)  # without one the velocity before (mode 5) would go on
            return frame
        draft.estimate = self._estimate(frame)
        draft.estimated_s = time.monotonic()
        self._monitor.estimate.check(draft.estimate, frame.timestamp)
        draft.tcp_at_frame = self._encoders(frame.timestamp)
        self._monitor.encoders.check(draft.estimate.xyz, draft.tcp_at_frame)
        command = self._policy.act(Observation(draft.estimate, draft.goal, untold))
        if np.shape(command) == (3,):
            draft.command = command
        self._monitor.command.check(command)
        return frame

    def _estimate(self, frame: Frame) -> PositionEstimate:
        try:
            return self._estimator.estimate(frame, self._view.t_base_camera, self._view.intrinsics)
        except DataError as error:
            raise Stop(
                StopReason.NO_ESTIMATE, f"{error} (a network gave no number, or the picture does not fit)"
            ) from error

    def _ask(
        self, gate: Gate, draft: Draft, frame: Frame, last_sent: Vector, watchdog: Watchdog
    ) -> tuple[Draft, Frame]:
        """Ask the operator; where the frame grew too old meanwhile, look again, and ask again if another step came."""
        while True:
            shown = self._step_of(draft.command, last_sent)
            watchdog.rest()
            gate(shown)
            watchdog.feed()
            self._ticker.reset()
            if not self._moving or time.monotonic() - frame.timestamp <= self._max_frame_age_s:
                return draft, frame
            draft, frame = self._look_again(draft, watchdog)
            change_m = float(np.linalg.norm(self._step_of(draft.command, last_sent) - shown))
            if change_m <= max(_SAME_STEP_M, _SAME_STEP_SHARE * float(np.linalg.norm(shown))):
                return draft, frame

    def _look_again(self, draft: Draft, watchdog: Watchdog) -> tuple[Draft, Frame]:
        """The same step, at the sight of a frame that was not acted on before."""
        while True:
            draft = self._draft = draft.begun_again()
            frame = self._look(draft, np.zeros(3))
            if not draft.held:
                return draft, frame
            watchdog.feed()
            if self._interrupted.wait(self._ticker.period_s):
                raise self._interrupted.stop()

    def _frame(self) -> Frame:
        try:
            frame = self._read()
        except RecordingEnded as ended:
            raise Stop(StopReason.RECORDING_ENDED, str(ended)) from ended
        except (DeviceError, DataError) as error:
            raise Stop(StopReason.CAMERA, str(error)) from error
        self._shown_goal = self._goal_of(frame)
        if self._shown_goal > self._goal_index:
            self._ahead = frame
            raise Stop(StopReason.RECORDING_ENDED, "it holds no more frames of this goal")
        return frame

    def _read(self) -> Frame:
        if self._ahead is None:
            return self._camera.read_latest(self._max_frame_age_s)
        frame, self._ahead = self._ahead, None
        return replace(frame, timestamp=time.monotonic())

    def _goal_of(self, frame: Frame) -> int:
        """The goal a frame was recorded for; the present one of any other frame."""
        return frame.goal_index if isinstance(frame, RecordedFrame) else self._goal_index

    def _encoders(self, time_s: float | None = None) -> Vector:
        with _faults_of_the_arm():
            return self._arm.tcp if time_s is None else self._arm.tcp_at(time_s)

    def _move(self, command: Vector) -> Vector:
        with _faults_of_the_arm():
            return self._arm.move(command)

    def _step_of(self, command: Vector, last_sent: Vector) -> Vector:
        with _faults_of_the_arm():
            return self._preview(command, last_sent)

    def _as_stop(self, error: Exception, stuck: bool) -> Stop:
        """The reason to report: the watchdog's when it has fired, since later faults follow from it."""
        if stuck:
            return Stop(StopReason.WATCHDOG, f"no tick for {self._watchdog_s * 1e3:.0f} ms; then {error}")
        if self._interrupted.is_set() and not (isinstance(error, Stop) and error.reason is StopReason.OPERATOR):
            return self._interrupted.stop(f"; then {error}")
        if isinstance(error, Stop):
            return error
        if isinstance(error, RecordingEnded):
            return Stop(StopReason.RECORDING_ENDED, str(error))
        if isinstance(error, DataError | DeviceError):
            return Stop(StopReason.CAMERA, str(error))
        stop = Stop(StopReason.SOFTWARE, f"{type(error).__name__}: {error}")
        stop.__cause__ = error
        return stop

    def _last_tcp(self, ticks: list[Tick]) -> Vector:
        return ticks[-1].tcp if ticks else np.full(3, np.nan)


@contextmanager
def _faults_of_the_arm() -> Iterator[None]:
    try:
        yield
    except Stop:
        raise
    except (DeviceError, SafetyStop) as error:
        raise Stop(StopReason.ARM, str(error)) from error
