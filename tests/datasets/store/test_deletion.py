"""What this project did not write is never deleted: a store's clean-up knows its own files and refuses all others."""

import json
import os
import re
import shutil

import numpy as np
import pytest
import yaml
import zarr

from datasets.common.errors import DataError
from datasets.generate import main
from datasets.store.store import StoredFiles
from datasets.store.writer import SplitWriter
from pipelines.observers.recorder import delete_recording

SPLITS = {name: {"frames": 4, "seed": seed, "camera": {"offset_m": 0.0}} for seed, name in enumerate(("train", "val"))}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with a parameter file, apart from the home folder ``home``."""
    (tmp_path / "here").mkdir()
    (tmp_path / "home").mkdir()
    rig = os.path.abspath("params/rig.yaml")
    (tmp_path / "here/few.yaml").write_text(yaml.safe_dump({"shard_frames": 4, "splits": SPLITS}))
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return lambda *more: main(["--config=few.yaml", f"--rig={rig}", "--workers=1", *more])


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """Finished frames of those parameters, drawn once; each test takes a copy."""
    folder = tmp_path_factory.mktemp("drawn")
    (folder / "few.yaml").write_text(yaml.safe_dump({"shard_frames": 4, "splits": SPLITS}))
    main([f"--config={folder}/few.yaml", f"--out={folder}/frames", "--workers=1"])
    return lambda place: shutil.copytree(folder / "frames", place)


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("out", ["--out=~/frames", "--out=file://{home}/frames", "--out=../home/frames"])
def test_every_way_to_name_a_place_means_the_same(here, frames, tmp_path, capsys, out):
    frames(tmp_path / "home/frames")
    before = contents(tmp_path / "home/frames")
    here(out.format(home=tmp_path / "home"), "--fresh")
    told = capsys.readouterr().out
    assert "train: deleted 4 frames drawn before" in told
    assert "val: deleted 4 frames drawn before" in told
    assert contents(tmp_path / "home/frames") == before
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["few.yaml"]
    assert json.loads((tmp_path / "home/frames/train/zarr.json").read_text())["attributes"]["stored_bytes"]


def pictures(folder):
    (folder / "train").mkdir(parents=True)
    (folder / "train/holiday.jpg").write_text("mine")


def note_beside_frames(folder):
    (folder / "val/rgb").mkdir(parents=True)
    (folder / "val/note.txt").write_text("mine")


def file_of_that_name(folder):
    folder.mkdir(parents=True)
    (folder / "train").write_text("mine")


def zarr_of_others(folder):
    group = zarr.open_group(str(folder), mode="a", zarr_format=3).create_group("train", attributes={"mine": True})
    group.create_array("x", data=np.arange(3))


def old_zarr_of_others(folder):
    zarr.open_group(str(folder / "train"), mode="w", zarr_format=2).create_array("x", data=np.arange(3))


def array_of_others(folder):
    zarr.create_array(str(folder / "train"), data=np.arange(3))


def root_of_others(folder):
    zarr.open_group(str(folder), mode="a", zarr_format=3, attributes={"mine": True})


def unfinished_file_of_others(folder):
    (folder / "train").mkdir(parents=True)
    (folder / "train" / f"movie.{'a' * 32}.partial").write_text("mine")


@pytest.mark.parametrize("way", [["--fresh"], ["--existing=redraw"], []])
@pytest.mark.parametrize(
    "theirs",
    [
        *(pictures, note_beside_frames, file_of_that_name, zarr_of_others, old_zarr_of_others),
        *(array_of_others, root_of_others, unfinished_file_of_others),
    ],
)
def test_what_others_wrote_is_refused_whole_and_stays(here, tmp_path, capsys, theirs, way):
    folder = tmp_path / "home/frames"
    theirs(folder)
    before = contents(folder)
    with pytest.raises(SystemExit) as ended:
        here("--out=~/frames", *way)
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert told.count("\n") == 1
    assert "/frames" in told
    assert contents(folder) == before


@pytest.mark.parametrize("name", ["note.txt", "tcp/note.txt", "mine/zarr.json", "mine/c.0", "zarr.json.old", ".hidden"])
def test_one_file_more_among_frames_keeps_them_all(here, frames, tmp_path, capsys, name):
    folder = tmp_path / "frames"
    frames(folder)
    (folder / "val" / name).parent.mkdir(exist_ok=True)
    (folder / "val" / name).write_text('{"zarr_format": 3, "node_type": "group", "attributes": {}}')
    before = contents(folder)
    with pytest.raises(SystemExit):
        here(f"--out={folder}", "--fresh")
    assert f"holds files that this project did not write ({name})" in capsys.readouterr().err
    assert contents(folder) == before
    here(f"--out={folder}")  # which deletes nothing
    assert contents(folder) == before


def test_files_beside_the_splits_are_none_of_our_business(here, tmp_path):
    folder = tmp_path / "home"
    theirs = {"letter.txt": b"mine", f"deep/zarr.{'b' * 32}.partial": b"mine", "other/zarr.json": b"{}"}
    for name, content in theirs.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    for way in ([], ["--fresh"], ["--existing=redraw"]):
        here("--out=~", *way)
    assert contents(folder).items() >= theirs.items()


def test_frames_behind_a_link_are_drawn_again_behind_it(here, frames, tmp_path):
    frames(tmp_path / "frames")
    (tmp_path / "frames/train").rename(tmp_path / "large_disk")
    (tmp_path / "frames/train").symlink_to(tmp_path / "large_disk")
    before = contents(tmp_path / "large_disk")
    here(f"--out={tmp_path}/frames", "--fresh")
    assert (tmp_path / "frames/train").is_symlink()
    assert contents(tmp_path / "large_disk") == before


@pytest.mark.parametrize("url", ["{folder}", "file://{folder}", "memory://deletion"])
def test_a_group_that_was_written_here_is_deleted_whole(tmp_path, rig, url):
    place = url.format(folder=tmp_path)
    description = {"frames": 0, "shard_frames": 4, "looks": [], "rig": rig.to_json()}
    SplitWriter.begin(place, "train", {}, description)
    assert StoredFiles(place, "train").remove() > 0
    assert StoredFiles(place, "train").sizes() == {}
    assert StoredFiles(place, "train").remove() == 0


@pytest.mark.parametrize("content", ["", "{", "[]", '{"attributes": []}', '{"attributes": {"frames": 1}}'])
def test_a_description_that_is_none_of_ours_guards_its_folder(tmp_path, content):
    (tmp_path / "train").mkdir()
    (tmp_path / "train/zarr.json").write_text(content)
    with pytest.raises(DataError, match=re.escape("did not write (zarr.json)")):
        StoredFiles(str(tmp_path), "train").remove()
    assert (tmp_path / "train/zarr.json").read_text() == content


def test_a_recording_is_deleted_without_what_lies_beside_it(tmp_path, rig):
    store = zarr.open_group(str(tmp_path / "run"), mode="a", zarr_format=3)
    ours = {"version": 1, "rig": rig.to_json(), "looks": ["native"], "frames": 0, "segment_frames": 8}
    store.create_group("frames", attributes=ours).create_array("goal", shape=(0, 3), chunks=(8, 3), dtype="f8")
    (tmp_path / "run/events.jsonl").write_text("{}\n")
    (tmp_path / "run/note.txt").write_text("mine")
    delete_recording(tmp_path / "run")
    assert contents(tmp_path / "run") == {"note.txt": b"mine"}
    (tmp_path / "run/note.txt").unlink()
    delete_recording(tmp_path / "run")
    assert not (tmp_path / "run").exists()
