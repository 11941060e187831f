"""What is found of the machine, with what to do about it."""

import os
import shutil
from types import SimpleNamespace

import pytest

from pipelines.doctor import machine
from pipelines.doctor.finding import State


def test_a_full_disk_is_a_fault_with_its_remedy(monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(total=1 << 40, free=5 << 20))
    parts = machine.parts()
    for name in ("disk", "temporary files"):
        found = parts[name]()
        assert found.state is State.FAULT
        assert found.item == name
        assert found.found == "0.0 GB free"
        assert found.remedy.startswith("free 1 GB or more")


def test_each_part_is_found_under_its_name():
    for name, look in machine.parts().items():
        if name != "punctuality":  # which takes its time
            assert look().item == name


@pytest.mark.parametrize(("cores", "state"), [(1, State.FAULT), (2, State.OK), (64, State.OK)])
def test_a_run_needs_two_cores(monkeypatch, cores, state):
    monkeypatch.setattr("datasets.common.workers.usable_cores", lambda: cores)
    found = machine.parts()["cores"]()
    assert found.state is state
    assert found.found.startswith(f"{cores} usable of ")
    assert bool(found.remedy) == (state is State.FAULT)


def test_a_core_that_this_process_may_not_use_does_not_count():
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        found = machine.parts()["cores"]()
    finally:
        os.sched_setaffinity(0, before)
    assert found.state is State.FAULT
    assert found.found.startswith("1 usable of ")


def test_a_folder_that_cannot_be_written_is_a_fault_though_there_is_room(monkeypatch):
    monkeypatch.setattr("os.access", lambda folder, mode: False)
    found = machine.parts()["temporary files"]()
    assert found.state is State.FAULT
    assert "not writable" in found.found
    assert "TMPDIR" in found.remedy


def test_a_clock_before_the_project_s_own_time_is_a_fault(monkeypatch):
    monkeypatch.setattr("time.gmtime", lambda: SimpleNamespace(tm_year=1970))
    found = machine.parts()["clock"]()
    assert found.state is State.FAULT
    assert "the year is 1970" in found.found


@pytest.mark.parametrize(("files", "state"), [(64, State.FAULT), (255, State.FAULT), (256, None)])
def test_too_few_open_files_are_a_fault(monkeypatch, files, state):
    monkeypatch.setattr("resource.getrlimit", lambda kind: (files, files))
    found = machine.parts()["scheduling"]()
    assert (found.state is State.FAULT) == (state is State.FAULT)
    assert f"{files} open files" in found.found
