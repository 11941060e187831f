"""The log of a run, one event per line; it can be read while it is written, and after the process was killed."""

import contextlib
import json
import logging
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from datasets.common.errors import DataError

logger = logging.getLogger(__name__)


class RunLog:
    """Appends events to a JSON-lines file; each line is given to the operating system before :meth:`note` returns.

    A line holds ``time`` (UTC, for people), ``monotonic_s`` (the clock of frames and ticks), ``event`` and the values
    that belong to it. May be used from several threads. A disk that fails ends the log, not the run.

    Raises:
        DataError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", buffering=1)
        except OSError as error:
            raise DataError(f"{path}: cannot be written: {error.strerror}; choose another folder") from error

    def note(self, event: str, time_s: float | None = None, **more: Any) -> None:
        """Add one event, which happened now or at ``time_s`` of ``time.monotonic``."""
        happened = time.monotonic() if time_s is None else time_s
        wall = datetime.fromtimestamp(time.time() - time.monotonic() + happened, UTC)
        entry = {"time": wall.isoformat(timespec="milliseconds"), "monotonic_s": round(happened, 4), "event": event}
        with self._lock:
            if self._file.closed:
                return
            try:
                self._file.write(json.dumps({**entry, **more}) + "\n")
            except OSError as error:
                logger.warning("the log %s ends here, the run goes on: %s", self.path, error.strerror)
                self._close()

    def close(self) -> None:
        """End the log; idempotent."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        with contextlib.suppress(OSError):  # a full disk, which was reported already
            self._file.close()
