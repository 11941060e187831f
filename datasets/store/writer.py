"""Writing a split shard by shard, from any number of processes, so that a killed run can be taken up again."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from datasets.common.errors import DataError
from datasets.store.store import (
    VERSION,
    Column,
    Columns,
    StoredFiles,
    create_columns,
    differing_keys,
    open_group,
    storage_errors,
    writable,
)

_MARKS = "written"
_PROGRESS_KEYS = ("complete", "stored_bytes")


def found_description(url: str, split: str) -> dict[str, Any] | None:
    """The parameters of an existing split; None if there is no split, or one without any frames yet.

    Raises:
        DataError: a recording lies there.
    """
    try:
        group = open_group(url, split)
    except FileNotFoundError:
        return None
    if "segment_frames" in group.attrs:
        raise DataError(f"{url}/{split} is a recording; choose another name or place for frames")
    if _MARKS not in group:
        return None
    return {key: value for key, value in group.attrs.items() if key not in _PROGRESS_KEYS}


def changed_keys(url: str, split: str, description: Mapping[str, Any]) -> list[str]:
    """Dotted keys in which an existing split differs from ``description``; empty if there is no split."""
    found = found_description(url, split)
    return [] if found is None else differing_keys(found, _plain(description))


def _plain(description: Mapping[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps({"version": VERSION, **description}))


class SplitWriter:
    """Writes one split. Each process opens a writer of its own, and each shard is written by one process."""

    def __init__(self, url: str, split: str) -> None:
        self.url, self.split = url, split
        self._group = open_group(url, split, "r+")
        self._attributes: dict[str, Any] = dict(self._group.attrs)

    @classmethod
    def begin(
        cls, url: str, split: str, columns: Mapping[str, Column], description: Mapping[str, Any]
    ) -> "SplitWriter":
        """Create the split, or continue where an earlier run left it.

        ``description`` has ``frames``, ``shard_frames`` and all else that decides the frames' bytes; it becomes the
        group's attributes.

        Raises:
            DataError: an existing split has another description, or the folder cannot be written.
        """
        if changed := changed_keys(url, split, description):
            raise DataError(
                f"{url}/{split} was drawn with other parameters ({', '.join(changed[:6])}): draw it again "
                f"with --existing redraw, or choose another --out"
            )
        with storage_errors(f"writing {url}/{split}"):
            if found_description(url, split) is None:
                StoredFiles(url, split).remove()  # its creation was killed
                attributes = {**_plain(description), "complete": False}
                group = open_group(url, mode="a").create_group(split, attributes=attributes)
                frames, rows = int(description["frames"]), int(description["shard_frames"])
                create_columns(group, columns, frames, rows)
                create_columns(group, {_MARKS: Column((), "uint8")}, -(-frames // rows), 1)
            return cls(url, split)

    @property
    def frames(self) -> int:
        """Frames the finished split has."""
        return int(self._attributes["frames"])

    @property
    def complete(self) -> bool:
        """Whether the split was finished."""
        return bool(self._group.attrs["complete"])

    def rows(self, shard: int) -> range:
        """The frames of a shard."""
        size = int(self._attributes["shard_frames"])
        return range(shard * size, min((shard + 1) * size, self.frames))

    def pending(self) -> list[int]:
        """Shards that are not written yet."""
        return np.flatnonzero(np.asarray(writable(self._group, _MARKS)[:]) == 0).tolist()

    def write(self, shard: int, columns: Columns) -> None:
        """Write all arrays of one shard, then its mark.

        Raises:
            DataError: the file system refuses (disk full, ...); the shard then stays unmarked.
        """
        rows = self.rows(shard)
        with storage_errors(f"writing shard {shard} of {self.url}/{self.split}"):
            for name, values in columns.items():
                writable(self._group, name)[rows.start : rows.stop] = values
            writable(self._group, _MARKS)[shard] = 1

    def finish(self) -> None:
        """Mark the split as finished.

        Raises:
            DataError: shards are missing, or the file system refuses.
        """
        if missing := self.pending():
            raise DataError(f"{self.url}/{self.split}: {len(missing)} shards are not written; run the same again")
        with storage_errors(f"writing {self.url}/{self.split}"):
            stored = StoredFiles(self.url, self.split).array_bytes()
            self._group.attrs.update({"complete": True, "stored_bytes": stored})
