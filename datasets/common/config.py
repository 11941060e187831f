"""Parameter files into frozen dataclasses, checked."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import yaml
from jsonargparse import ArgumentParser, Namespace

from datasets.common.errors import ConfigError

T = TypeVar("T")


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
        raise ConfigError(f"{path}: not valid YAML: {one_line(error)}") from error
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
        raise ConfigError(f"{path}: {one_line(error).replace('params.', '')}") from error


def require_ranges(params: object, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Raise ConfigError for the first attribute of ``params`` that is not within its range, both ends included."""
    for key, (low, high) in ranges.items():
        if not low <= getattr(params, key) <= high:  # not a number lies nowhere
            raise ConfigError(f"{key} must lie in {low:g}..{high:g}, got {getattr(params, key)}")


def one_line(error: object) -> str:
    """An error's message without line breaks."""
    return " ".join(str(error).split())
