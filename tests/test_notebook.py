"""The notebook runs from its first cell to its last, and shows what it talks of."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

PATH = Path(__file__).parents[1] / "docs/reach.ipynb"


@pytest.fixture
def notebook():
    return nbformat.read(PATH, as_version=4)


def test_it_has_ten_cells_each_introduced_in_words(notebook):
    kinds = [cell.cell_type for cell in notebook.cells]
    assert kinds == ["markdown", "code"] * 10


@pytest.mark.slow
def test_it_reaches_the_goal_and_shows_its_pictures(notebook, monkeypatch):
    monkeypatch.delenv("MPLBACKEND", raising=False)  # ours draws into files; a notebook has its own
    for cell in notebook.cells[1::2]:
        cell.outputs = []
    NotebookClient(notebook, timeout=280, resources={"metadata": {"path": str(PATH.parent)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 5
    assert "the arm came to rest" in outputs[-1]["text"]


def test_what_is_shown_in_the_repository_is_from_a_whole_run(notebook):
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, 11))
    assert "mm from the goal" in code[-1].outputs[-1]["text"]
