"""Parameter files into frozen dataclasses, and one way for every command to begin and to fail."""

import contextlib
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import yaml
from jsonargparse import ArgumentParser, Namespace

from datasets.common.errors import ConfigError, Sim2RealError

T = TypeVar("T")

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 128 + signal.SIGINT


def load_params(path: str | Path, params_type: type[T]) -> T:
    """Read a YAML file into the dataclass ``params_type``, refusing unknown keys and wrong types.

    Raises:
        ConfigError: the file is missing, is not YAML, or does not fit; the message names the file and the key.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(
            f"{path}: no such parameter file; run from the project's folder or name an existing YAML file"
        )
    try:
        content = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {_one_line(error)}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected keys and values, found {type(content).__name__}")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(params_type, "params")
    try:
        parsed = parser.parse_object(Namespace(params=Namespace(**content)).as_dict())
        return parser.instantiate(parsed).params
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    except Exception as error:  # jsonargparse raises many types; each one means that the file does not fit
        raise ConfigError(f"{path}: {_one_line(error).replace('params.', '')}") from error


def require_ranges(params: object, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Raise ConfigError for the first attribute of ``params`` that is not within its range, both ends included."""
    for key, (low, high) in ranges.items():
        if not low <= getattr(params, key) <= high:  # not a number lies nowhere
            raise ConfigError(f"{key} must lie in {low:g}..{high:g}, got {getattr(params, key)}")


@contextlib.contextmanager
def command_line(prog: str) -> Iterator[None]:
    """Turn the project's errors into one line on stderr and exit code 2, Ctrl-C into exit code 130."""
    try:
        yield
    except Sim2RealError as error:
        print(f"{prog}: error: {_one_line(error)}", file=sys.stderr)
        raise SystemExit(EXIT_BAD_INPUT) from error
    except KeyboardInterrupt as interrupt:
        print(f"{prog}: interrupted", file=sys.stderr)
        raise SystemExit(EXIT_INTERRUPTED) from interrupt


def _one_line(error: object) -> str:
    return " ".join(str(error).split())
