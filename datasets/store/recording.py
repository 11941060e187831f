"""Native 640x480 frames of a capture or a run, written while it goes on: a kill loses at most the last second.

Layout of a recording, a group like a split's, with M frames so far::

    native/rgb (M, 480, 640, 3) uint8    native/depth (M, 480, 640) uint16, 0.1 mm, 0 = no reading
    timestamp (M,) s                     tcp, joints, intrinsics, T_base_camera, T_base_camera_told, as in a split
    further columns (M, ...) float64     as given to the writer; NaN where a step had none
"""

import asyncio
import queue
import re
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, cast

import numpy as np
import zarr.api.asynchronous
from numpy.typing import ArrayLike, NDArray

from datasets.common.errors import DataError
from datasets.common.files import location
from datasets.rig.frame import Frame
from datasets.rig.projection import Intrinsics
from datasets.rig.rig import Rig
from datasets.store.store import (
    LABELS,
    VERSION,
    Column,
    GroupReader,
    StoredFiles,
    create_columns,
    depth_to_metres,
    depth_to_units,
    open_group,
    open_store,
    storage_errors,
)

SEGMENT_S = 0.5
"""The writing of a step begins at most this long, s, after the step was taken. Writing takes 0.1 to 0.2 s, so that even
on a busy computer a step is on the disk within a second."""
WAITING_STEPS = 64
"""Steps that may wait for a slow disk (100 MB) before recording gives up."""
FRAMES = "frames"
"""The name under which a recorded run keeps its recording, in a folder of its own."""
STOPPED = "stopped"
"""The further column that is not 0 at the step during which the run was stopped: something was wrong with that step."""

_Row = dict[str, NDArray[Any]]


class RecordingWriter:
    """Records steps in a thread of its own, so that the control loop never waits for the disk.

    Args:
        url: folder or fsspec URL of the store.
        name: of the recording; an existing one is refused and stays as it is.
        rig: what it is recorded with; gives image size, segment length, and camera where a step does not.
        columns: shape of one step's value for each further column, e.g. ``{"estimate": (3,), "loop_s": ()}``.
        attributes: further plain values kept with the recording.

    Raises:
        DataError: the name is taken or the place cannot be written.
    """

    def __init__(
        self,
        url: str,
        name: str,
        rig: Rig,
        columns: Mapping[str, tuple[int, ...]] | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        self.where, self._url, self._name = f"{url}/{name}", url, name
        self._columns = recording_columns(rig.camera, columns or {})
        self._defaults = {
            "intrinsics": rig.camera.as_array(),
            "T_base_camera": rig.t_base_camera,
            "T_base_camera_told": rig.t_base_camera,
        }
        self._segment = max(int(rig.rate_hz * SEGMENT_S), 1)
        with storage_errors(f"writing {self.where}"):
            root = open_group(url, mode="a")
            if name in list(root.keys()):
                raise DataError(f"{self.where}: a recording of that name exists; choose another name")
            fixed = {"version": VERSION, "rig": rig.to_json(), "looks": ["native"], "segment_frames": self._segment}
            group = root.create_group(name, attributes={**(attributes or {}), **fixed, "frames": 0})
            create_columns(group, self._columns, 0, self._segment)
        self._waiting: queue.Queue[_Row | None] = queue.Queue()  # append() bounds it: close() must never wait for room
        self._arrays: dict[str, zarr.AsyncArray[Any]] = {}
        self._failure: DataError | None = None
        self._written = 0
        self._thread = threading.Thread(target=self._run, name="recording", daemon=True)
        self._thread.start()

    @property
    def written(self) -> int:
        """Number of steps on the disk, which can be read; final once the recording was closed."""
        return self._written

    def append(self, frame: Frame, values: Mapping[str, ArrayLike]) -> None:
        """Record one step: its frame (whose arrays must not change later), and any of the label and further columns.

        The camera's pose and intrinsics default to the rig's; everything else that is missing becomes NaN.

        Raises:
            DataError: a column is unknown or has another shape, or writing failed or does not keep up.
        """
        row: _Row = {
            "native/rgb": frame.rgb,
            "native/depth": frame.depth,
            "timestamp": np.array(frame.timestamp),
        }
        for name, value in {**self._defaults, **values}.items():
            row[name] = np.array(value, dtype=np.float64)
        for name, value in row.items():
            if name not in self._columns:
                raise DataError(f"{self.where}: no column {name!r}; it has {', '.join(self._columns)}")
            if value.shape != self._columns[name].shape:
                raise DataError(f"{self.where}/{name}: expected shape {self._columns[name].shape}, got {value.shape}")
        if self._failure is not None:
            raise self._failure
        if self._waiting.qsize() >= WAITING_STEPS:
            raise DataError(f"{self.where}: the disk is too slow, {WAITING_STEPS} frames wait; record less")
        self._waiting.put(row)

    def close(self) -> None:
        """Write what waits, however long the disk takes, and end the recording; idempotent.

        Raises:
            DataError: some steps could not be written; ``written`` counts those that were.
        """
        if self._thread.is_alive():
            self._waiting.put(None)
            self._thread.join()
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> "RecordingWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        try:
            with asyncio.Runner() as runner:
                # By default as many threads compress as there are columns: on all cores, the control loop's too.
                runner.get_loop().set_default_executor(ThreadPoolExecutor(1, "recording-files"))
                runner.run(self._open())
                self._write_all(runner)
        except Exception as error:  # any error must reach those who record, not end in this thread
            self._failure = _as_data_error(error, self.where)
            while not self._waiting.empty():  # up to 100 MB that will not be written
                self._waiting.get()

    async def _open(self) -> None:
        """Open the columns once, and here: a remote file system's connections belong to one event loop."""
        with storage_errors(f"writing {self.where}"):
            store = open_store(self._url, read_only=False)
            self._group = await zarr.api.asynchronous.open_group(store, path=self._name, mode="r+")
            opened = await asyncio.gather(*(self._group.getitem(name) for name in self._columns))
        for name, array in zip(self._columns, opened, strict=True):
            self._arrays[name] = cast(zarr.AsyncArray[Any], array).with_config({"write_empty_chunks": True})

    def _write_all(self, runner: asyncio.Runner) -> None:
        rows: list[_Row] = []  # of the current segment, whose files are written again as it grows
        unwritten, due = 0, float("inf")
        while True:
            row: _Row | None
            try:
                row = self._waiting.get(timeout=min(max(due - time.monotonic(), 0.0), 3600.0))
            except queue.Empty:
                row = None
            else:
                if row is None:
                    runner.run(self._write(rows, unwritten))
                    return
                rows.append(row | {"native/depth": depth_to_units(row["native/depth"])})
                due = due if unwritten else time.monotonic() + SEGMENT_S
                unwritten += 1
            if len(rows) == self._segment or (row is None and unwritten):
                runner.run(self._write(rows, unwritten))
                unwritten, due = 0, float("inf")
                if len(rows) == self._segment:
                    rows = []

    async def _write(self, rows: list[_Row], unwritten: int) -> None:
        """Write the current segment, of which the last ``unwritten`` rows are new; then count them as recorded."""
        if not unwritten:
            return
        end = self._written + unwritten
        with storage_errors(f"writing {self.where}"):
            # All columns at once: one after the other, each would wait several times until a busy interpreter goes on.
            await asyncio.gather(*(self._write_column(name, rows, end) for name in self._columns))
            await self._group.update_attributes({"frames": end})
        self._written = end

    async def _write_column(self, name: str, rows: list[_Row], end: int) -> None:
        array, shape = self._arrays[name], self._columns[name].shape
        # Only label and further columns can be missing.
        values = [row[name] if name in row else np.full(shape, np.nan) for row in rows]
        await array.resize((end, *shape))
        await array.setitem(slice(end - len(rows), end), np.stack(values))


class Recording(GroupReader):
    """Reads a recording that is finished, still being written, or was cut off by a kill.

    Segments at the end that are missing or damaged are left out: ``frames`` counts what can be read.
    """

    @classmethod
    def at(cls, path: Path) -> "Recording":
        """The recording of a run's folder, or the recording at ``path`` itself.

        Raises:
            DataError: there is no recording.
        """
        path = Path(location(path))
        path = path / FRAMES if (path / FRAMES).is_dir() else path
        if not path.is_dir():
            raise DataError(f"{path}: no such folder; name that of a recorded run, such as runs/real/DATE-TIME")
        recording = cls(str(path.parent), path.name)
        if "native/rgb" not in recording.arrays:
            raise DataError(f"{path}: holds no native frames; name the folder of a recorded run")
        return recording

    @cached_property
    def frames(self) -> int:
        """Number of frames that can be read."""
        size = int(self.attributes["segment_frames"])
        frames = min(int(self.attributes["frames"]), self._segments_there() * size)
        while frames and not self._readable((frames - 1) // size * size, frames):
            frames = (frames - 1) // size * size
        return frames

    def frame(self, index: int) -> Frame:
        """One native frame as the camera gave it.

        Raises:
            DataError: ``index`` lies beyond the end, or the frame is damaged.
        """
        if not 0 <= index < self.frames:
            raise DataError(f"{self.where}: no frame {index}, it has {self.frames}")
        row = {name: self.read(name, index, index + 1)[0] for name in ("native/rgb", "native/depth", "timestamp")}
        return Frame(row["native/rgb"], depth_to_metres(row["native/depth"]), float(row["timestamp"]))

    def _segments_there(self) -> int:
        found: dict[str, set[int]] = {name: set() for name in self.arrays}
        for path in StoredFiles(self.url, self.name).sizes():
            array, _, file = path.rpartition("/")
            if match := re.match(r"c\.(\d+)", file):
                found[array].add(int(match[1]))
        return min(next(k for k in range(len(there) + 1) if k not in there) for there in found.values())

    def _readable(self, start: int, stop: int) -> bool:
        try:
            for array in self.arrays.values():
                if len(np.asarray(array[start:stop])) < stop - start:
                    return False
        except Exception:  # codecs and file systems raise many types; each means that this segment is lost
            return False
        return True


def _as_data_error(error: Exception, where: str) -> DataError:
    if isinstance(error, DataError):
        return error
    failure = DataError(f"writing {where}: {type(error).__name__} {error}; everything before it can be read")
    failure.__cause__ = error
    return failure


def recording_columns(camera: Intrinsics, further: Mapping[str, tuple[int, ...]]) -> dict[str, Column]:
    """All columns of a recording, by name.

    Raises:
        DataError: a further column takes the name of a standard one.
    """
    standard = {
        "native/rgb": Column((camera.height, camera.width, 3), "uint8"),
        "native/depth": Column((camera.height, camera.width), "uint16"),
        "timestamp": Column((), "float64"),
        **LABELS,
    }
    if taken := sorted(standard.keys() & further.keys()):
        raise DataError(f"recording columns {', '.join(taken)} have names of standard columns; choose other names")
    return {**standard, **{name: Column(tuple(shape), "float64") for name, shape in further.items()}}
