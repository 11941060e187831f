"""What a run's recorder keeps: the camera's own intrinsics, and a true count of the steps that cannot be read back."""

import errno
import json
import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import zarr

from control.arms.xarm.wire.sdk import wait_until
from datasets.generation.splits import WindowJitter
from datasets.recorded_split import cut_recordings
from datasets.rig.frame import Frame
from datasets.rig.projection import invert, transform
from datasets.rig.rig import Rig
from datasets.store.recording import SEGMENT_S, Recording
from datasets.store.store import FrameStore
from perception.cameras.run_recording import RunRecording
from pipelines.observers.recorder import FRAMES, RunRecorder
from pipelines.runtime.tick import Tick
from pipelines.setup.assemble import _recorder  # what a run records with, without the run
from pipelines.setup.devices import DeviceNames

SEGMENT = int(Rig.load().rate_hz * SEGMENT_S)
PICTURE = Frame(np.zeros((480, 640, 3), np.uint8), np.ones((480, 640), np.float32), 1.0)


def give(recorder, steps, begin=0):
    """Hand ``steps`` ticks to a recorder, at no pace."""
    point = np.array([0.4, 0.0, 0.228])
    for step in range(begin, begin + steps):
        times = dict.fromkeys(("due_s", "frame_time_s", "taken_s", "estimated_s", "acted_s", "done_s"), 1.0)
        places = dict.fromkeys(("goal", "estimate", "sigma", "command", "sent", "tcp", "tcp_at_frame"), point)
        tick = Tick(goal_index=0, step=step, time_s=step / 10, **times, **places)
        recorder(tick, PICTURE)


def told_and_missing(recorder, given):
    """Steps that the log says were not recorded, and those that cannot be read back; the events of the log."""
    events = [json.loads(line) for line in recorder.log.path.read_text().splitlines()]
    assert events[-1]["event"] == "ended"
    missing = given - Recording(str(recorder.path), FRAMES).frames
    assert recorder.dropped == events[-1]["steps_not_recorded"] == missing
    return missing, [event["detail"] for event in events if event["event"] == "recording ended"]


def test_a_recording_is_replayed_and_learnt_from_with_the_camera_s_own_intrinsics(world, knowing_setup, tmp_path):
    rig = world.rig
    seen = replace(rig.camera, fx=601.0, fy=602.0, cx=330.0, cy=236.0)
    opened = SimpleNamespace(arm=world.arm, camera=SimpleNamespace(intrinsics=seen))
    with _recorder(tmp_path, knowing_setup, DeviceNames(), [], opened) as recorder:
        give(recorder, 3)
    assert RunRecording(recorder.path / FRAMES, rig.camera).intrinsics == seen
    stored = Recording(str(recorder.path), FRAMES)
    assert cut_recordings([stored], str(tmp_path), "train", rig, WindowJitter(sigma_m=0, tail_share=0)) == 3
    split = FrameStore(str(tmp_path), "train")
    np.testing.assert_array_equal(split.read("intrinsics"), [seen.as_array()] * 3)
    window = rig.fovea_window(transform(invert(rig.t_base_camera), world.arm.tcp), seen)
    np.testing.assert_array_equal(split.read("fovea/window")[2], window.as_array())


def test_what_is_recorded_whole_is_told_so(world, tmp_path):
    with RunRecorder(tmp_path, world.rig, world.arm, {}) as recorder:
        give(recorder, SEGMENT + 3)
    assert told_and_missing(recorder, SEGMENT + 3) == (0, [])


@pytest.mark.parametrize("error", [MemoryError("no 7 MiB"), OSError(errno.ENOSPC, "No space left on device")])
@pytest.mark.parametrize("array", ["native/rgb", "joints"])
def test_the_steps_of_a_segment_that_fails_are_counted(world, tmp_path, monkeypatch, error, array):
    put = zarr.storage._local._put  # where zarr writes each file: no disk can be told to fail at one of them

    def fail(path, *given, **named):
        if path.parent.name == array.split("/")[-1] and path.name.startswith("c.1."):
            raise error
        return put(path, *given, **named)

    monkeypatch.setattr("zarr.storage._local._put", fail)
    with RunRecorder(tmp_path, world.rig, world.arm, {}) as recorder:
        give(recorder, 3 * SEGMENT)
    missing, (why,) = told_and_missing(recorder, 3 * SEGMENT)
    assert missing == 2 * SEGMENT
    assert error.args[-1] in why
    recorder.close()
    assert recorder.dropped == missing


def test_steps_after_a_failure_are_counted(world, tmp_path, monkeypatch):
    def refuse(depth):
        raise MemoryError

    monkeypatch.setattr("datasets.store.recording.depth_to_units", refuse)
    recorder = RunRecorder(tmp_path, world.rig, world.arm, {})
    give(recorder, 1)
    assert wait_until(lambda: "recording" not in {thread.name for thread in threading.enumerate()}, 20.0)
    give(recorder, 100, begin=1)
    recorder.close()
    missing, (why,) = told_and_missing(recorder, 101)
    assert missing == 101
    assert "MemoryError" in why


@pytest.mark.parametrize("fails", [False, True])
def test_what_a_slow_disk_took_is_written_at_the_end_or_counted(world, tmp_path, monkeypatch, fails):
    free, put = threading.Event(), zarr.storage._local._put  # where zarr writes each file

    def wait(*given, **named):
        assert free.wait(60)  # a recorder that waited for the disk in the loop would hang here
        if fails:
            raise OSError(errno.EIO, "Input/output error")
        return put(*given, **named)

    monkeypatch.setattr("datasets.store.recording.WAITING_STEPS", 5)
    recorder = RunRecorder(tmp_path, world.rig, world.arm, {})
    monkeypatch.setattr("zarr.storage._local._put", wait)
    give(recorder, 40)
    free.set()
    recorder.close()
    missing, reasons = told_and_missing(recorder, 40)
    assert "the disk is too slow, 5 frames wait" in reasons[0]
    if fails:
        assert missing == 40
        assert "Input/output error" in reasons[1]
    else:
        assert 40 - (SEGMENT + 5) <= missing <= 35
        assert len(reasons) == 1
