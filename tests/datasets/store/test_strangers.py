"""What a stranger sends as a recording is read as plain numbers, or refused before any file of it is opened."""

import json
import os
import pickle

import pytest
import zarr

from datasets.common.errors import DataError
from datasets.rig.rig import Rig
from datasets.store.recording import Recording, RecordingWriter
from pipelines.setup.devices import DeviceNames

FILES = "c.0"


@pytest.fixture
def folder(tmp_path, rig):
    """A good recording of no frames, and what may be done to it."""
    RecordingWriter(str(tmp_path), "frames", rig, {"estimate": (3,)}, {}).close()
    return tmp_path


def describe(folder, name, **changes):
    path = folder / "frames" / name / "zarr.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def opens(folder):
    return Recording(str(folder), "frames").frames


def test_a_good_recording_opens(folder):
    assert opens(folder) == 0


class Boom:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


def test_a_recording_in_the_older_format_is_none(tmp_path):
    """Zarr v2 has filters that unpickle, and passes them on to a library whose switch alone would stop them."""
    frames, mark = tmp_path / "run" / "frames", tmp_path / "mark"
    (frames / "x").mkdir(parents=True)
    (frames / ".zgroup").write_text(json.dumps({"zarr_format": 2}))
    (frames / ".zattrs").write_text(json.dumps({"version": 1, "frames": 1, "segment_frames": 8}))
    array = {"zarr_format": 2, "shape": [1], "chunks": [1], "dtype": "|O", "fill_value": "", "order": "C"}
    filters = {"compressor": None, "filters": [{"id": "vlen-utf8"}, {"id": "pickle", "protocol": 4}]}
    (frames / "x" / ".zarray").write_text(json.dumps(array | filters))
    for name in ("0", FILES):
        (frames / "x" / name).write_bytes(pickle.dumps(Boom(mark)))
    with pytest.raises(DataError, match="no frames there"):
        opens(tmp_path / "run")
    with pytest.raises(DataError):
        DeviceNames.of(str(tmp_path / "run"), None, True).known_calibration(Rig.load())
    assert not mark.exists()


@pytest.mark.parametrize(
    "codecs",
    [
        [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "gzip", "configuration": {"level": 1}}],
        [{"name": "vlen-utf8"}],
        [{"name": "numcodecs.pickle"}],
        [{"name": "numcodecs.zlib", "configuration": {"level": 1}}],
        [
            {
                "name": "sharding_indexed",
                "configuration": {
                    "chunk_shape": [1, 3],
                    "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
                    "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
                },
            }
        ],
    ],
    ids=["gzip", "text", "pickle", "numcodecs", "shards"],
)
def test_filters_that_are_not_ours_are_refused_unread(folder, codecs, monkeypatch):
    describe(folder, "estimate", codecs=codecs)
    monkeypatch.setattr(zarr.Array, "__getitem__", lambda *given: pytest.fail("was read"))
    with pytest.raises(DataError, match=r"cannot be opened|filters that are not this project's"):
        opens(folder)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("estimate", {"data_type": "string", "fill_value": ""}),
        ("estimate", {"data_type": "int8", "fill_value": 0}),
        ("tcp", {"data_type": "float32", "fill_value": 0.0}),
        ("joints", {"shape": [0, 8]}),
        ("native/rgb", {"shape": [0, 480, 640, 4]}),
        ("native/rgb", {"shape": [0, 480, 640]}),
        ("native/depth", {"data_type": "float64", "fill_value": 0.0}),
    ],
)
def test_a_column_of_another_kind_is_refused(folder, name, changes):
    if "shape" in changes:
        grid = {"name": "regular", "configuration": {"chunk_shape": [1, *changes["shape"][1:]]}}
        changes = changes | {"chunk_grid": grid}
    describe(folder, name, **changes)
    with pytest.raises(DataError, match=r"is expected|cannot be opened|filters"):
        opens(folder)


def test_a_file_of_absurd_size_is_refused(folder):
    describe(folder, "estimate", chunk_grid={"name": "regular", "configuration": {"chunk_shape": [10**9, 3]}})
    with pytest.raises(DataError, match="files of 22 GB"):
        opens(folder)


def test_what_is_no_description_is_refused(folder):
    (folder / "frames/estimate/zarr.json").write_text("{")
    with pytest.raises(DataError):
        opens(folder)
