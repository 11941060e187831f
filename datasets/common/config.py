"""Read parameter files into frozen dataclasses and check them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from types import UnionType
from typing import Any, ClassVar, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml
from jsonargparse import ArgumentParser, Namespace

from datasets.common.errors import ConfigError
from datasets.common.files import location

T = TypeVar("T")


def load_params(path: str | Path, params_type: type[T]) -> T:
    """Read a YAML file into the dataclass ``params_type``, refusing unknown keys and wrong types.

    A value that begins with ``~`` is a place below the home folder.

    Raises:
        ConfigError: the file is missing, is not YAML, or does not fit; the message names the file and the key.
    """
    path = Path(location(path))
    if not path.is_file():
        raise ConfigError(
            f"{path}: no such parameter file; run from the project's folder or name an existing YAML file"
        )
    try:
        return parse_params(path.read_bytes(), params_type)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def parse_params(text: str | bytes, params_type: type[T]) -> T:
    """The dataclass ``params_type`` that a file's content describes, as :func:`load_params` reads it.

    Raises:
        ConfigError: the content is not YAML, or does not fit; the message names the key.
    """
    try:
        given = text.decode("utf-8") if isinstance(text, bytes) else text
        content = _at_home(_UniqueKeys(given).get_single_data())
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"not valid YAML: {one_line(error)}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"expected keys and values, found {type(content).__name__}")
    return make_params(content, params_type)


def make_params(content: dict[str, Any], params_type: type[T]) -> T:
    """The dataclass ``params_type`` with a file's content, or a part of it, refusing unknown keys and wrong types.

    Raises:
        ConfigError: the content does not fit; the message names the key.
    """
    try:
        if issubclass(params_type, Checked):
            content = params_type.renewed(content)
        if empty := list(_empty(content, params_type)):
            raise ConfigError(f"{', '.join(empty)} is empty; give a value, or leave the key out")
        parser, parsed = _parsed(content, params_type)
        params: T = parser.instantiate(parsed).params
        if unknown := list(_unknown(content, params)):
            raise ConfigError(f"unknown key {', '.join(unknown)}")
        return params
    except ConfigError:
        raise
    except Exception as error:  # jsonargparse raises many types; each one means that the content does not fit
        raise ConfigError(one_line(error).replace("params.", "")) from error


_MERGE = "tag:yaml.org,2002:merge"


class _UniqueKeys(yaml.SafeLoader):
    """A loader that refuses a key given twice, of which YAML's own silently takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE]
        if twice := sorted({key for key in keys if keys.count(key) > 1}):
            raise ValueError(f"{', '.join(twice)} given twice; leave one out")
        return super().construct_mapping(node, deep)


_PARSED: dict[tuple[type, str], tuple[ArgumentParser, Namespace]] = {}


def _parsed(content: dict[str, Any], params_type: type) -> tuple[ArgumentParser, Namespace]:
    """A file's content as its dataclass has it, and the parser that makes one.

    Parsing takes up to a second, and a command may need the same file for each of a hundred cells.
    """
    key = (params_type, repr(content))
    if key not in _PARSED:
        parser = ArgumentParser(exit_on_error=False)
        parser.add_class_arguments(params_type, "params")
        _PARSED[key] = parser, parser.parse_object(Namespace(params=Namespace(**content)).as_dict())
    return _PARSED[key]


def _unknown(content: Any, params: Any, group: str = "") -> Iterator[str]:
    """Keys of a file that its dataclass does not have: jsonargparse silently drops those that hold only ``{}``."""
    if isinstance(content, list) and isinstance(params, list | tuple):
        for one, other in zip(content, params, strict=False):
            yield from _unknown(one, other, group)
    elif isinstance(content, dict) and (is_dataclass(params) or isinstance(params, dict)):
        known = {each.name: getattr(params, each.name) for each in fields(params)} if is_dataclass(params) else params
        for key, value in content.items():
            if key not in known:
                yield f"{group}{key}"
            else:
                yield from _unknown(value, known[key], f"{group}{key}.")


def _empty(content: Any, kind: Any, key: str = "") -> Iterator[str]:
    """Keys of a file without a value, where the type ``kind`` needs one; a mapping may have no entries.

    jsonargparse lets such a key pass as None: as a switch it would be off, as a limit it would compare with nothing.
    """
    options = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    kinds = {*options, *(get_origin(option) for option in options)}
    if content is None and not {type(None), Any, dict} & kinds:
        yield key
    if not isinstance(content, dict):
        return
    for option in options:
        if get_origin(option) is dict:
            types = dict.fromkeys(content, get_args(option)[1])
        elif is_dataclass(option):
            types = get_type_hints(option)
        else:
            continue
        for name, value in content.items():
            yield from _empty(value, types.get(name, Any), f"{key}.{name}" if key else name)


def _at_home(value: Any) -> Any:
    """Expand every path below the home folder in a file's content."""
    if isinstance(value, dict):
        return {key: _at_home(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_at_home(each) for each in value]
    return location(value) if isinstance(value, str) and value.startswith("~") else value


@dataclass(frozen=True)
class Within:
    """The range of a number, written once beside its field: ``age_s: Annotated[float, Within(0, 2, "s")]``.

    It applies to each number of a tuple. NaN lies in no range; None is accepted.

    Attributes:
        low, high: ends of the range, which belong to it unless ``above`` or ``below``.
        unit: for messages and for the reference of parameters.
        above, below: whether the low end, or the high end, is itself excluded.
        rising: the second number of a pair must not be less than the first.
    """

    low: float = -math.inf
    high: float = math.inf
    unit: str = ""
    above: bool = False
    below: bool = False
    rising: bool = False

    def __str__(self) -> str:
        """The range in words that follow the name of the field: ``must lie in 0..2 s``."""
        unit = f" {self.unit}" if self.unit else ""
        if math.isinf(self.high) and self.low == 0:
            return "must be positive" if self.above else "must not be negative"
        if math.isinf(self.high):
            return f"must be {'above' if self.above else 'at least'} {self.low:g}{unit}"
        ends = [f"above {self.low:g}"] * self.above + [f"below {self.high:g}"] * self.below
        return f"must lie in {self.low:g}..{self.high:g}{unit}" + (f", {' and '.join(ends)}" if ends else "")

    def holds(self, value: Any) -> bool:
        """Whether a value lies in the range."""
        numbers = value if isinstance(value, tuple | list) else (value,)
        rises = not self.rising or all(one <= next_ for one, next_ in pairwise(numbers))
        return rises and all(self._holds(number) for number in numbers)

    def _holds(self, number: float) -> bool:
        low = number > self.low if self.above else number >= self.low
        return low and (number < self.high if self.below or math.isinf(self.high) else number <= self.high)


class Checked:
    """Parameters that check each field's :class:`Within`; checks between fields extend ``__post_init__``.

    Attributes:
        PART: the section of the file that holds the class, with a dot, for messages: ``limits.``.
    """

    PART: ClassVar[str] = ""

    @classmethod
    def renewed(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Convert the values of a file from the keys of earlier versions to today's."""
        return values

    def __post_init__(self) -> None:
        """Raise ConfigError for the first field that is out of its range."""
        for name, within in ranges(self.__class__).items():
            value = getattr(self, name)
            if value is not None and not within.holds(value):
                shown = list(value) if isinstance(value, tuple) else value
                rising = ", the first not above the second" if within.rising else ""
                raise ConfigError(f"{self.PART}{name} {within}{rising}, got {shown}")


def ranges(params_type: type) -> dict[str, Within]:
    """The ranges declared in a class, by the name of the field."""
    found: dict[str, Within] = {}
    for name, hint in get_type_hints(params_type, include_extras=True).items():
        for part in (hint, *get_args(hint)):  # of ``Annotated[...] | None`` the range stands inside
            found.update((name, each) for each in getattr(part, "__metadata__", ()) if isinstance(each, Within))
    return found


def one_line(error: object) -> str:
    """An error's message without line breaks."""
    return " ".join(str(error).split())
