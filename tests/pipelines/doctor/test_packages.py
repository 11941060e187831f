"""Libraries: one line for all that is well, and one for each that a run needs and cannot use."""

import sys
from types import SimpleNamespace

import pytest

from pipelines.doctor import packages
from pipelines.doctor.finding import Broken, State


@pytest.fixture
def look(monkeypatch):
    """What is found where some statements fail and some versions are others than installed here."""

    def look(broken=(), versions=None):
        def run(arguments, *given):
            if any(name in arguments[-1] for name in broken):
                raise Broken("ImportError: no driver")
            return {}

        known = packages._version  # the real one, for what is not replaced
        monkeypatch.setattr(packages, "look_apart", run)
        monkeypatch.setattr(packages, "_version", lambda name: (versions or {}).get(name, known(name)))
        return {finding.item: finding for finding in packages.look()}

    return look


def test_what_is_well_is_one_line_with_every_version(look):
    found = look()
    assert found["packages"].state is State.OK
    assert all(f"{name} " in found["packages"].found for name in packages.NEEDED)
    assert State.FAULT not in {each.state for each in found.values()}


def test_a_library_that_cannot_be_used_is_a_fault_and_hides_no_other(look):
    found = look(broken=["import zarr"])
    assert found["zarr"].state is State.FAULT
    assert "cannot be used: ImportError: no driver" in found["zarr"].found
    assert found["zarr"].remedy == packages.INSTALL
    assert "zarr" not in found["packages"].found
    assert "scipy" in found["packages"].found


def test_a_library_that_is_not_installed_is_told_so(look):
    assert look(broken=["import zarr"], versions={"zarr": None})["zarr"].found.startswith("not installed: ")


def test_a_version_other_than_the_pinned_is_a_note(look):
    found = look(versions={"scipy": "0.0.1"})
    assert found["other versions"].state is State.NOTE
    assert "scipy 0.0.1 (constraints.txt: " in found["other versions"].found


@pytest.mark.parametrize(
    ("version", "state"), [((3, 10), "fault"), ((3, 11), "ok"), ((3, 13), "ok"), ((3, 14), "fault"), ((4, 0), "fault")]
)
def test_python_is_one_of_those_supported(look, monkeypatch, version, state):
    monkeypatch.setattr(packages, "sys", SimpleNamespace(version_info=(*version, 1, "final", 0), prefix=sys.prefix))
    python = look()["Python"]
    assert python.state == state
    assert bool(python.remedy) == (state == "fault")
