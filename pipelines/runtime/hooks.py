"""Observers, gate and interruption of the control loop."""

from collections.abc import Callable
from dataclasses import dataclass, field

from datasets.rig.frame import Frame
from pipelines.runtime.interrupt import Interruption
from pipelines.runtime.tick import Seen, Tick, Vector
from pipelines.runtime.watchdog import Watchdog

Observer = Callable[[Tick, Frame], None]
"""Is shown each tick with its frame once the command is out; must return quickly and keep both unchanged."""

Gate = Callable[[Seen, Vector, Callable[[], Seen], Watchdog], Seen]
"""Asks before a command is sent, given the step before and a way to look again: see :mod:`pipelines.runtime.stepping`.
"""


@dataclass(frozen=True)
class Hooks:
    """The hooks of one run.

    Attributes:
        observers: shown every tick, after its command was sent.
        gate: asks before every command that moves (``--step``); the loop's timing is then not judged.
        interrupted: set it (a signal handler does) and the loop stops at once.
    """

    observers: tuple[Observer, ...] = ()
    gate: Gate | None = None
    interrupted: Interruption = field(default_factory=Interruption)
