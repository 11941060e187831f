"""The pace of a control loop, for tests that command an arm without one."""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Thing = TypeVar("Thing")


def paced(things: Iterable[Thing], period_s: float = 0.1) -> Iterator[Thing]:
    """One after the other, with ``period_s`` after each, the last one too."""
    for thing in things:
        yield thing
        time.sleep(period_s)  # an arm is given its commands at a rate, whatever it does meanwhile
