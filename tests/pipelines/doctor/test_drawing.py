"""Whether pictures can be drawn is told with their speed, whatever becomes of the process that tries."""

import os
from pathlib import Path

import pytest

from pipelines.doctor import drawing
from pipelines.doctor.finding import Broken, State


@pytest.fixture
def look(monkeypatch):
    """What is told of a process that drew so fast, or ended so."""

    def look(ms=5.0, broken=None):
        asked = []

        def apart(arguments, timeout_s, variables):
            asked.append(variables)
            if broken:
                raise Broken(broken)
            return {"by": "llvmpipe", "ms": ms, "size": "640x480"}

        monkeypatch.setattr(drawing, "look_apart", apart)
        (found,) = drawing.look("egl")
        assert asked == [{"MUJOCO_GL": "egl"}]
        return found

    return look


@pytest.mark.parametrize(("ms", "state"), [(0.5, State.OK), (66.0, State.OK), (67.0, State.NOTE), (900.0, State.NOTE)])
def test_drawing_slower_than_the_twin_films_is_a_note(look, ms, state):
    found = look(ms)
    assert found.state is state
    assert found.found == f"MUJOCO_GL=egl, llvmpipe: {ms:.1f} ms per picture of 640x480 px"
    assert bool(found.remedy) == (state is State.NOTE)


def test_a_driver_that_crashes_is_a_fault_with_the_other_back_ends(look):
    found = look(broken="crashed (SIGSEGV)")
    assert found.state is State.FAULT
    assert "MUJOCO_GL=egl: nothing is drawn: crashed (SIGSEGV)" in found.found
    assert "osmesa" in found.remedy


@pytest.mark.parametrize(("ending", "told"), [("os.kill(os.getpid(), 11)", "crashed (SIGSEGV)"), ("exit(3)", "code 3")])
def test_a_driver_that_takes_its_process_along_is_a_fault(tmp_path, monkeypatch, ending, told):
    (tmp_path / "OpenGL").mkdir()
    (tmp_path / "OpenGL/__init__.py").write_text(f"import os\n{ending}\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{Path(__file__).parents[3]}")
    (found,) = drawing.look("egl")
    assert (found.item, found.state) == ("OpenGL", State.FAULT)
    assert told in found.found
