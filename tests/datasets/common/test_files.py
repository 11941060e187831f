"""Files are written whole or not at all."""

import errno
import os
from pathlib import Path

import pytest

from datasets.common.cli import at_home
from datasets.common.errors import ConfigError, DataError
from datasets.common.files import MARK, delete_own, keep_previous, location, own_folder, read_json, write_whole


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("content", ["zwölf mm\n", b"\x00\xff", "", b""])
def test_content_is_read_back_and_nothing_else_is_left(tmp_path, content):
    path = tmp_path / "new" / "folder" / "file.json"
    write_whole(path, content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert names(path.parent) == ["file.json"]


def test_an_older_file_is_replaced(tmp_path):
    path = tmp_path / "file.json"
    path.write_text("a much longer file than the new one")
    write_whole(str(path), "new")
    assert path.read_text() == "new"


@pytest.mark.parametrize("failing", ["write", "replace", "interrupt"])
def test_a_failing_write_keeps_the_old_file_and_leaves_no_part(tmp_path, monkeypatch, failing):
    path = tmp_path / "file.json"
    path.write_text("old")
    error = KeyboardInterrupt() if failing == "interrupt" else OSError(errno.ENOSPC, "No space left on device")

    def fail(target, content, *rest):
        if failing != "replace":
            with open(target, "wb") as file:
                file.write(content[:1])
        raise error

    monkeypatch.setattr(os, "replace", fail) if failing == "replace" else monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(type(error)):
        write_whole(path, "new")
    assert names(tmp_path) == ["file.json"]
    assert path.read_text() == "old"


def test_a_folder_in_the_way_is_an_error_and_stays(tmp_path):
    (tmp_path / "file.json").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_whole(tmp_path / "file.json", "new")
    assert names(tmp_path) == ["file.json"]


def test_a_file_where_a_folder_should_be_is_an_error(tmp_path):
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(OSError, match=r"directory|exists"):
        write_whole(tmp_path / "folder" / "file.json", "new")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        *(("~", "/home/me"), ("~/x", "/home/me/x"), ("~//x", "/home/me//x"), ("file://~/x", "/home/me/x")),
        *(
            ("local://a/b", "a/b"),
            ("file:///a", "/a"),
            ("file://localhost/a", "/a"),
            ("a/~/b", "a/~/b"),
            ("./~", "./~"),
        ),
        *(("s3://bucket/~", "s3://bucket/~"), ("memory://x", "memory://x"), ("x", "x"), ("", ""), ("/a/b", "/a/b")),
    ],
)
def test_a_place_is_told_in_one_way(monkeypatch, given, meant):
    monkeypatch.setenv("HOME", "/home/me")
    assert location(given) == meant
    assert location(Path(given)) == location(str(Path(given)))
    assert location(location(given)) == meant


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        *(("--out=~/x", "--out=/home/me/x"), ("--data.store=~/x", "--data.store=/home/me/x"), ("-o=~", "-o=/home/me")),
        *(("~/x", "/home/me/x"), ("--out=/a=~b", "--out=/a=~b"), ("--methods=a,~b", "--methods=a,~b"), ("a=~", "a=~")),
        *(("--yes", "--yes"), ("-1e-3", "-1e-3"), ("", "")),
    ],
)
def test_an_argument_s_home_folder_is_told_however_it_is_given(monkeypatch, given, meant):
    monkeypatch.setenv("HOME", "/home/me")
    assert at_home(given) == meant


@pytest.mark.parametrize("given", ["~", "~/x", "~nobody-of-that-name/x", "~nobody-of-that-name"])
def test_a_home_folder_that_is_not_there_is_no_folder_of_that_name(monkeypatch, given):
    monkeypatch.setenv("HOME", "")
    with pytest.raises(ConfigError, match="there is no home folder ~"):
        location(given)


def test_a_folder_made_to_be_deleted_is_deleted(tmp_path):
    assert not delete_own(tmp_path / "new")
    folder = own_folder(tmp_path / "new" / "folder")
    (folder / "file").touch()
    assert own_folder(folder) == folder
    assert (folder / "file").exists()
    assert delete_own(folder)
    assert not folder.exists()
    assert not delete_own(folder)


@pytest.mark.parametrize("kind", ["full", "file", "link", "broken link"])
def test_a_folder_of_somebody_else_is_neither_taken_nor_deleted(tmp_path, kind):
    mine, folder = tmp_path / "mine", tmp_path / "folder"
    own_folder(mine)
    (mine / "letter").write_text("mine")
    if kind == "full":
        (mine / MARK).unlink()
        folder = mine
    elif kind == "file":
        folder = mine / "letter"
    else:
        folder.symlink_to(mine if kind == "link" else tmp_path / "gone")
    for touch in (delete_own, own_folder):
        with pytest.raises(DataError, match="move"):
            touch(folder)
    assert (mine / "letter").read_text() == "mine"


def test_what_is_replaced_is_kept_under_the_next_number(tmp_path):
    path = tmp_path / "camera.yaml"
    assert keep_previous(path) is None
    for content in "abc":
        path.write_text(content)
        kept = keep_previous(path)
        assert kept is not None
        assert kept.read_text() == path.read_text() == content
    assert names(tmp_path) == ["camera.1.yaml", "camera.2.yaml", "camera.3.yaml", "camera.yaml"]


@pytest.mark.parametrize("content", [None, b"{", b"\xff", b""])
def test_figures_that_are_missing_or_damaged_are_named(tmp_path, content):
    path = tmp_path / "metrics.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"metrics\.json: missing or damaged"):
        read_json(path)
