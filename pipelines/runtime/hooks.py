"""Observers, gate and interruption of the control loop."""

from collections.abc import Callable
from dataclasses import dataclass, field

from datasets.rig.frame import Frame
from pipelines.runtime.interrupt import Interruption
from pipelines.runtime.tick import Seen, Tick, Vector
from pipelines.runtime.watchdog import Watchdog

Observer = Callable[[Tick, Frame], None]
"""Called with each tick and its frame after the command was sent; must return quickly and change neither."""

Gate = Callable[[Seen, Vector, Callable[[], Seen], Watchdog], Seen]
"""Called before a command is sent, with the previous step and a function that looks again: see
:mod:`pipelines.runtime.stepping`."""


@dataclass(frozen=True)
class Hooks:
    """The hooks of one run.

    Attributes:
        observers: called with every tick, after its command was sent.
        gate: called before every command that moves (``--step``); the loop's timing is then not judged.
        interrupted: when it is set (a signal handler does this), the loop stops at once.
    """

    observers: tuple[Observer, ...] = ()
    gate: Gate | None = None
    interrupted: Interruption = field(default_factory=Interruption)
