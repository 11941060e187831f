"""Recordings: all that was appended is read back, a kill costs at most a second, a cut tail costs its segment."""

import errno
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import zarr

from control.arms.xarm.wire.sdk import wait_until
from datasets.common.errors import DataError
from datasets.rig.frame import Frame
from datasets.store.recording import SEGMENT_S, Recording, RecordingWriter


def frame(step: int) -> Frame:
    rng = np.random.default_rng(step)
    rgb = np.kron(rng.integers(0, 255, (48, 64, 3)), np.ones((10, 10, 1))).astype(np.uint8)
    return Frame(rgb, np.full((480, 640), 1 + step * 1e-3, np.float32), 100 + step / 10)


def record(url, rig, steps: int, name: str = "run") -> None:
    with RecordingWriter(str(url), name, rig, {"estimate": (3,), "loop_s": ()}) as writer:
        for step in range(steps):
            labels = {"tcp": [0.4, 0.01 * step, 0.2], "joints": rig.home_joints_rad} if step != 2 else {}
            writer.append(frame(step), {**labels, "estimate": [step, 0, 0], "loop_s": 0.1 * step})


def append_until_refused(writer) -> tuple[int, str]:
    """How many steps the writer takes, and why it takes no more."""
    taken, why = 0, "not refused"

    def refuses() -> bool:
        nonlocal taken, why
        try:
            writer.append(frame(0), {})
        except DataError as error:
            why = str(error)
            return True
        taken += 1
        return False

    wait_until(refuses, 20.0)
    return taken, why


@pytest.mark.parametrize("steps", [0, 1, 8, 21])
@pytest.mark.parametrize("place", ["{}", "memory://{}"])
def test_round_trip(tmp_path, rig, steps, place):
    url = place.format(tmp_path)
    record(url, rig, steps)
    recording = Recording(url, "run")
    assert recording.frames == steps
    for step in range(steps):
        read, was = recording.frame(step), frame(step)
        np.testing.assert_array_equal(read.rgb, was.rgb)
        np.testing.assert_allclose(read.depth, was.depth, atol=0.5e-4)
        assert read.timestamp == was.timestamp
    if steps > 2:
        np.testing.assert_array_equal(recording.read("estimate")[:, 0], np.arange(steps))
        assert np.isnan(recording.read("tcp")[2]).all()
        np.testing.assert_array_equal(recording.read("T_base_camera")[1], rig.t_base_camera)


def test_writing_takes_one_core_from_the_loop(tmp_path, rig):
    def ours():
        return {thread for thread in threading.enumerate() if thread.name.startswith(("recording", "zarr_pool"))}

    before = ours()
    with RecordingWriter(str(tmp_path), "run", rig) as writer:
        for index in range(17):
            writer.append(frame(index), {})
        wait_until(lambda: writer.written > 0, 20.0, 0.1)
        assert sorted(thread.name for thread in ours() - before) == ["recording", "recording-files_0"]
    assert ours() == before


@pytest.mark.realtime
def test_a_waiting_step_reaches_the_disk_without_another_one(tmp_path, rig):
    writer = RecordingWriter(str(tmp_path), "run", rig)
    writer.append(frame(0), {})
    wait_until(lambda: Recording(str(tmp_path), "run").frames > 0, 20.0, 0.1)
    assert Recording(str(tmp_path), "run").frames == 1
    writer.append(frame(1), {})
    writer.close()
    writer.close()
    assert Recording(str(tmp_path), "run").read("timestamp").tolist() == [100.0, 100.1]


@pytest.mark.realtime
@pytest.mark.slow
def test_kill_costs_at_most_the_last_second(tmp_path, rig):
    program = f"""
import sys, time
sys.path.insert(0, {os.path.dirname(__file__)!r})
from test_recording import *
from datasets.rig.rig import Rig
writer = RecordingWriter({str(tmp_path)!r}, "run", Rig.load())
for step in range(1000):
    writer.append(frame(step), {{}})
    print(step, flush=True)
    time.sleep(0.1)  # the pace of a control loop
"""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) == 22:
            process.send_signal(signal.SIGKILL)
            break
    process.wait()
    recording = Recording(str(tmp_path), "run")
    assert recording.frames >= 23 - 10
    assert recording.frame(recording.frames - 1).timestamp == pytest.approx(100 + (recording.frames - 1) / 10)


@pytest.mark.parametrize("damage", ["delete", "truncate"])
def test_cut_tail_costs_its_segment_only(tmp_path, rig, damage):
    record(tmp_path, rig, 21)
    segment = int(rig.rate_hz * SEGMENT_S)
    kept = 20 // segment * segment
    file = next((tmp_path / "run/native/depth").glob(f"c.{20 // segment}.*"))
    if damage == "delete":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-10])
    recording = Recording(str(tmp_path), "run")
    assert recording.frames == kept
    assert len(recording.read("tcp")) == kept
    with pytest.raises(DataError, match=f"no frame {kept}, it has {kept}"):
        recording.frame(kept)


@pytest.mark.parametrize(
    ("place", "error", "told"),
    [
        # Where zarr writes each file.
        ("zarr.storage._local._put", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "No space left on device"),
        ("zarr.storage._local._put", MemoryError("no 7 MiB"), "MemoryError no 7 MiB"),
        ("datasets.store.recording.depth_to_units", MemoryError(), "MemoryError"),
    ],
)
def test_a_failure_to_write_is_told_by_the_next_step_or_at_the_end(tmp_path, rig, monkeypatch, place, error, told):
    def refuse(*_, **__):
        raise error

    writer = RecordingWriter(str(tmp_path), "run", rig)
    monkeypatch.setattr(place, refuse)
    writer.append(frame(0), {})
    with pytest.raises(DataError, match=told):
        writer.close()
    with pytest.raises(DataError, match=told):
        writer.append(frame(1), {})
    with pytest.raises(DataError, match=told):
        writer.close()
    monkeypatch.undo()
    assert Recording(str(tmp_path), "run").frames == writer.written == 0


@pytest.mark.realtime
def test_a_failure_to_write_ends_what_is_accepted(tmp_path, rig, monkeypatch):
    def refuse(depth):
        raise MemoryError

    monkeypatch.setattr("datasets.store.recording.depth_to_units", refuse)
    writer = RecordingWriter(str(tmp_path), "run", rig)
    taken, why = append_until_refused(writer)
    assert taken > 0
    assert writer.written == 0
    assert "MemoryError" in why


@pytest.mark.realtime
def test_a_slow_disk_is_told_and_what_it_took_is_written(tmp_path, rig, monkeypatch):
    free, put = threading.Event(), zarr.storage._local._put  # where zarr writes each file

    def wait(*given, **named):
        free.wait(60)
        return put(*given, **named)

    monkeypatch.setattr("datasets.store.recording.WAITING_STEPS", 5)
    writer = RecordingWriter(str(tmp_path), "run", rig)
    monkeypatch.setattr("zarr.storage._local._put", wait)
    taken, why = append_until_refused(writer)
    assert "the disk is too slow, 5 frames wait" in why
    assert writer.written == 0
    free.set()
    writer.close()
    assert Recording(str(tmp_path), "run").frames == writer.written == taken


def test_what_does_not_fit_is_refused(tmp_path, rig):
    record(tmp_path, rig, 3)
    with pytest.raises(DataError, match="of that name exists"):
        RecordingWriter(str(tmp_path), "run", rig)
    with pytest.raises(DataError, match="recording columns tcp have names of standard columns"):
        RecordingWriter(str(tmp_path), "b", rig, {"tcp": (3,)})
    with RecordingWriter(str(tmp_path), "c", rig) as writer:
        with pytest.raises(DataError, match="no column 'tpc'; it has native/rgb"):
            writer.append(frame(0), {"tpc": [0, 0, 0]})
        with pytest.raises(DataError, match=r"tcp: expected shape \(3,\), got \(2,\)"):
            writer.append(frame(0), {"tcp": [0, 0]})
        small = Frame(np.zeros((84, 84, 3), np.uint8), np.zeros((84, 84), np.float32), 0.0)
        with pytest.raises(DataError, match=r"native/rgb: expected shape \(480, 640, 3\)"):
            writer.append(small, {})
    with pytest.raises(DataError, match="no frames there"):
        Recording(str(tmp_path), "d")
