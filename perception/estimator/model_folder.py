"""Folders that trained models are shipped in: ONNX graphs, and a description in JSON of what they are for.

Networks and policies are opened by the same steps; free of torch, as everything that the robot's computer loads.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from datasets.common.errors import ModelError

T = TypeVar("T")


def read_description(
    folder: Path, files: Sequence[str], kind: str, again: str, parse: Callable[[dict[str, Any]], T]
) -> T:
    """What ``parse`` makes of the description in ``folder``.

    Args:
        folder: of the model.
        files: all that must be there, the description first.
        kind: what the folder holds, for messages.
        again: what to do about a file that is missing or damaged.
        parse: reads the needed keys; what it raises for a missing key or a wrong type is reported as damage.

    Raises:
        ModelError: a file is missing, or the description is damaged.
    """
    for name in files:
        if not (folder / name).is_file():
            raise ModelError(f"{folder / name}: no such {kind} file; {again}")
    path = folder / files[0]
    try:
        return parse(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: damaged description of a {kind} ({error!r}); {again}") from error


def require_same_rig(folder: Path, trained: Mapping[str, Any], here: Mapping[str, Any], remedy: str) -> None:
    """Raise ModelError for the first value of a rig, ``here``, that is not what the model was ``trained`` for."""
    for key, value in here.items():
        if trained.get(key) != value:
            raise ModelError(
                f"{folder}: trained for another rig: {key} was {trained.get(key)} and is {value} now; {remedy}"
            )
