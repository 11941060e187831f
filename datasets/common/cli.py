"""One way for every command to begin and to fail, and what a command line checks before anything is opened."""

import argparse
import contextlib
import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from datasets.common.config import one_line
from datasets.common.errors import ConfigError, Sim2RealError
from datasets.common.files import location

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 128 + signal.SIGINT
NEGATIVE_NUMBER = re.compile(r"-(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$|-(inf|nan)$", re.IGNORECASE)
"""What ``argparse`` is to take for a number, not an option: before Python 3.14 it takes -1e-3 for one."""
_TRIED_BYTES = 2**16


class CommandParser(argparse.ArgumentParser):
    """What every command reads its arguments with: ``~`` and negative numbers are understood, errors take one line."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._negative_number_matcher = NEGATIVE_NUMBER

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """As ``argparse`` does, with places as :func:`datasets.common.files.location` tells them."""
        try:
            given = [at_home(each) for each in (sys.argv[1:] if args is None else args)]
        except ConfigError as error:
            self.error(str(error))
        return super().parse_known_args(given, namespace)

    def error(self, message: str) -> NoReturn:
        """Exit with code 2."""
        self.exit(EXIT_BAD_INPUT, f"{self.prog}: error: {message} (see --help)\n")


def at_home(argument: str) -> str:
    """A command line's argument with ``~`` told, which no shell does in ``--out=~/frames``."""
    option, value = re.fullmatch(r"(--?[\w.-]+=)?(.*)", argument, re.DOTALL).groups("")  # type: ignore[union-attr]
    return option + location(value) if value.startswith("~") else argument


@contextlib.contextmanager
def command_line(prog: str) -> Iterator[None]:
    """Turn errors of the project and of its surroundings into one line on stderr and exit code 2, Ctrl-C into 130.

    Of the surroundings: whatever the operating system refuses. A standard stream that was closed becomes an empty one.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115  (until the process ends)
    try:
        yield
    except Sim2RealError as error:
        print(f"{prog}: error: {one_line(error)}", file=sys.stderr)
        raise SystemExit(EXIT_BAD_INPUT) from error
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"{prog}: error: {where}{one_line(error.strerror or error)}", file=sys.stderr)
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
        ConfigError: it is a folder, or where it should lie is none, or one that cannot be written, or the disk is full.
    """
    path = Path(location(path))
    if path.is_dir():
        raise ConfigError(f"{option} {path}: is a folder; name a file in it")
    _require_folder(path.parent, f"{option} {path}", make_folders)


def require_writable_folder(path: str | Path, option: str) -> None:
    """Refuse a folder in which no file can be written, as :func:`require_writable` does; URLs are let pass."""
    path = location(path)
    if "://" not in path:
        _require_folder(Path(path), f"{option} {path}", make_folders=True)


def _require_folder(folder: Path, told: str, make_folders: bool) -> None:
    while make_folders and not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise ConfigError(f"{told}: {folder} is no folder; name a file in one that is there")
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_TRIED_BYTES))
    except OSError as error:
        raise ConfigError(f"{told}: {folder} cannot be written: {error.strerror}; choose another") from error
