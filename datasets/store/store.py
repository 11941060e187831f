"""Labelled frames on disk: one Zarr group per split, written in whole shards, readable with Zarr alone.

Every array of a split has one row per frame and one file per shard, so that a worker never shares a file with another.
A shard is finished when its mark in ``written`` is set, after all its files; a split is finished when its attribute
``complete`` is true. The number of bytes each array takes is kept beside it, so that a store cut short is noticed
when it is opened, and every file ends in a checksum, so that a damaged one is noticed when it is read.

Layout of a split, with N frames::

    <look>/rgb (N, S, S, 3) uint8        <look>/depth (N, S, S) uint16, 0.1 mm, 0 = no reading
    <look>/window (N, 4) px              tcp (N, 3) m            joints (N, 7) rad
    tcp_seen, base_seen (N, 3) m, where the depth camera, with its scale and warp, places the TCP and the base's point
    intrinsics (N, 4) px                 image_px (N, 2), width and height of the native image
    T_base_camera (N, 4, 4), where the camera is
    scene_seed (N,) uint64               T_base_camera_told (N, 4, 4), the pose that the estimator is given
"""

import contextlib
import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, cast, get_args

import fsspec
import numpy as np
import zarr
from fsspec.implementations.local import LocalFileSystem
from numpy.typing import NDArray
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec
from zarr.storage import FsspecStore, LocalStore

from datasets.common.config import one_line
from datasets.common.errors import DataError
from datasets.common.files import holds_others, location
from datasets.rig.rig import Rig

VERSION = 1
"""Raised whenever what the arrays or attributes mean changes."""

DEPTH_UNIT_M = 1e-4

LookName = Literal["glance", "parafovea", "fovea", "base"]
Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Column:
    """Shape of one frame's row in an array, and its type."""

    shape: tuple[int, ...]
    dtype: str


_COMPRESSION = BloscCodec(cname="zstd", clevel=1, shuffle="noshuffle", typesize=1)
"""Frames shrink to 0.42 of their bytes, at 0.3 GB/s when written and 0.7 GB/s when read; with lz4: 0.62, 0.7 and
1.8 GB/s. Training reads 0.04 GB/s, and the disk holds each frame twice (workspace and DVC cache)."""

_CODECS = (BytesCodec, BloscCodec, Crc32cCodec)
_MOST_CHUNK_BYTES = 2**30
"""Largest size of a file in memory; a second of native frames takes 15 MB."""

LABELS = {
    "tcp": Column((3,), "float64"),
    "joints": Column((7,), "float64"),
    "intrinsics": Column((4,), "float64"),
    "T_base_camera": Column((4, 4), "float64"),
    "T_base_camera_told": Column((4, 4), "float64"),
}


def schema(looks: Sequence[LookName], size_px: int) -> dict[str, Column]:
    """The arrays of a split that holds ``looks``, by name."""
    columns = {}
    for look in looks:
        columns[f"{look}/rgb"] = Column((size_px, size_px, 3), "uint8")
        columns[f"{look}/depth"] = Column((size_px, size_px), "uint16")
        columns[f"{look}/window"] = Column((4,), "float64")
    more = {
        "tcp_seen": Column((3,), "float64"),
        "base_seen": Column((3,), "float64"),
        "image_px": Column((2,), "float64"),
        "scene_seed": Column((), "uint64"),
    }
    return {**columns, **LABELS, **more}


_KNOWN = {name: column for look in get_args(LookName) for name, column in schema([look], 0).items()} | {
    "native/rgb": Column((0, 0, 3), "uint8"),
    "native/depth": Column((0, 0), "uint16"),
    "timestamp": Column((), "float64"),
    "written": Column((), "uint8"),
}
"""Columns with a meaning; 0 stands for any size. All other columns of a recording are plain numbers of its run."""


def _fault_of(name: str, array: zarr.Array) -> str | None:
    """Why an array cannot be read, judged by its description alone, before any of its files is opened."""
    codecs, more = getattr(array.metadata, "codecs", (None,)), getattr(array.metadata, "storage_transformers", None)
    if more or not all(type(codec) in _CODECS for codec in codecs):
        return f"stored by filters that are not this project's ({', '.join(type(codec).__name__ for codec in codecs)})"
    shape = array.shape[1:]
    known = _KNOWN.get(name, Column(shape, "float64"))
    fits = len(shape) == len(known.shape) and all(np.equal(shape, known.shape) | np.equal(known.shape, 0))
    if not fits or str(array.dtype) != known.dtype:
        return f"a column of {array.dtype} {list(shape)}, where {known.dtype} {list(known.shape)} is expected"
    if math.prod(array.chunks) * array.dtype.itemsize > _MOST_CHUNK_BYTES:
        return f"files of {math.prod(array.chunks) * array.dtype.itemsize / 2**30:.0f} GB"
    return None


def depth_to_units(depth_m: NDArray[np.floating]) -> NDArray[np.uint16]:
    """Metres to the stored 0.1 mm; what is farther than uint16 holds (6.55 m) becomes 0, no reading."""
    units = np.rint(depth_m / DEPTH_UNIT_M)
    return np.where(units <= np.iinfo(np.uint16).max, units, 0).astype(np.uint16)


def depth_to_metres(units: NDArray[np.uint16]) -> NDArray[np.float32]:
    """The stored 0.1 mm to metres."""
    return units.astype(np.float32) * np.float32(DEPTH_UNIT_M)


@contextlib.contextmanager
def storage_errors(doing: str) -> Iterator[None]:
    """Turn errors of the file system (disk full, no permission, ...) while ``doing`` something into a `DataError`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"{doing}: {reason}; free space or choose another place, then run the same again") from error


def open_store(url: str, read_only: bool = True) -> LocalStore | FsspecStore:
    """The Zarr store at a folder or any fsspec URL.

    Raises:
        DataError: the URL's protocol is unknown or its package is not installed.
    """
    try:
        place = location(url)
        if "://" in place:
            return FsspecStore.from_url(place, read_only=read_only)
        return LocalStore(place, read_only=read_only)
    except (ValueError, ImportError) as error:
        raise DataError(f"{url}: frames cannot be stored there: {error}") from error


def open_group(url: str, name: str = "", mode: Literal["r", "r+", "a"] = "r") -> zarr.Group:
    """A group of the store at ``url``; mode "a" creates a missing one.

    Raises:
        FileNotFoundError: the group is missing.
        DataError: the group is damaged, or something else lies there.
    """
    try:
        return zarr.open_group(open_store(url, read_only=mode == "r"), path=name, mode=mode, zarr_format=3)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(*error.args) from error
    except (ValueError, KeyError, TypeError) as error:  # raised by Zarr and by JSON
        where, reason = f"{url}/{name}".rstrip("/"), f"no group of frames, or damaged ({one_line(error)})"
        raise DataError(f"{where}: {reason}; delete it, or choose another place") from error


_FILE, _PARTIAL = re.compile(r"zarr\.json|c(\.\d+)*"), re.compile(r"(zarr|c(\.\d+)*)\.[0-9a-f]{32}\.partial")
"""File names of Zarr's descriptions and chunks, and of those that a killed writer leaves half written."""
_OWN_ATTRIBUTES = {"version", "rig", "looks", "frames"}
"""A group that has these was written here: a split, or a recording."""


class StoredFiles:
    """Lists and deletes the files of a store or of one group, on any file system.

    Files that this project did not write are never deleted: a group must have its attributes and hold nothing else.
    """

    def __init__(self, url: str, group: str = "") -> None:
        place = location(url)
        self._fs, root = fsspec.url_to_fs(place) if "://" in place else (LocalFileSystem(), os.path.abspath(place))
        self._folder = f"{root.rstrip('/')}/{group}".rstrip("/")

    def sizes(self) -> dict[str, int]:
        """Bytes of each file, by its path inside the group."""
        if not self._fs.exists(self._folder):
            return {}
        self._fs.invalidate_cache(self._folder)
        found = self._fs.find(self._folder, detail=True)
        return {path[path.index(self._folder) + len(self._folder) + 1 :]: int(f["size"]) for path, f in found.items()}

    def array_bytes(self) -> dict[str, int]:
        """Bytes of the data (not metadata) of each array, by the array's name."""
        totals: dict[str, int] = {}
        for path, size in self.sizes().items():
            array, _, file = path.rpartition("/")
            if file.startswith("c") and not _is_partial(file):
                totals[array] = totals.get(array, 0) + size
        return dict(sorted(totals.items()))

    def remove_partial(self, deep: bool = True) -> None:
        """Delete the half-written files of a killed writer; unless ``deep``, those of the group's description only."""
        if deep:
            paths = list(self.sizes())
        else:
            paths = [path.rpartition("/")[2] for path in self._fs.ls(self._folder, detail=False)]
        self._delete([path for path in paths if _is_partial(path)])

    def remove(self) -> int:
        """Delete the group with everything in it; returns the number of files.

        Raises:
            DataError: the group holds files that this project did not write; nothing was deleted.
        """
        files = self._own_files()
        self._delete(files)
        return len(files)

    def require_own(self) -> None:
        """Raise the DataError that :meth:`remove` would raise."""
        self._own_files()

    def _own_files(self) -> list[str]:
        """All files of the group; raises DataError if this project did not write one of them."""
        files = list(self.sizes())
        if "zarr.json" not in files:  # nothing, or cut short while it was being created
            others = [path or "a file" for path in files if not _is_partial(path)]
        else:
            attributes = self._attributes()
            others = [path for path in files if not _is_own(path, "segment_frames" in attributes)]
            if not attributes.keys() >= _OWN_ATTRIBUTES:
                others = ["zarr.json", *others]
        if others:
            raise DataError(f"{self._folder} {holds_others(sorted(others))}; choose another --out or move them away")
        return files

    def _attributes(self) -> dict[str, Any]:
        """The attributes of the group; empty if its description is damaged."""
        try:
            return dict(json.loads(self._fs.cat_file(f"{self._folder}/zarr.json"))["attributes"])
        except (ValueError, KeyError, TypeError):
            return {}

    def _delete(self, paths: list[str]) -> None:
        """Delete files and the folders that become empty."""
        folders = {""} if paths else set()
        for path in paths:
            self._fs.rm_file(f"{self._folder}/{path}")
            folders.update(path[:end] for end, letter in enumerate(path) if letter == "/")
        self._fs.invalidate_cache(self._folder)
        for folder in sorted(folders, key=len, reverse=True):
            name = f"{self._folder}/{folder}".rstrip("/")
            if self._fs.exists(name) and not os.path.islink(name) and not self._fs.ls(name, detail=False):
                self._fs.rmdir(name)


def _is_partial(path: str) -> bool:
    return _PARTIAL.fullmatch(path.rpartition("/")[2]) is not None


def _is_own(path: str, recording: bool) -> bool:
    """Whether a file inside a group is one that this project writes, by its name; recordings have further columns."""
    array, _, name = path.rpartition("/")
    known = recording or array in ("", *get_args(LookName), *_KNOWN)
    return known and (_FILE.fullmatch(name) is not None or _is_partial(path))


def create_columns(group: zarr.Group, columns: Mapping[str, Column], rows: int, rows_per_file: int) -> None:
    """Create one array per column, ``rows`` long."""
    for name, column in columns.items():
        group.create_array(
            name,
            shape=(rows, *column.shape),
            chunks=(rows_per_file, *column.shape),
            dtype=column.dtype,
            compressors=[_COMPRESSION, Crc32cCodec()],
            chunk_key_encoding={"name": "default", "separator": "."},
        )


def writable(group: zarr.Group, name: str) -> zarr.Array:
    """An array that writes shards of zeros, too, so that a missing file always means a store that was cut short."""
    return cast(zarr.Array, group[name]).with_config({"write_empty_chunks": True})


class GroupReader:
    """Rows of a finished split or of a recording.

    Raises:
        DataError: the group is missing, or another version of this project wrote it.
    """

    def __init__(self, url: str, group: str) -> None:
        self.url, self.name = str(url), group
        with storage_errors(f"reading {self.where}"):
            try:
                self._group = open_group(self.url, group)
            except FileNotFoundError as error:
                raise DataError(f"{self.where}: no frames there{self._others()}") from error
            self.attributes: dict[str, Any] = dict(self._group.attrs)
        if self.attributes.get("version") != VERSION:
            raise DataError(
                f"{self.where}: written in version {self.attributes.get('version')} of the format, "
                f"this program reads version {VERSION}; make the frames again"
            )

    @property
    def where(self) -> str:
        """Place and name of the group, for messages."""
        return f"{self.url}/{self.name}"

    @property
    def frames(self) -> int:
        """Number of frames."""
        return int(self.attributes["frames"])

    @cached_property
    def arrays(self) -> dict[str, zarr.Array]:
        """All arrays by name (``glance/rgb``, ``tcp``, ...)."""
        try:
            members = [
                (name, each) for name, each in self._group.members(max_depth=None) if isinstance(each, zarr.Array)
            ]
        except Exception as error:  # the libraries raise many types, depending on what the description asks for
            raise DataError(f"{self.where}: cannot be opened ({type(error).__name__}: {error})") from error
        arrays = {name: member for name, member in members if isinstance(member, zarr.Array)}
        for name, array in arrays.items():
            if fault := _fault_of(name, array):
                raise DataError(f"{self.where}/{name}: {fault}; open no recording that this project did not write")
        return arrays

    def read(self, name: str, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Rows ``start:stop`` of an array as stored.

        Raises:
            DataError: the array or one of its files is missing or damaged.
        """
        stop = self.frames if stop is None else min(stop, self.frames)
        if name not in self.arrays:
            raise DataError(f"{self.where}: no array {name!r}; it has {', '.join(sorted(self.arrays))}")
        try:
            return np.asarray(self.arrays[name][start:stop])
        except Exception as error:  # codecs and file systems raise many types; each means that the file is damaged
            raise DataError(
                f"{self.where}/{name}: frames {start}..{stop} cannot be read, the store is damaged "
                f"({type(error).__name__}: {error}); draw it again with --fresh"
            ) from error

    def require_rig(self, rig: Rig) -> None:
        """Refuse frames of another rig.

        Raises:
            DataError: the message names the keys that differ.
        """
        if differing := differing_keys(Rig.renewed(self.attributes.get("rig") or {}), rig.to_json()):
            raise DataError(
                f"{self.where}: frames of another rig ({', '.join(differing)} differ); draw them again for this one"
            )

    def _others(self) -> str:
        try:
            names = sorted(name for name, _ in open_group(self.url).groups())
        except (OSError, ValueError, DataError):
            names = []
        known = f"; {self.url} has {', '.join(names)}" if names else ""
        return f"{known}; draw them with: python -m datasets.generate --out {self.url}"


class FrameStore(GroupReader):
    """A finished split, as ``python -m datasets.generate`` leaves it.

    Raises:
        DataError: the split is missing, unfinished or was not drawn, or some of its files are missing.
    """

    def __init__(self, url: str, split: str) -> None:
        super().__init__(url, split)
        if not self.attributes.get("complete"):
            raise DataError(
                f"{self.where}: generation was interrupted; go on with: python -m datasets.generate --out {self.url}"
            )
        found = StoredFiles(self.url, split).array_bytes() if self.frames else {}
        for name, expected in self.attributes["stored_bytes"].items():
            if name not in self.arrays or found.get(name, 0) != expected:
                raise DataError(
                    f"{self.where}/{name}: cut short, {found.get(name, 0)} of {expected} bytes are there; "
                    f"copy it again or draw it again with: python -m datasets.generate --fresh --out {self.url}"
                )

    @property
    def looks(self) -> tuple[LookName, ...]:
        """Which looks the split holds."""
        return tuple(self.attributes["looks"])

    @property
    def shard_frames(self) -> int:
        """Frames in each file."""
        return int(self.attributes["shard_frames"])


def differing_keys(first: Any, second: Any, prefix: str = "") -> list[str]:
    """Dotted keys at which two nested dictionaries differ."""
    if isinstance(first, dict) and isinstance(second, dict):
        return [
            key
            for name in sorted({*first, *second})
            for key in differing_keys(first.get(name), second.get(name), f"{prefix}{name}.")
        ]
    return [] if first == second else [prefix.rstrip(".") or "all"]
