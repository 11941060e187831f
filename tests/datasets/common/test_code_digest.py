"""The digest of a program covers all that its imports reach, and changes with code alone."""

from pathlib import Path

import pytest

from datasets.common import code_digest as module
from datasets.common.code_digest import fingerprint, import_closure


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of its own: ``control.train`` needs one module now, one when called, and a data file."""
    files = {
        "control/__init__.py": '"""Control."""\n',
        "control/train.py": "from control.task import env\n\ndef late():\n    import control.late\n",
        "control/late.py": "",
        "control/other.py": "",
        "control/task/__init__.py": "",
        "control/task/env.py": 'SHAPES = "shapes.yaml"\nELSEWHERE = "absent.yaml"\n',
        "control/task/shapes.yaml": "a: 1\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "_needs", module._needs.__wrapped__)  # kept for a process: files change here
    return tmp_path


def digest() -> str:
    return module.code_digest.__wrapped__("control.train")


def test_the_closure_reaches_late_imports_packages_and_data_and_nothing_else(project):
    assert import_closure(["control.train"]) == [
        "control/__init__.py",
        "control/late.py",
        "control/task/__init__.py",
        "control/task/env.py",
        "control/task/shapes.yaml",
        "control/train.py",
    ]


@pytest.mark.parametrize("name", ["control/late.py", "control/task/env.py", "control/task/__init__.py"])
def test_code_anywhere_in_the_closure_counts_and_comments_do_not(project, name):
    before = digest()
    file = project / name
    file.write_text("# said\n" + file.read_text() + '"""Said."""\n')
    assert digest() == before
    file.write_text(file.read_text() + "\nCHANGED = 1\n")
    assert digest() != before


def test_data_counts_and_code_outside_the_closure_does_not(project):
    before = digest()
    (project / "control/other.py").write_text("CHANGED = 1\n")
    assert digest() == before
    (project / "control/task/shapes.yaml").write_text("a: 2\n")
    assert digest() != before


def test_what_draws_a_frame_includes_the_model_of_the_arm_and_its_shapes():
    closure = import_closure(["datasets.generation.labelled_frame"])
    assert {"datasets/arm/xarm7.xml", "datasets/arm/shapes.yaml", "datasets/scene/renderer.py"} <= set(closure)
    assert not [name for name in closure if not name.startswith("datasets/")]


def test_files_and_values_both_name_a_run(tmp_path):
    file = Path(tmp_path / "network")
    file.write_bytes(b"one")
    first = fingerprint([{"a": 1}], file)
    assert fingerprint([{"a": 2}], file) != first
    file.write_bytes(b"two")
    assert fingerprint([{"a": 1}], file) != first
