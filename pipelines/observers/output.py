"""Prints in a separate thread, so that a slow or stuck terminal, pipe or disk never delays the run."""

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
"""At the end of the program, a reader that has taken nothing for so long, s, is no longer waited for."""


class _Writer:
    """Writes lines to their streams in order, in its own thread; if too many wait, the oldest are dropped."""

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
        """Hand over a line, and return at once."""
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
            except (OSError, ValueError) as error:  # closed, gone, a full disk: the next line may succeed
                self.lost += 1
                self.reason = getattr(error, "strerror", None) or str(error)

    def _write(self, stream: TextIO, line: str) -> None:
        try:
            descriptor = stream.fileno()
        except (OSError, ValueError, AttributeError):  # not a file, but an object that the caller put in its place
            stream.write(line)
            stream.flush()
            return
        # Not through the stream: the end of the interpreter would wait for the lock that a stuck write holds.
        left = line.encode(stream.encoding or "utf-8", "replace")
        while left:
            try:
                left = left[os.write(descriptor, left) :]
            except BlockingIOError:  # a terminal that was set to be non-blocking
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
        """The stream's descriptor; none for stdout, where ``input`` would write its question before earlier output."""
        return super().fileno() if self._stream is sys.__stdout__ else self._stream.fileno()

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        return self._stream.isatty()

    def writable(self) -> bool:
        """Always True."""
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
        """Pass an unfinished line on, without waiting."""
        with self._lock:
            begun, self._begun = self._begun, ""
        if begun:
            self._writer.put(self._stream, begun)


@contextlib.contextmanager
def unhurried_output() -> Iterator[None]:
    """Within this context, or in a function that it decorates, ``print`` and log never wait, fail, or raise.

    Characters that the terminal does not have are replaced. If lines were lost, their number is reported at the end.
    """
    streams = {name: stream for name in ("stdout", "stderr") if (stream := getattr(sys, name)) is not None}
    writers = {name: _Writer() for name in streams}
    with contextlib.suppress(OSError, ValueError, KeyError):
        if os.path.sameopenfile(streams["stdout"].fileno(), streams["stderr"].fileno()):
            writers["stderr"].close()
            writers["stderr"] = writers["stdout"]  # one writer keeps the order of the lines
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
