"""A clock that tests turn by hand."""


class Clock:
    """Stands still until somebody turns it or waits by it."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        """As an event's that is never set."""
        self.now += seconds
        return False
