"""Paths and URLs, files that are written completely or not at all, and folders that this project may delete."""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

from datasets.common.errors import ConfigError, DataError

MARK = ".sim2real-reach"
"""A file with this name marks a folder that this project made and may delete."""
_SHOWN = 3


def location(text: str | Path) -> str:
    """The path or URL that a command line, a parameter file or an environment variable means by ``text``.

    ``~`` is the home folder, ``file://`` may stand before a path, a relative path is one from the working folder, and
    any other URL stays as it is.

    Raises:
        ConfigError: the home folder does not exist.
    """
    path = re.sub(r"^(file|local)://(localhost(?=/))?", "", str(text))
    if "://" in path or not path.startswith("~"):
        return path
    found = os.path.expanduser(path)
    home = path.split("/")[0]
    if found.startswith("~") or (home == "~" and os.environ.get("HOME") == ""):
        raise ConfigError(f"{path}: there is no home folder {home} here; write the path out, or ./{path} for that name")
    return found


def read_json(path: Path) -> Any:
    """Read a JSON file of figures.

    Raises:
        DataError: the file is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: missing or damaged ({error}); run the command that writes it again") from error


def write_whole(path: str | Path, content: str | bytes) -> None:
    """Write ``content`` to a file beside ``path`` and rename it, so that no reader ever sees half of it.

    Missing folders are created; text is written as UTF-8. On failure the previous file stays as it was.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Two processes that write the same file must not share the temporary file beside it.
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def keep_previous(path: Path) -> Path | None:
    """Copy the file at ``path``, which is about to be replaced, to ``NAME.1.SUFFIX`` or the next free number.

    Returns:
        The path of the copy; None if there was no file.
    """
    if not path.exists():
        return None
    number = 1
    while (kept := path.with_name(f"{path.stem}.{number}{path.suffix}")).exists():
        number += 1
    shutil.copy2(path, kept)
    return kept


def own_folder(path: Path) -> Path:
    """Create a folder that :func:`delete_own` may delete, or reuse one that was created by this function.

    Raises:
        DataError: the folder holds files that this project did not write.
    """
    _require_own(path)
    path.mkdir(parents=True, exist_ok=True)
    (path / MARK).touch()
    return path


def delete_own(path: Path) -> bool:
    """Delete a folder that :func:`own_folder` created; returns whether there was one.

    Raises:
        DataError: the folder was created by something else; it stays.
    """
    _require_own(path)
    if path.is_symlink() or not path.is_dir():
        return False
    shutil.rmtree(path)
    return True


def _require_own(path: Path) -> None:
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise DataError(f"{path}: was not created by this project; move it away or name another folder")
    names = sorted(each.name for each in path.iterdir()) if path.is_dir() else []
    if names and MARK not in names:
        raise DataError(f"{path} {holds_others(names)}; move them away or name another folder")


def holds_others(names: list[str]) -> str:
    """Describe the files in a folder that this project did not write, for an error message."""
    more = ", ..." if len(names) > _SHOWN else ""
    return f"holds files that this project did not write ({', '.join(names[:_SHOWN])}{more})"
