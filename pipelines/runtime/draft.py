"""One tick while it is being made; what there is of it when a stop comes is no less a tick."""

import math
from dataclasses import dataclass, field

import numpy as np

from datasets.rig.frame import Frame
from perception.estimator.estimate import PositionEstimate
from pipelines.runtime.tick import Tick, Timing, Vector


def _nothing() -> Vector:
    return np.full(3, np.nan)


@dataclass
class Draft:
    """What a tick has seen and done so far; what it has not come to is not a number, and nothing was sent.

    Attributes:
        taken_s, estimated_s, acted_s, done_s: ``time.monotonic`` when the frame was taken by the loop, the estimate was
            there, the command went out, and the arm had answered.
    """

    goal_index: int
    step: int
    goal: Vector
    started_s: float
    frame: Frame | None = None
    held: bool = False
    estimate: PositionEstimate = field(default_factory=lambda: PositionEstimate(_nothing(), _nothing()))
    tcp: Vector = field(default_factory=_nothing)
    tcp_at_frame: Vector = field(default_factory=_nothing)
    command: Vector = field(default_factory=_nothing)
    sent: Vector = field(default_factory=lambda: np.zeros(3))
    taken_s: float = math.nan
    estimated_s: float = math.nan
    acted_s: float = math.nan
    done_s: float = math.nan

    def broken_off(self, due_s: float) -> tuple[Tick, Frame] | None:
        """As it stands at a stop, None without a frame."""
        return None if self.frame is None else (self.tick(self.frame, due_s), self.frame)

    def begun_again(self) -> "Draft":
        """The same step with nothing seen yet."""
        return Draft(self.goal_index, self.step, self.goal, self.started_s)

    def tick(self, frame: Frame, due_s: float) -> Tick:
        """As it stands, with its frame; ``due_s`` is when it should have begun."""
        timing = Timing(
            self.taken_s - frame.timestamp,
            self.estimated_s - self.taken_s,
            self.acted_s - self.estimated_s,
            self.done_s - self.acted_s,
            self.done_s - self.taken_s,
            self.done_s - due_s,
        )
        return Tick(
            self.goal_index,
            self.step,
            self.started_s,
            frame.timestamp,
            self.goal,
            self.estimate.xyz,
            self.estimate.sigma,
            self.command,
            self.sent,
            self.tcp,
            self.tcp_at_frame,
            self.held,
            timing,
        )
