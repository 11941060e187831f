"""Command lines: how every command starts and fails, and what it checks before it opens anything."""

import argparse
import contextlib
import json
import math
import os
import re
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import shtab
from tqdm import tqdm

from datasets.common.config import one_line
from datasets.common.errors import ConfigError, Sim2RealError
from datasets.common.files import location

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 128 + signal.SIGINT
NEGATIVE_NUMBER = re.compile(r"-(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$|-(inf|nan)$", re.IGNORECASE)
"""What ``argparse`` is to take for a number, not an option: before Python 3.14 it takes -1e-3 for one."""
_TRIED_BYTES = 2**16
_COMPLETED = {"FILE": shtab.FILE, "FILE.rrd": shtab.FILE, "FOLDER": shtab.DIRECTORY, "DIR": shtab.DIRECTORY}
"""What a shell completes an option's value with, by the value's name in the option's help."""

Tell = Callable[[Any, str], None]
"""Prints a command's result: as one JSON document where ``--json`` asks for it, else as the text."""


class CommandParser(argparse.ArgumentParser):
    """An ``ArgumentParser`` for every command: it expands ``~``, takes negative numbers and reports errors in one line.

    Every command has ``--quiet`` and ``--print-completion SHELL``.

    Args:
        result: the command has a result for other programs, which ``--json`` prints (see :func:`command_line`).
    """

    def __init__(self, *given: Any, result: bool = False, **named: Any) -> None:
        super().__init__(*given, **named)
        self._negative_number_matcher = NEGATIVE_NUMBER
        output = self.add_argument_group("output")
        output.add_argument("--quiet", action="store_true", help="show no progress, only results, questions and errors")
        if result:
            output.add_argument(
                "--json",
                action="store_true",
                help="print the result as one JSON document; everything else goes to stderr",
            )
        output.add_argument(
            "--print-completion",
            choices=shtab.SUPPORTED_SHELLS,
            action=_PrintCompletion,
            help="print a completion script for this shell and exit",
        )

    def parse_known_args(  # type: ignore[override]  # without the overloads
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> Any:
        """Parse as ``argparse`` does, with paths resolved by :func:`datasets.common.files.location`."""
        try:
            given = [at_home(each) for each in (sys.argv[1:] if args is None else args)]
        except ConfigError as error:
            self.error(str(error))
        return super().parse_known_args(given, namespace)

    def error(self, message: str) -> NoReturn:
        """Exit with code 2."""
        self.exit(EXIT_BAD_INPUT, f"{self.prog}: error: {message} (see --help)\n")


class _PrintCompletion(argparse.Action):
    """Prints a completion script for the console command, whichever way the module was started."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option: str | None = None) -> None:
        """Print and exit with code 0."""
        parser.prog = console_name(parser.prog.removeprefix("python -m "))
        for action in parser._actions:
            if action.metavar in _COMPLETED:
                action.complete = _COMPLETED[str(action.metavar)]  # type: ignore[attr-defined]  # shtab's own
        print(shtab.complete(parser, values))
        parser.exit()


def console_name(module: str) -> str:
    """The console command of a module: ``sim2real-demo`` for ``pipelines.demo``, else with the package's name."""
    return "-".join(["sim2real", *filter(None, re.split(r"[._]", module.removeprefix("pipelines")))])


def at_home(argument: str) -> str:
    """Expand ``~`` in an argument of a command line, which no shell does in ``--out=~/frames``."""
    fits = re.fullmatch(r"(--?[\w.-]+=)?(.*)", argument, re.DOTALL)
    option, value = fits.groups("")  # type: ignore[union-attr]  # it matches every text
    return option + location(value) if value.startswith("~") else argument


@contextlib.contextmanager
def command_line(prog: str, options: argparse.Namespace | None) -> Iterator[Tell]:
    """Turn errors of the project and of its surroundings into one line on stderr and exit code 2, Ctrl-C into 130.

    Errors of the surroundings are those of the operating system. A closed standard stream is replaced by an empty one.

    Args:
        prog: the command's name, for messages.
        options: what a :class:`CommandParser` read, None where another parser did; ``quiet`` switches progress bars off
            inside the context; with ``json`` everything that is printed there goes to stderr.

    Yields:
        The function that prints the command's result to stdout.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115  (until the process ends)
    as_json, stdout = getattr(options, "json", False), sys.stdout

    def tell(result: Any, text: str) -> None:
        print(json.dumps(_plain(result), indent=2) if as_json else text, file=stdout, flush=True)

    try:
        with (
            contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext(),
            no_progress() if getattr(options, "quiet", False) else contextlib.nullcontext(),
        ):
            yield tell
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


@contextlib.contextmanager
def no_progress() -> Iterator[None]:
    """Hide every progress bar that this process creates inside the context."""
    begin = tqdm.__init__

    def begin_unseen(bar: Any, *given: Any, **named: Any) -> None:
        begin(bar, *given, **{**named, "disable": True})

    tqdm.__init__ = begin_unseen  # type: ignore[method-assign, assignment]  # a patch
    try:
        yield
    finally:
        tqdm.__init__ = begin  # type: ignore[method-assign]  # the patch undone


def _plain(value: Any) -> Any:
    """Convert a result to JSON types: arrays to lists, paths to text, numbers that are not finite to null."""
    if hasattr(value, "tolist"):  # of NumPy
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def seed(text: str, largest: float = math.inf) -> int:
    """A seed of at most ``largest``, for ``argparse``'s ``type``."""
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not 0 <= value <= largest:
        wanted = "0 or more" if math.isinf(largest) else f"0..{largest}"
        raise argparse.ArgumentTypeError(f"give a whole number of {wanted}, got {text}")
    return value


def require_writable(path: str | Path, option: str, make_folders: bool = True) -> None:
    """Refuse a file that cannot be written, without leaving a trace; missing folders are no error if ``make_folders``.

    Raises:
        ConfigError: the path is a folder, its parent is not a writable folder, or the disk is full.
    """
    path = Path(location(path))
    if path.is_dir():
        raise ConfigError(f"{option} {path}: is a folder; name a file in it")
    _require_folder(path.parent, f"{option} {path}", make_folders)


def require_writable_folder(path: str | Path, option: str) -> None:
    """Refuse a folder in which no file can be written, as :func:`require_writable` does; URLs are not checked."""
    path = location(path)
    if "://" not in path:
        _require_folder(Path(path), f"{option} {path}", make_folders=True)


def _require_folder(folder: Path, told: str, make_folders: bool) -> None:
    while make_folders and not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise ConfigError(f"{told}: {folder} is not a folder; name a place in an existing folder")
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_TRIED_BYTES))
    except OSError as error:
        raise ConfigError(f"{told}: {folder} cannot be written: {error.strerror}; choose another") from error
