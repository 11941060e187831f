"""What the control stage measured and tuned, read back from its metrics."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from control.task.sources import ErrorModel
from datasets.common.errors import DataError

T = TypeVar("T")


def tuned_gain(path: str | Path, kind: str) -> float:
    """The gain that the control stage tuned for a proportional controller; raises DataError if it is missing."""
    return _read(path, f"gain of {kind!r}", lambda metrics: float(metrics["baselines"][kind]["gain"]))


def error_model(path: str | Path) -> ErrorModel:
    """The estimator's errors as the control stage measured them; raises DataError if they are missing."""

    def model(metrics: Any) -> ErrorModel:
        found: dict[str, Any] = metrics["error_model"]
        values: dict[str, Any] = {key: tuple(one) if isinstance(one, list) else one for key, one in found.items()}
        return ErrorModel(**values)

    return _read(path, "error_model", model)


def _read(path: str | Path, what: str, take: Callable[[Any], T]) -> T:
    try:
        return take(json.loads(Path(path).read_text(encoding="utf-8")))
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}: no {what} ({error!r}); run `python -m control.train` first, which finds it and writes the file"
        ) from error
