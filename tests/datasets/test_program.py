"""The digest of the drawing program covers all that draws, and nothing that does not."""

import ast
from pathlib import Path

from datasets import program

ROOM = Path(program.__file__).parent


def imported(name: str, seen: set[str]) -> set[str]:
    """The modules of this room that ``name`` needs, itself included."""
    if name not in seen:
        seen.add(name)
        for node in ast.walk(ast.parse((ROOM / name).read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("datasets."):
                imported(node.module.split(".")[1] + ".py", seen)
    return seen


def test_every_module_that_draws_is_covered():
    needed = imported("drawing.py", set()) - {"config.py", "errors.py"}
    assert needed == {name for name in program.DRAWING_FILES if name.endswith(".py")}


def test_comments_and_docstrings_do_not_count_but_code_does(tmp_path, monkeypatch):
    for name in program.DRAWING_FILES:
        (tmp_path / name).write_text((ROOM / name).read_text())
    before = program.drawing_digest()
    monkeypatch.setattr(program, "__file__", str(tmp_path / "program.py"))
    assert program.drawing_digest() == before
    look = tmp_path / "look.py"
    look.write_text("# a comment\n" + look.read_text().replace('"""', '"""More. ', 1))
    assert program.drawing_digest() == before
    look.write_text(look.read_text() + "\nCHANGED = 1\n")
    assert program.drawing_digest() != before
