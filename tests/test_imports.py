"""The rooms stand on each other in one order, and no room imports upward."""

import ast
from pathlib import Path

import pytest

ROOMS = ("datasets", "perception", "control", "pipelines")


@pytest.mark.parametrize("room", ROOMS)
def test_no_room_imports_upward(room):
    above = set(ROOMS[ROOMS.index(room) + 1 :]) | {"tests"}
    files = sorted(Path(room).rglob("*.py"))
    assert files
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            assert not {name.split(".")[0] for name in names} & above, f"{path}:{node.lineno} imports upward: {names}"
