"""What a command line checks before anything is opened: what could not be written at the end is refused now."""

import argparse
import tempfile
from pathlib import Path

from datasets.common.errors import ConfigError


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
