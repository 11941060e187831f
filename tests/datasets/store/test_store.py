"""The store: what is written is read back, and what is missing, damaged or foreign is refused in one line."""

import json
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from datasets.common.errors import DataError
from datasets.store.store import (
    VERSION,
    FrameStore,
    depth_to_metres,
    depth_to_units,
    differing_keys,
    schema,
)
from datasets.store.writer import SplitWriter

FRAMES, SHARD = 20, 8


def write(url: str, rig, split: str = "val", looks=("glance", "fovea")) -> dict:
    columns = schema(looks, rig.input_px)
    description = {"frames": FRAMES, "shard_frames": SHARD, "looks": looks, "rig": rig.to_json()}
    writer = SplitWriter.begin(url, split, columns, description)
    rng = np.random.default_rng(1)
    rows = {name: rng.integers(0, 255, (FRAMES, *c.shape)).astype(c.dtype) for name, c in columns.items()}
    for shard in reversed(writer.pending()):
        span = writer.rows(shard)
        writer.write(shard, {name: values[span.start : span.stop] for name, values in rows.items()})
    writer.finish()
    return rows


@pytest.mark.parametrize("place", ["{}/store", "file://{}/store", "memory://store-{}"])
def test_round_trip_on_any_file_system(tmp_path, rig, place):
    url = place.format(tmp_path)
    rows = write(url, rig)
    store = FrameStore(url, "val")
    assert store.frames == FRAMES
    for name, values in rows.items():
        np.testing.assert_array_equal(store.read(name), values)
        np.testing.assert_array_equal(store.read(name, 5, 11), values[5:11])


def test_schema_is_the_documented_one(tmp_path, rig):
    write(str(tmp_path), rig)
    val = zarr.open_group(str(tmp_path), mode="r")["val"]
    arrays = {name: array for name, array in val.members(max_depth=None) if isinstance(array, zarr.Array)}
    del arrays["written"]
    assert {name: (array.shape, str(array.dtype)) for name, array in arrays.items()} == {
        "glance/rgb": ((20, 84, 84, 3), "uint8"),
        "glance/depth": ((20, 84, 84), "uint16"),
        "fovea/rgb": ((20, 84, 84, 3), "uint8"),
        "fovea/depth": ((20, 84, 84), "uint16"),
        "glance/window": ((20, 4), "float64"),
        "fovea/window": ((20, 4), "float64"),
        "tcp": ((20, 3), "float64"),
        "tcp_seen": ((20, 3), "float64"),
        "base_seen": ((20, 3), "float64"),
        "joints": ((20, 7), "float64"),
        "intrinsics": ((20, 4), "float64"),
        "image_px": ((20, 2), "float64"),
        "T_base_camera": ((20, 4, 4), "float64"),
        "T_base_camera_told": ((20, 4, 4), "float64"),
        "scene_seed": ((20,), "uint64"),
    }


@given(st.floats(0, 6.5, width=32))
def test_depth_keeps_a_twentieth_of_a_millimetre(depth_m):
    kept = depth_to_metres(depth_to_units(np.array([depth_m], np.float32)))
    assert abs(kept[0] - depth_m) <= 0.5e-4 + 1e-6


def test_depth_beyond_the_format_is_no_reading():
    assert depth_to_units(np.array([0.0, 6.55, 6.56, 100.0, np.inf])).tolist() == [0, 65500, 0, 0, 0]


def test_one_shard_is_one_file_per_array(tmp_path, rig):
    write(str(tmp_path), rig)
    assert len(list((tmp_path / "val/glance/rgb").glob("c.*"))) == 3


def test_unfinished_store_is_refused(tmp_path, rig):
    description = {"frames": 8, "shard_frames": 8, "looks": ["glance"], "rig": rig.to_json()}
    writer = SplitWriter.begin(str(tmp_path), "val", schema(("glance",), 84), description)
    with pytest.raises(DataError, match=r"val: generation was interrupted; go on with"):
        FrameStore(str(tmp_path), "val")
    with pytest.raises(DataError, match="1 shards are not written"):
        writer.finish()


@pytest.mark.parametrize("damage", ["delete", "truncate"])
@pytest.mark.parametrize("array", ["glance/rgb", "tcp"])
def test_store_cut_short_is_refused_when_opened(tmp_path, rig, damage, array):
    write(str(tmp_path), rig)
    file = next((tmp_path / "val" / array).glob("c.1.*"))
    if damage == "delete":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(DataError, match=rf"val/{array}: cut short, \d+ of \d+ bytes") as error:
        FrameStore(str(tmp_path), "val")
    assert "\n" not in str(error.value)


def test_flipped_bit_is_noticed_when_read(tmp_path, rig):
    write(str(tmp_path), rig)
    file = next((tmp_path / "val/glance/depth").glob("c.0.*"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read, the store is damaged"):
        FrameStore(str(tmp_path), "val").read("glance/depth")


def test_other_version_is_refused(tmp_path, rig):
    write(str(tmp_path), rig)
    metadata = tmp_path / "val/zarr.json"
    content = json.loads(metadata.read_text())
    content["attributes"]["version"] = VERSION + 1
    metadata.write_text(json.dumps(content))
    with pytest.raises(DataError, match=f"version {VERSION + 1} of the format, this program reads version {VERSION}"):
        FrameStore(str(tmp_path), "val")


def test_other_rig_is_refused_by_key(tmp_path, rig):
    from dataclasses import replace

    write(str(tmp_path), rig)
    store = FrameStore(str(tmp_path), "val")
    store.require_rig(rig)
    with pytest.raises(DataError, match=r"another rig \(camera.fx, fovea_width_m differ\)"):
        store.require_rig(replace(rig, camera=replace(rig.camera, fx=600.0), fovea_width_m=0.2))


def test_missing_store_split_and_array_are_named(tmp_path, rig):
    with pytest.raises(DataError, match="no frames there; draw them with"):
        FrameStore(str(tmp_path / "nothing"), "val")
    write(str(tmp_path), rig)
    with pytest.raises(DataError, match=r"train: no frames there; .* has val"):
        FrameStore(str(tmp_path), "train")
    with pytest.raises(DataError, match=r"no array 'glance/rgbd'; it has .*glance/rgb"):
        FrameStore(str(tmp_path), "val").read("glance/rgbd")


def test_nothing_is_created_by_reading(tmp_path):
    with pytest.raises(DataError):
        FrameStore(str(tmp_path / "nothing"), "val")
    assert not Path(tmp_path / "nothing").exists()


def test_differing_keys_are_dotted():
    assert differing_keys({"a": {"b": 1, "c": 2}, "d": 1}, {"a": {"b": 1, "c": 3}}) == ["a.c", "d"]
    assert differing_keys({"a": 1}, {"a": 1}) == []


def test_shard_of_zeros_is_written_too(tmp_path, rig):
    columns = schema(("glance",), rig.input_px)
    description = {"frames": 8, "shard_frames": 8, "looks": ["glance"], "rig": rig.to_json()}
    SplitWriter.begin(str(tmp_path), "val", columns, description)
    writer = SplitWriter(str(tmp_path), "val")
    writer.write(0, {name: np.zeros((8, *c.shape), c.dtype) for name, c in columns.items()})
    writer.finish()
    next((tmp_path / "val/glance/rgb").glob("c.*")).unlink()
    with pytest.raises(DataError, match="cut short"):
        FrameStore(str(tmp_path), "val")
