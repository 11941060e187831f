"""A camera is silent when nothing comes while this process runs, not when the machine lets it wait."""

from collections.abc import Iterable, Iterator
from types import SimpleNamespace

import numpy as np
import pytest

from datasets.common.errors import DeviceError
from datasets.rig.frame import Frame
from datasets.rig.rig import Rig
from perception.cameras.realsense.camera import RealSenseCamera
from perception.cameras.realsense.settings import CameraParams


def faults_of(looks: Iterable[tuple[float, bool]], rig: Rig, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When the camera has a fault, s on a clock of our own, if its looks take so long and find a frame or none.

    What its thread does is done here, in this thread: no thread keeps to a clock that is turned.
    """
    clock, faults = 0.0, []
    camera, pending = RealSenseCamera(rig.camera, CameraParams()), iter(looks)

    def look(timeout_s: float) -> Frame | None:
        nonlocal clock
        took_s, came = next(pending, (0.0, None))
        clock += took_s
        if came is None:
            camera._stopping.set()
        return Frame(np.zeros((2, 2, 3), np.uint8), np.ones((2, 2), np.float32), clock) if came else None

    def fail(why: DeviceError) -> None:
        faults.append(clock)

    monkeypatch.setattr("perception.cameras.realsense.camera.time", SimpleNamespace(monotonic=lambda: clock))
    monkeypatch.setattr(camera, "_stream", SimpleNamespace(next=look))
    monkeypatch.setattr(camera._newest, "fail", fail)
    camera._keep_newest()
    return faults


def test_a_process_held_up_between_frames_sees_no_fault(rig, monkeypatch):
    held_up = [(0.3, False), (0.5, False), (0.01, True)]
    assert not faults_of(5 * held_up, rig, monkeypatch)


def test_a_silence_that_a_running_process_watched_is_a_fault_after_250_ms(rig, monkeypatch):
    def looks() -> Iterator[tuple[float, bool]]:
        yield 0.01, True
        yield from [(0.0103, False)] * 60

    faults = faults_of(looks(), rig, monkeypatch)
    assert 0.25 < faults[0] < 0.28
    assert len(faults) > 1  # and goes on being one
