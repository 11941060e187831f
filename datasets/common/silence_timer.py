"""A timer of silence that counts only while this process ran."""


class SilenceTimer:
    """Measures the time without news for a watch that looks often.

    A process that the machine held up for half a second has not seen half a second of silence: what it waits for may
    lie unread in its sockets. So one look counts for at most ``longest_look_s``, however late it comes.

    Args:
        longest_look_s: most that one look adds.
    """

    def __init__(self, longest_look_s: float = 0.02) -> None:
        self._longest_look_s = longest_look_s
        self._news: object = None
        self.lasted_s = 0.0

    def look(self, news: object, since_last_look_s: float) -> float:
        """Seconds of silence, 0 when ``news`` (a time, a count) differs from what the last look saw."""
        if news != self._news:
            self._news, self.lasted_s = news, 0.0
        else:
            self.lasted_s += min(since_last_look_s, self._longest_look_s)
        return self.lasted_s
