"""Prints from a thread of its own, so that a slow or stuck terminal, pipe or disk never delays the run."""

import contextlib
import io
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import TextIO

_MOST_LINES = 2000
_GIVEN_UP_S = 60.0
"""A reader that takes nothing for so long, once the program is over, is not waited for any more."""


class _Writer:
    """Writes lines to their streams in order, in a thread of its own; the oldest are dropped if too many wait."""

    def __init__(self) -> None:
        self.lost = 0
        self.reason = "the terminal or pipe did not take them in time"
        self._lines: deque[tuple[TextIO, str]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._moved_s = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="printing", daemon=True)
        self._thread.start()

    def put(self, stream: TextIO, line: str) -> None:
        """Hand over a line; returns at once."""
        with self._changed:
            self._lines.append((stream, line))
            if len(self._lines) > _MOST_LINES:
                self._lines.popleft()
                self.lost += 1
            self._changed.notify()

    def close(self) -> None:
        """Write the remaining lines, as long as the stream accepts them."""
        with self._changed:
            self._closed, self._moved_s = True, time.monotonic()
            self._changed.notify()
        while self._thread.is_alive() and time.monotonic() - self._moved_s < _GIVEN_UP_S:
            self._thread.join(0.05)
        if self._thread.is_alive():
            self.lost += len(self._lines) + 1

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines or self._closed)
                if not self._lines:
                    return
                stream, line = self._lines.popleft()
            try:
                self._write(stream, line)
            except (OSError, ValueError) as error:  # closed, gone, a full disk: the next line may fare better
                self.lost += 1
                self.reason = getattr(error, "strerror", None) or str(error)

    def _write(self, stream: TextIO, line: str) -> None:
        try:
            descriptor = stream.fileno()
        except (OSError, ValueError, AttributeError):  # not a file but an object of whoever called
            stream.write(line)
            stream.flush()
            return
        # Not by the stream: whoever ends the interpreter would wait for a lock that a stuck write holds.
        left = line.encode(stream.encoding or "utf-8", "replace")
        while left:
            try:
                left = left[os.write(descriptor, left) :]
            except BlockingIOError:  # a terminal that somebody has set so
                time.sleep(0.01)
                continue
            self._moved_s = time.monotonic()


class _Lines(io.TextIOBase):
    """Replaces a stream, and passes whole lines to a writer."""

    def __init__(self, stream: TextIO, writer: _Writer) -> None:
        self._stream, self._writer = stream, writer
        self._begun = ""
        self._lock = threading.Lock()

    @property
    def encoding(self) -> str:  # type: ignore[override]  # the class has an attribute of that name
        """The encoding of the stream."""
        return self._stream.encoding

    def fileno(self) -> int:
        """The stream's, but for stdout: ``input`` would write its question there before what was printed."""
        return super().fileno() if self._stream is sys.__stdout__ else self._stream.fileno()

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        return self._stream.isatty()

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, text: str) -> int:
        """Accept all of ``text``, whether or not it can be written."""
        with self._lock:
            self._begun += text
            whole, newline, self._begun = self._begun.rpartition("\n")
            if newline:
                self._writer.put(self._stream, whole + newline)
        return len(text)

    def flush(self) -> None:
        """Pass on an unfinished line, without waiting."""
        with self._lock:
            begun, self._begun = self._begun, ""
        if begun:
            self._writer.put(self._stream, begun)


@contextlib.contextmanager
def unhurried_output() -> Iterator[None]:
    """While inside (or within a function that this decorates), ``print`` and log never wait, fail, or raise.

    Characters that the terminal does not have are replaced. If lines were lost, their number is reported at the end.
    """
    streams = {name: stream for name in ("stdout", "stderr") if (stream := getattr(sys, name)) is not None}
    writers = {name: _Writer() for name in streams}
    with contextlib.suppress(OSError, ValueError, KeyError):
        if os.path.sameopenfile(streams["stdout"].fileno(), streams["stderr"].fileno()):
            writers["stderr"].close()
            writers["stderr"] = writers["stdout"]  # in the order in which it was said
    for name, stream in streams.items():
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
        setattr(sys, name, _Lines(stream, writers[name]))
    try:
        yield
    finally:
        for name, stream in streams.items():
            getattr(sys, name).flush()
            writers[name].close()
            setattr(sys, name, stream)
        for writer in dict.fromkeys(writers.values()):
            if writer.lost:
                with contextlib.suppress(OSError, ValueError):
                    print(f"{writer.lost} lines of output were lost: {writer.reason}", file=sys.stderr)
