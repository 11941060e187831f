"""One way for every command to begin and to fail, and what a command line checks before anything is opened."""

import argparse
import contextlib
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from datasets.common.config import one_line
from datasets.common.errors import ConfigError, Sim2RealError

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 128 + signal.SIGINT


@contextlib.contextmanager
def command_line(prog: str) -> Iterator[None]:
    """Turn the project's errors into one line on stderr and exit code 2, Ctrl-C into exit code 130."""
    try:
        yield
    except Sim2RealError as error:
        print(f"{prog}: error: {one_line(error)}", file=sys.stderr)
        raise SystemExit(EXIT_BAD_INPUT) from error
    except KeyboardInterrupt as interrupt:
        print(f"{prog}: interrupted", file=sys.stderr)
        raise SystemExit(EXIT_INTERRUPTED) from interrupt


def seed(text: str) -> int:
    """A seed, for ``argparse``'s ``type``."""
    try:
        value = int(text)
    except ValueError:
        value = -1
    if value < 0:
        raise argparse.ArgumentTypeError(f"give a whole number of 0 or more, got {text}")
    return value


def require_writable(path: str | Path, option: str, make_folders: bool = True) -> None:
    """Refuse a file that cannot be written, without leaving a trace; folders that lack count as made, unless told not.

    Raises:
        ConfigError: it is a folder, or where it should lie is none, or one that cannot be written.
    """
    path = Path(path)
    if path.is_dir():
        raise ConfigError(f"{option} {path}: is a folder; name a file in it")
    folder = path.parent
    while make_folders and not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise ConfigError(f"{option} {path}: {folder} is no folder; name a file in one that is there")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(f"{option} {path}: {folder} cannot be written: {error.strerror}; choose another") from error
