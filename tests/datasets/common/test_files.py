"""Files are written whole or not at all."""

import errno
import os
from pathlib import Path

import pytest

from datasets.common.files import write_whole


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
