"""Writing a split shard by shard, from any number of processes, so that a killed run can be taken up again."""

import json
from collections.abc import Mapping
from typing import Any, Literal, cast

import numpy as np
import zarr

from datasets.errors import DataError
from datasets.store import (
    VERSION,
    Column,
    Columns,
    StoredFiles,
    create_columns,
    differing_keys,
    open_store,
    storage_errors,
    writable,
)

WhenChanged = Literal["refuse", "redraw"]
_MARKS = "written"
_PROGRESS_KEYS = ("complete", "stored_bytes")


class SplitWriter:
    """One split being written. Each process opens its own; a shard is written by one of them."""

    def __init__(self, url: str, split: str) -> None:
        self.url, self.split = url, split
        self._group = zarr.open_group(open_store(url, read_only=False), path=split, mode="r+")
        self._attributes: dict[str, Any] = dict(self._group.attrs)

    @classmethod
    def begin(
        cls,
        url: str,
        split: str,
        columns: Mapping[str, Column],
        description: Mapping[str, Any],
        when_changed: WhenChanged = "refuse",
    ) -> "SplitWriter":
        """Create the split, or take it up where an earlier run left it.

        ``description`` has ``frames``, ``shard_frames`` and whatever else decides the frames' bytes; it becomes the
        group's attributes. A split with another description is refused, or with ``when_changed`` deleted and begun.

        Raises:
            DataError: the split there is of another description, or the place cannot be written.
        """
        wanted = json.loads(json.dumps({"version": VERSION, **description}))
        with storage_errors(f"writing {url}/{split}"):
            store = open_store(url, read_only=False)
            root = zarr.open_group(store, mode="a")
            files = StoredFiles(url, split)
            if split in root:
                found = {key: value for key, value in root[split].attrs.items() if key not in _PROGRESS_KEYS}
                if not found or _MARKS not in cast(zarr.Group, root[split]):  # killed while it was being created
                    files.remove()
                elif changed := differing_keys(found, wanted):
                    if when_changed == "refuse":
                        raise DataError(
                            f"{url}/{split} was drawn with other parameters ({', '.join(changed[:6])}): draw it again "
                            f"with --existing redraw, or choose another --out"
                        )
                    files.remove()
                else:
                    return cls(url, split)
            else:
                files.remove()
            frames, rows = int(wanted["frames"]), int(wanted["shard_frames"])
            group = root.create_group(split, attributes={**wanted, "complete": False})
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
