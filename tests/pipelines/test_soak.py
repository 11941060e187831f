"""An endurance run in small: what it measures, what it keeps on the disk, and what it calls good."""

import json
import mmap
import socket
import threading
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import zarr

from datasets.rig.frame import Frame
from datasets.store.recording import Recording
from pipelines.observers.recorder import FRAMES, RunRecorder
from pipelines.twin.settings import TwinParams
from soak import run as soak_command
from soak.process_watch import Holdings, ProcessWatch
from soak.report import left_behind, memory_slope_mb_s, metrics, plot_soak
from soak.rotation import RotatingRecorder
from soak.run import RECORDINGS_KEPT, soak


def holdings(time_s=0.0, memory_mb=300.0, threads=2, names=("MainThread",), sockets=0, files=3):
    return Holdings(time_s, memory_mb, threads, tuple(names), sockets, files)


@pytest.mark.realtime
@pytest.mark.slow
def test_some_seconds_leave_nothing_behind(knowing_setup, tmp_path, monkeypatch):
    monkeypatch.setattr(soak_command, "GOALS_PER_RECORDING", 2)
    setup = replace(knowing_setup, settings=replace(knowing_setup.settings.with_horizon(6), settle_s=0.0))
    found = soak(setup, TwinParams(), 3.0, sample_s=0.25, folder=tmp_path / "runs")
    result = metrics(found, 0.1)
    for name in ("nothing left behind", "recording rotated"):  # the slope of memory needs minutes
        assert result["verdicts"][name]["good"], result["verdicts"][name]
    assert found.goals >= soak_command.GOALS_PER_RECORDING
    assert result["ticks"] <= 6 * found.goals
    assert result["sockets"]["peak"] > result["sockets"]["after"] == result["sockets"]["before"]
    assert result["memory"]["after_mb"] - result["memory"]["before_mb"] < 150
    assert 1 <= len(found.recorder.kept) <= RECORDINGS_KEPT
    recorded = sum(Recording(str(path), FRAMES).frames for path in found.recorder.kept)
    assert recorded == result["ticks"] if found.recorder.removed == 0 else recorded <= result["ticks"]
    assert sorted((tmp_path / "runs").iterdir()) == sorted(found.recorder.kept)
    json.dumps(result)
    plot_soak(found, tmp_path / "soak.png")
    assert (tmp_path / "soak.png").stat().st_size > 10_000


def test_what_is_left_behind_is_named():
    before = Holdings.now()
    assert left_behind(before, before) == []
    over = threading.Event()
    thread = threading.Thread(target=over.wait, name="forgotten", daemon=True)
    thread.start()
    with socket.socket():
        left = left_behind(before, Holdings.now())
    over.set()
    thread.join()
    assert left == ["thread 'forgotten'", "1 sockets"]
    assert left_behind(holdings(), holdings(threads=4)) == ["2 native threads"]
    assert left_behind(holdings(), holdings(files=5)) == ["2 files"]
    assert left_behind(holdings(sockets=2), holdings()) == []


@pytest.mark.realtime
def test_a_watch_sees_memory_that_grows():
    kept = []
    with ProcessWatch(0.02, lambda: {"goals": len(kept)}) as watch:
        for _ in range(20):
            kept.append(mmap.mmap(-1, 4_000_000))  # new pages each time: the heap would hand out memory freed before
            kept[-1].write(bytes(4_000_000))
            threading.Event().wait(0.02)
    for block in kept:
        block.close()
    assert memory_slope_mb_s(watch.seen) > 10
    assert watch.seen[-1].counts["goals"] > watch.seen[0].counts["goals"]
    assert not any(thread.name == "process watch" for thread in threading.enumerate())


def test_the_slope_ignores_buffers_that_fill_and_single_peaks():
    flat = [holdings(float(t), 300.0) for t in range(100)]
    assert memory_slope_mb_s(flat) == 0
    filling = [replace(each, memory_mb=250 + 10 * min(each.time_s, 5)) for each in flat]
    filling[50] = replace(filling[50], memory_mb=900.0)
    assert abs(memory_slope_mb_s(filling)) < 1e-6
    leaking = [replace(each, memory_mb=300 + 0.5 * each.time_s) for each in flat]
    assert memory_slope_mb_s(leaking) == pytest.approx(0.5)
    assert memory_slope_mb_s(flat[:2]) == 0


@pytest.mark.realtime
def test_only_the_newest_recordings_are_kept(world, tmp_path, monkeypatch):
    names = iter("abcdef")

    def start():
        monkeypatch.setattr("pipelines.observers.recorder.datetime", FixedName(next(names)))
        return RunRecorder(tmp_path, world.rig, world.arm, {})

    world.horizon = 3
    recorder = RotatingRecorder(2)
    big = Frame(np.zeros((480, 640, 3), np.uint8), np.ones((480, 640), np.float32), 1.0)
    world.observers = (lambda tick, frame: recorder(tick, big),)
    runtime = world.runtime()
    for _ in range(4):
        recorder.rotate(start)
        recorder.finished(runtime.reach(np.array([0.44, 0.05, 0.27])))
    recorder.close()
    recorder.close()
    assert [path.name for path in recorder.kept] == ["c", "d"]
    assert {path.name for path in tmp_path.iterdir()} == {"c", "d"}
    assert (recorder.made, recorder.removed, recorder.dropped) == (4, 2, 0)
    recorder.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_recording_that_holds_the_user_s_files_is_rotated_around_them(tmp_path, rig, capsys):
    recorder = RotatingRecorder(1)
    for name in ("clean", "noted", "mixed", "last"):
        store = zarr.open_group(str(tmp_path / name), mode="a", zarr_format=3)
        ours = {"version": 1, "rig": rig.to_json(), "looks": ["native"], "frames": 0, "segment_frames": 8}
        store.create_group("frames", attributes=ours)
        theirs = {"noted": "note.txt", "mixed": "frames/note.txt"}.get(name)
        if theirs:
            (tmp_path / name / theirs).write_text("mine")
        recorder.rotate(partial(SimpleNamespace, path=tmp_path / name, dropped=0, close=lambda: None))
    told = capsys.readouterr().out
    assert f"{tmp_path / 'clean'}: deleted" in told
    assert f"{tmp_path / 'mixed'} stays" in told
    assert {path.name for path in tmp_path.iterdir()} == {"noted", "mixed", "last"}
    assert [path.name for path in (tmp_path / "noted").iterdir()] == ["note.txt"]
    assert (tmp_path / "mixed/frames/zarr.json").is_file()
    assert recorder.removed == 2


def test_steps_that_any_recording_lost_are_counted(tmp_path):
    recorder = RotatingRecorder(1)
    for lost in (2, 0, 3):
        recorder.rotate(partial(SimpleNamespace, path=tmp_path / f"{lost}", dropped=lost, close=lambda: None))
    recorder.close()
    assert recorder.dropped == 5


class FixedName:
    def __init__(self, name):
        self.name = name

    def now(self):
        return self

    def strftime(self, form):
        return self.name


@pytest.mark.parametrize("arguments", [["--minutes", "0"], ["--every", "-1"], ["--minutes", "nan"]])
def test_bad_options_are_refused(arguments, capsys):
    with pytest.raises(SystemExit) as refused:
        soak_command.main(arguments)
    assert refused.value.code == 2
    assert "give a positive number" in capsys.readouterr().err
