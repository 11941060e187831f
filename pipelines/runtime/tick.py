"""The record of one tick of the control loop, and the result of one goal."""

import math
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from datasets.rig.frame import Frame
from pipelines.runtime.stops import Stop

Vector = NDArray[np.float64]


def _unknown() -> Vector:
    return np.full(3, np.nan)


@dataclass(frozen=True)
class Timing:
    """The durations within one tick, s.

    Attributes:
        age: from the capture of the frame until the loop took it.
        estimate: from the frame to the position.
        act: from the position to the command, with all checks.
        move: from handing the command to the arm until its reply, or for ``reply_wait_s`` if none comes: while the
            controller stalls, the command may still wait for the previous one.
        reaction: from the loop taking the frame to the end of ``move``, the sum of the three.
        busy: from the time the tick was due until everything was done; longer than the period is an overrun.
    """

    age: float
    estimate: float
    act: float
    move: float
    reaction: float
    busy: float


@dataclass(eq=False, kw_only=True)
class Tick:
    """One step of one goal; positions ``(3,)`` m in the base frame, times s on ``time.monotonic``.

    The loop fills it in step by step, and gives it to observers at the end. If a stop came before a value was known,
    the value is NaN, and nothing was sent.

    Attributes:
        time_s: when it began; ``due_s``: when it should have begun.
        frame_time_s: when the camera took its frame; ``taken_s``: when the loop took it.
        held: the arm was commanded to stay at its last target, for the reason ``why_held``.
        command: the displacement that the policy asked for; zero when held.
        sent: the displacement that the arm took after fence and limits (in shadow: that it would have taken).
        tcp: the encoders' position now; ``tcp_at_frame``: when the frame was taken; NaN without an arm.
        estimated_s, acted_s, done_s: when the estimate was known, the command was sent, and the arm had answered.
    """

    goal_index: int
    step: int
    goal: Vector
    time_s: float
    due_s: float
    frame_time_s: float
    taken_s: float
    held: bool = False
    estimate: Vector = field(default_factory=_unknown)
    sigma: Vector = field(default_factory=_unknown)
    command: Vector = field(default_factory=_unknown)
    sent: Vector = field(default_factory=lambda: np.zeros(3))
    tcp: Vector = field(default_factory=_unknown)
    tcp_at_frame: Vector = field(default_factory=_unknown)
    estimated_s: float = math.nan
    acted_s: float = math.nan
    done_s: float = math.nan

    @property
    def timing(self) -> Timing:
        """The durations within this tick."""
        return Timing(
            age=self.taken_s - self.frame_time_s,
            estimate=self.estimated_s - self.taken_s,
            act=self.acted_s - self.estimated_s,
            move=self.done_s - self.acted_s,
            reaction=self.done_s - self.taken_s,
            busy=self.done_s - self.due_s,
        )

    def hold(self) -> None:
        """Keep the arm at its last target: without a command its previous velocity (mode 5) would continue."""
        self.held, self.command = True, np.zeros(3)

    @property
    def is_estimated(self) -> bool:
        """Whether the frame's estimate is known, and finite; it may be too uncertain to act on."""
        return bool(np.all(np.isfinite([self.estimate, self.sigma])))

    @property
    def why_held(self) -> str:
        """Why the arm was commanded to stay: there was no new frame, or its estimate was too uncertain."""
        if not self.is_estimated:
            return "frame seen before"
        return f"uncertain estimate (sigma {1e3 * self.sigma.max():.0f} mm)"

    @property
    def error_m(self) -> float:
        """Distance of the estimate to the goal, m."""
        return float(np.linalg.norm(self.estimate - self.goal))


Seen = tuple[Tick, Frame]
"""A tick and the frame that it acts on."""


@dataclass(frozen=True)
class GoalResult:
    """How one goal ended.

    Attributes:
        ticks: all of them, or an empty list (:meth:`without_ticks`).
        final_tcp: the encoders' last position; ``final_target``: where the arm was last sent (None after a stop).
        residual_m: distance of the encoders' TCP to the goal once the arm was at rest, m; infinite after a stop, NaN
            without an arm.
        stop: why the goal was cut short, if it was, noticed at ``noticed_s`` (``time.monotonic``); ``stopped_in_s`` is
            the time from then until the arm confirmed its stop, None if it did not.
        broken_off: the tick during which the stop came, with its frame, if it had one already. Values that it had not
            reached are NaN; ``sent`` is zero, or NaN if the arm did not take the command.
        steps: number of ticks; ``last_seen``: the last of them that was not held, None without one.
    """

    goal: Vector
    ticks: list[Tick] = field(repr=False)
    final_tcp: Vector
    residual_m: float
    final_target: Vector | None = None
    stop: Stop | None = None
    noticed_s: float = float("nan")
    stopped_in_s: float | None = None
    broken_off: Seen | None = field(default=None, repr=False)
    steps: int = 0
    last_seen: Tick | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.ticks:
            seen = (tick for tick in reversed(self.ticks) if not tick.held)
            object.__setattr__(self, "steps", len(self.ticks))
            object.__setattr__(self, "last_seen", next(seen, None))

    @property
    def estimated_residual_m(self) -> float:
        """Distance of the last estimate to the goal, m, thus by the camera alone; infinite without an estimate."""
        return float("inf") if self.last_seen is None else self.last_seen.error_m

    def without_ticks(self) -> Self:
        """A copy with the last tick only: about 2 KB, instead of 2 KB for every tick."""
        return replace(self, ticks=[], broken_off=None)
