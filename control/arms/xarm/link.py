"""The link to one xArm controller: two connections, their reports, the watch over both, and stopping."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from control.arms.arm import Vector
from control.arms.fence import Fence
from control.arms.params import ArmParams
from control.arms.xarm.controller_errors import (
    NOT_CARRIED_OUT,
    STOPPED,
    describe_error,
    describe_return,
    describe_state,
    describe_warning,
)
from control.arms.xarm.report_proof import ReportProof
from control.arms.xarm.wire.pose_history import Pose, PoseHistory
from control.arms.xarm.wire.sdk import call_sdk, close_apis, is_wire_up, open_api, wait_until
from control.arms.xarm.wire.sender import CommandSender
from control.arms.xarm.wire.stopper import Order, RestReports, Stopper
from datasets.common.errors import DeviceError, SafetyStop
from datasets.common.silence_timer import SilenceTimer
from datasets.common.suspension import Suspension

logger = logging.getLogger(__name__)

READY_STATES = frozenset({0, 1, 2})
_EVENTS = 1000
"""Number of events kept; older ones are dropped."""
_WATCH_PERIOD_S = 0.01
_SDK_TIMEOUT_S = 1.0
"""Timeout of velocity calls, s: longer than the watch's deadline for replies, so that the watch decides."""
_RICH_DEADLINE_S = 0.7
"""Longest silence, s, of the rich reports, which come every 0.2 s."""
_REST_S, _REST_RAD = 0.1, 1e-3
"""The arm is at rest if no joint turned by more than this angle, rad, within this time, s: at most 7 mm/s at full
reach."""
_CONFIRM_S = 0.38
"""Longest time, s, until the reports show a stop: it covers a second try by the other connection, braking, and two rich
reports if these are needed."""
_LOOK_AGAIN_S = 0.2
"""Time, s, after a confirmed stop at which the link checks whether the arm still stands."""
_NAMED_S = 0.15
"""Longest time, s, that a caller waits for the cause of a symptom; the stop is sent before the cause is asked for."""


class ControllerLink:
    """Both connections to one controller.

    ``motion`` carries commands and 100 Hz reports of pose, mode and state; ``guard`` stops and reports error codes
    (5 Hz), because a call that stalls blocks its own connection (*assumed: two-connections*). While :attr:`armed`, a
    watch checks reports, replies, state and errors every 10 ms, and stops the arm without waiting for any other thread.
    The controller is only queried after a symptom has stopped the arm, to name its cause.

    Args:
        host: the controller's IPv4 address.
        params: deadlines and margins.
        fence: the watch stops an arm that is farther outside than ``params.controller_margin_m``.
    """

    def __init__(self, host: str, params: ArmParams, fence: Fence) -> None:
        self._host, self._params, self._fence = host, params, fence
        self.motion: Any = None
        self.guard: Any = None
        self.history = PoseHistory(max_gap_s=params.report_deadline_s)
        self.orientation_rad: tuple[float, ...] = (0.0, 0.0, 0.0)
        self.mode = self.state = 0
        self.fault: str | None = None
        self.stopped = False
        self.armed = False
        self.taken = False
        """Whether commands were sent to the controller; one that was only looked at is left as it is."""
        self.expected: tuple[Vector, float] | None = None
        """Where the TCP is meant to be ``(3,)`` m, and how far off it may be, m; None while that is not known."""
        self.proof: ReportProof | None = None
        """Judges every 100 Hz report from the moment it is set."""
        self.checks: tuple[Callable[[], str | None], ...] = ()
        """Further checks that the watch makes every time; each returns a fault in words, or None."""
        self.put_back: Callable[[bool], None] | None = None
        """Restores the controller's settings, or reports what stays changed if no stop was confirmed; never raises."""
        # A list, because one thread may copy it while another appends: a deque would raise then.
        self._events: list[tuple[float, str]] = []
        self._driving_mode = self._warning = self._standing_warning = 0
        self._passed_modes: tuple[int, ...] = ()
        self._reported_at = self._rich_reported_at = 0.0
        self._sender: CommandSender[Callable[[], int]] | None = None
        self._watch_thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._silences = (SilenceTimer(), SilenceTimer(), SilenceTimer())
        self._suspension = Suspension()
        self._stoppers: tuple[tuple[Any, Stopper], ...] = ()
        self._rest_reports = (RestReports(), RestReports())
        self._stood: tuple[float, Vector] | None = None
        """Time and joints ``(7,)`` rad of a confirmed stop; None once that stop has been verified again."""
        self._stopped_again = self._looked_again = False
        self._fault_lock, self._cause_asked = threading.Lock(), threading.Event()

    @property
    def is_open(self) -> bool:
        """Whether any connection is held."""
        return self.motion is not None or self.guard is not None

    def open(self) -> None:
        """Open both connections and wait for their reports; after a DeviceError, close the link."""
        self.fault, self.stopped, self.taken, self.expected, self._warning = None, False, False, None, 0
        self.proof, self.checks, self.put_back = None, (), None
        self._stood, self._stopped_again, self._looked_again = None, False, False
        self._cause_asked.clear()
        self._closing.clear()
        for reports in (self.history, *self._rest_reports):
            reports.clear()
        self._reported_at = self._rich_reported_at = 0.0
        self.motion = open_api(self._host, "real")
        self.motion.register_report_callback(self._on_report)
        self.guard = open_api(self._host, "rich")
        self.guard.register_report_callback(self._on_rich_report)
        self._stoppers = tuple((api, Stopper(partial(api.set_state, STOPPED))) for api in (self.guard, self.motion))
        if not wait_until(lambda: bool(self._reported_at and self._rich_reported_at), 3.0):
            raise DeviceError("the controller sends no reports; restart it, and look for a firewall")

    def require_rest(self) -> None:
        """Raises SafetyStop if the reports show that somebody else moves the arm, and DeviceError without reports."""
        if not wait_until(lambda: self.history.span_s >= _REST_S, 1.0):
            raise DeviceError("the controller has stopped reporting the arm's position; restart it")
        newest = self.history.latest
        turned = float(np.max(np.abs(newest.joints - self.history.at(newest.time - _REST_S).joints)))
        if turned > _REST_RAD:
            raise SafetyStop(
                "the arm is moving, though nothing was commanded from here; end the other program, or stop the motion "
                "in the vendor's studio, then start again"
            )

    def arm(self, driving_mode: int) -> None:
        """Take commands from here on, and watch; raises SafetyStop when somebody stopped the arm meanwhile."""
        if self.stopped:
            raise SafetyStop("the arm was stopped while it was being connected")
        self.settle(driving_mode)
        call_sdk("set_timeout", lambda: self.motion.set_timeout(_SDK_TIMEOUT_S))
        call_sdk("set_timeout", lambda: self.guard.set_timeout(self._params.stop_timeout_s))
        self._driving_mode, self._standing_warning = driving_mode, self.guard.warn_code
        self._sender = CommandSender(self._make, self._refused)
        self._suspension = Suspension()
        self.armed = True
        self._watch_thread = threading.Thread(target=self._watch, daemon=True, name="xarm watch")
        self._watch_thread.start()

    def settle(self, mode: int) -> None:
        """Wait until the 100 Hz reports, too, show a ready arm in ``mode``: an older one may still be unread.

        Raises:
            DeviceError: the reports do not show this within 2 s.
        """
        if not wait_until(lambda: self.mode == mode and self.state in READY_STATES, 2.0):
            raise DeviceError(
                f"the arm reports mode {self.mode}, {describe_state(self.state)}, not ready in mode {mode}"
            )

    def post(self, call: Callable[[], int]) -> None:
        """Make one SDK call that returns a code, on the sender's thread; raises the error that stopped the arm."""
        self.require_ready()
        if self._sender is None:
            raise DeviceError("the arm is not connected; call connect() first")
        self._sender.post(lambda: 0 if self.stopped or self.fault else call(), self._params.reply_wait_s)
        self.require_ready()

    def pose_at(self, time_s: float) -> Pose:
        """The pose at a moment, or the newest; raises DeviceError when no report is near it.

        If the newest report is old, wait for the next one as long as the watch sees no fault: only the watch decides
        whether reports are missing, since it knows for how long this process was suspended.
        """
        deadline = self._params.report_deadline_s
        if self.is_open and time.monotonic() - self._reported_at > deadline:
            wait_until(lambda: self.fault is not None or time.monotonic() - self._reported_at < deadline, deadline)
        return self.history.at(time_s)

    def fresh_pose(self) -> Pose:
        """The newest pose; raises DeviceError when it is too old."""
        return self.pose_at(time.monotonic())

    @property
    def commanded_at(self) -> float | None:
        """When the newest command was handed to the SDK, s on ``time.monotonic``; None before the first."""
        return None if self._sender is None else self._sender.last_sent_s

    def require_ready(self) -> None:
        """Raises DeviceError for a fault or a closed link, SafetyStop after a stop."""
        if self.fault is not None:
            self._cause_asked.wait(_NAMED_S)
            raise DeviceError(self.fault)
        if self.stopped:
            raise SafetyStop("the arm was stopped; connect it again when it is safe to go on")
        if not self.armed:
            raise DeviceError("the arm is not connected; call connect() first")

    @contextlib.contextmanager
    def other_mode(self, mode: int) -> Iterator[None]:
        """Allow a change to ``mode`` and back inside the context; everything else is watched as before."""
        driving = self._driving_mode
        self._passed_modes, self._driving_mode = (driving, mode), -1
        try:
            yield
        finally:
            self._driving_mode = driving

    def stop(self) -> bool:
        """Stop now and stay stopped; takes some 20 ms more than the arm takes to brake, and at most about 0.4 s.

        Returns whether later reports show the arm stopped and at rest; False also if the link is closed.
        """
        self.stopped = True
        # Sent again even if the arm was stopped: the present reports may be older than that stop.
        return self.guard is not None and self._halt()

    def close(self) -> None:
        """Stop the arm, if commands were sent to it, and close both connections; idempotent, never raises.

        If a stop has not been verified a second time yet, this is done now, which takes up to 0.2 s.
        """
        if not self.is_open:
            return
        self.armed, self.stopped = False, True
        looked_again, confirmed = self._looked_again, self.taken and self.guard is not None and self._halt()
        self._closing.set()
        if self._watch_thread is not None and self._watch_thread is not threading.current_thread():
            self._watch_thread.join(1.0)
        if confirmed and not looked_again:
            wait_until(self._look_again, 2 * _LOOK_AGAIN_S)
        put_back, self.put_back = self.put_back, None
        if put_back is not None:
            put_back(confirmed)
            if confirmed:
                self._halt()
        if self._sender is not None:
            self._sender.close()
        for _, stopper in self._stoppers:
            stopper.close()
        close_apis(*(api for api in (self.motion, self.guard) if api is not None))
        self.motion = self.guard = self._sender = self._watch_thread = None
        self._stoppers = ()
        self.note("disconnected")

    def error_in_words(self) -> str:
        """Asks the controller for the error that caused a symptom; returns it in words, empty if there is none."""
        try:
            code, errors = call_sdk("get_err_warn_code", self.guard.get_err_warn_code)
        except DeviceError as error:  # the symptom matters more, and has stopped the arm already
            return f": {error}"
        return f": {describe_error(errors[0])}" if code == 0 and errors[0] != 0 else ""

    def note(self, event: str) -> None:
        """Add an event to the log of the run."""
        self._events.append((time.monotonic(), event))
        del self._events[:-_EVENTS]

    @property
    def events(self) -> tuple[tuple[float, str], ...]:
        """The newest events with their times, s on ``time.monotonic``."""
        return tuple(self._events)

    def _on_report(self, item: dict[str, Any]) -> None:
        now = time.monotonic()
        pose = np.array(item["cartesian"])
        self.orientation_rad = tuple(pose[3:])
        self.state, self.mode = item["state"], self.motion.mode if self.motion is not None else 0
        time_s, joints = now - self._params.report_delay_s, np.array(item["joints"][:7])
        self.history.add(Pose(time_s, pose[:3] / 1000, joints))
        if self.proof is not None:
            self.proof.look(now, item["cartesian"], item["joints"][:7], self.motion.report_data)
        self._rest_reports[0].add(time_s, self.state, self._known(joints))
        self._reported_at = now

    def _on_rich_report(self, item: dict[str, Any]) -> None:
        self._rich_reported_at = now = time.monotonic()
        joints = self._known(np.array(item["joints"][:7]))
        self._rest_reports[1].add(now - self._params.report_delay_s, item["state"], joints)

    def _known(self, joints: Vector) -> Vector:
        """The joints ``(7,)`` rad; NaN, which never counts as rest, if the reports are known to be false."""
        return np.full(7, np.nan) if self.proof is not None and self.proof.is_blind else joints

    def _watch(self) -> None:
        try:
            self._keep_watch()
        except Exception as error:  # an arm that is not watched must not go on moving
            self._fail(f"the watch over the arm failed ({type(error).__name__}: {error}); connect it again")

    def _keep_watch(self) -> None:
        looked = time.monotonic()
        while not self._closing.wait(_WATCH_PERIOD_S):
            now = time.monotonic()
            passed, looked = now - looked, now
            self._silences[0].look(self._reported_at, passed)
            self._silences[1].look(self._rich_reported_at, passed)
            self._silences[2].look(None if self._sender is None else self._sender.unanswered, passed)
            self._heed_warning()
            self._look_again()
            if self.fault is None and not self.stopped:
                fault = self._find_fault()
                if fault is not None and not self.stopped:
                    self._fail(fault)
            elif self.fault is not None and self.guard.error_code != 0:
                self._name_cause(describe_error(self.guard.error_code))

    def _heed_warning(self) -> None:
        """Log a warning of the controller once, when it begins, and once when it ends."""
        before, self._warning = self._warning, self.guard.warn_code
        if self._warning not in (0, before):
            told = f"the controller reports warning {describe_warning(self._warning)}"
            self.note(told)
            logger.warning("%s", told)
        elif before and not self._warning:
            self.note(f"the controller's warning W{before} is over")

    def _find_fault(self) -> str | None:
        if (slept_s := self._suspension.lasted_s()) > 0:
            return f"the computer slept for {slept_s:.1f} s while the arm was armed; switch its power saving off"
        if self.guard.error_code != 0:
            return f"the controller reports {describe_error(self.guard.error_code)}"
        if self._warning in NOT_CARRIED_OUT and self._warning != self._standing_warning:
            return f"the controller did not carry out a command: warning {describe_warning(self._warning)}"
        if self._driving_mode >= 0 and self.state not in READY_STATES:
            return f"the arm does not move any more: {describe_state(self.state)}"
        if self._driving_mode >= 0 and self.mode != self._driving_mode:
            return (
                f"the controller left mode {self._driving_mode} for mode {self.mode}; "
                "it does so after a fault, or because somebody else commands it"
            )
        if self._driving_mode < 0 and self.mode not in self._passed_modes:
            return f"the controller is in mode {self.mode}, which was not asked for; somebody else commands it"
        if not is_wire_up(self.motion) or not is_wire_up(self.guard):
            return "the connection to the controller broke; check the cable and that nobody restarted it"
        reports, rich_reports, replies = (silence.lasted_s for silence in self._silences)
        if reports > self._params.report_deadline_s:
            return f"no report of the arm's position for {reports * 1000:.0f} ms; check the cable and the controller"
        if rich_reports > _RICH_DEADLINE_S:
            return f"no report of the controller's errors for {rich_reports * 1000:.0f} ms; check the cable"
        if replies > self._params.command_deadline_s and self._sender is not None and self._sender.unanswered:
            return f"the controller has not answered a command for {replies * 1000:.0f} ms; check the cable"
        for fault in (check() for check in self.checks):
            if fault is not None:
                return fault
        tcp = self.history.latest.xyz
        if not self._fence.contains(tcp, tolerance_m=self._params.controller_margin_m):
            return f"the TCP is outside the fence, at {tcp.round(3).tolist()} m"
        if (expected := self.expected) is not None:
            target, most_m = expected
            off_m = float(np.linalg.norm(target - tcp))
            if off_m > most_m:
                return (
                    f"the arm is {off_m * 1000:.0f} mm from its target, more than {most_m * 1000:.0f} mm: it does not "
                    "carry out the commands, or somebody else commands it"
                )
        return None

    def _make(self, call: Callable[[], int]) -> int:
        """Make one call on the sender's thread; any exception of the call stops the arm."""
        try:
            return call()
        except Exception as error:
            if not self._closing.is_set() and not self.stopped:
                self._fail(str(error))
            return 0

    def _refused(self, code: int) -> None:
        if not self._closing.is_set() and not self.stopped:
            self._fail(f"the controller did not take the command ({describe_return(code)})")

    def _fail(self, fault: str) -> None:
        with self._fault_lock:
            if self.fault is not None:
                return
            self.fault = fault
        self.note(f"stopping: {fault}")
        try:
            self._halt(ask=True)
        finally:
            self._cause_asked.set()

    def _name_cause(self, cause: str) -> None:
        """Add to the fault an error that the controller, being slow, reported only after its symptoms."""
        with self._fault_lock:
            if self.fault is not None and cause and cause not in self.fault:
                self.fault = f"{self.fault}: {cause}"
                self.note(f"the cause: {cause}")

    def _halt(self, ask: bool = False) -> bool:
        """Send a stop to the controller: by the guard, and by the motion connection if the guard does not answer.

        Returns whether later reports show the arm stopped and at rest; the controller's reply is no proof of that.

        Args:
            ask: whether to ask the controller for the error, once a stop was acknowledged.
        """
        began, orders = time.monotonic(), list[Order]()
        for api, stopper in self._stoppers:
            if is_wire_up(api):
                orders.append(stopper.stop())
                answered = partial(self._is_answered, orders[-1], began)
                if wait_until(answered, self._params.stop_timeout_s, 0.005) and orders[-1].code in (0, None):
                    break
        if self._sender is not None:
            self._sender.drop()
        acknowledged = any(order.code == 0 for order in orders)
        if ask and acknowledged:
            self._name_cause(self.error_in_words().removeprefix(": "))
            self._cause_asked.set()
        if orders and wait_until(lambda: self._rests_since(began) is not None, _CONFIRM_S - (time.monotonic() - began)):
            self._stood = time.monotonic(), np.asarray(self._rests_since(began))
            if self.proof is not None:
                self.proof.stood()
            self.note(f"stop confirmed after {(time.monotonic() - began) * 1000:.0f} ms")
            return True
        why = ", which acknowledged it, but its reports do not show the arm stopped and at rest" if acknowledged else ""
        self._alarm(
            f"stop NOT confirmed by the controller{why}: the arm goes on to its last target at most; press the "
            "emergency stop"
        )
        return False

    def _is_answered(self, order: Order, since_s: float) -> bool:
        return order.code is not None or self._rests_since(since_s) is not None

    def _rests_since(self, time_s: float) -> Vector | None:
        """The joints ``(7,)`` rad if reports later than ``time_s`` show the arm stopped and at rest, else None."""
        found = (reports.rest_since(time_s) for reports in self._rest_reports)
        return next((joints for joints in found if joints is not None), None)

    def _look_again(self) -> bool:
        """Verify a stop again after 200 ms, and stop the arm once more if it moved; returns whether this is done."""
        if (stood := self._stood) is None:
            return True
        stood_s, joints = stood
        if time.monotonic() < stood_s + _LOOK_AGAIN_S:
            return False
        seen = [reports.gone_from(joints, stood_s + _LOOK_AGAIN_S / 2) for reports in self._rest_reports]
        words = next((each for each in seen if each is not None), None)
        if words is None:
            return False
        self._stood = None
        if not words:
            self._looked_again = True
            return True
        self._alarm(
            f"the arm was stopped, but {words}: another program commands it, or its controller does not keep the stop; "
            "press the emergency stop"
        )
        if not self._stopped_again:
            self._stopped_again = True
            self._halt()
        return True

    def _alarm(self, told: str) -> None:
        self.note(told)
        logger.error("%s", told)
