"""A cheap changing world, the twin's camera looking at it, and a RealSense camera opened on that."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from control.arms.xarm.wire.sdk import wait_until
from datasets.common.errors import DeviceError
from datasets.rig.projection import Intrinsics
from datasets.rig.rig import Rig
from perception.cameras.realsense.camera import RealSenseCamera
from perception.cameras.realsense.settings import CameraParams
from pipelines.twin.camera.camera import CameraTwin, TwinCameraParams
from pipelines.twin.camera.software_realsense import Shot

FPS = 30


class MovingPicture:
    """A render that changes at every call and remembers when it was called and by whom."""

    def __init__(self, rig: Rig) -> None:
        rng = np.random.default_rng(0)
        shape = rig.camera.height, rig.camera.width
        self._depth = rng.uniform(0.8, 1.2, shape).astype(np.float32)
        self._depth[:, :40] = 0.0  # no reading
        self._rgb = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
        self.times: list[float] = []
        self.threads: set[str] = set()
        self.left_by: str | None = None

    def __call__(self, t: float) -> tuple[np.ndarray, np.ndarray]:
        self.times.append(t)
        self.threads.add(threading.current_thread().name)
        shift = 7 * len(self.times) % 480
        return np.roll(self._rgb, shift, axis=0), np.roll(self._depth, shift, axis=0)

    @contextlib.contextmanager
    def renderer(self) -> Iterator["MovingPicture"]:
        self.threads.add(threading.current_thread().name)
        yield self
        self.left_by = threading.current_thread().name


class Bench:
    """A twin and the camera that reads it, with what was really delivered and when."""

    def __init__(self, rig: Rig, twin: TwinCameraParams, camera: CameraParams) -> None:
        self.rig = rig
        self.settings = camera
        self.picture = MovingPicture(rig)
        self.delivered: list[tuple[float, Shot]] = []
        self.twin = CameraTwin(rig.camera, self.picture.renderer, twin, self._note)
        self.camera = self.open_camera()

    def _note(self, shot: Shot) -> None:
        self.delivered.append((time.monotonic(), shot))

    def open_camera(self, **changes: object) -> RealSenseCamera:
        return RealSenseCamera(self.rig.camera, replace(self.settings, **changes), context=self.twin.context)

    def wait_until_refused(self, words: str = "", patience_s: float = 6.0) -> str:
        """Until ``read_latest`` raises and says these words; all that it says."""
        said = [""]

        def refuses() -> bool:
            try:
                self.camera.read_latest(0.5)
            except DeviceError as error:
                said[0] = str(error)
                return words in said[0]
            return False

        assert wait_until(refuses, patience_s, 0.002), f"{words!r} was not said within {patience_s} s; last: {said[0]}"
        return said[0]

    def wait_until_fresh(self, patience_s: float = 6.0) -> None:
        """Until ``read`` gives a frame again."""

        def gives_one() -> bool:
            with contextlib.suppress(DeviceError):
                self.camera.read()
                return True
            return False

        assert wait_until(gives_one, patience_s), f"the camera gave no frame for {patience_s} s"


TWIN = TwinCameraParams(fps=FPS, latency_s=0.03)
CAMERA = CameraParams(fps=FPS, warm_up_frames=3, connect_timeout_s=1.0, reopen_after_s=0.6, reopen_interval_s=0.1)


@pytest.fixture
def make_bench(rig: Rig) -> Iterator[Callable[..., Bench]]:
    """Builds benches with changed settings of the twin, started; all is closed at the end of the test."""
    benches: list[Bench] = []

    def make(camera: CameraParams = CAMERA, lens: Intrinsics = rig.camera, **twin_changes: object) -> Bench:
        bench = Bench(replace(rig, camera=lens), replace(TWIN, **twin_changes), camera)
        benches.append(bench)
        bench.twin.start()
        return bench

    yield make
    for bench in benches:
        bench.camera.disconnect()
        bench.twin.stop()


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    """A started twin with its camera connected."""
    bench = make_bench()
    bench.camera.connect()
    return bench


@pytest.fixture
def record() -> Callable[[Bench, Path, int], None]:
    """Reads frames of a bench's twin while librealsense records, however long a busy disk makes it wait."""

    def read(bench: Bench, path: Path, frames: int) -> None:
        waits = {"connect_timeout_s": 30.0, "read_timeout_s": 30.0, "max_gap_s": 10.0, "reopen_after_s": 60.0}
        patient = replace(bench.settings, **waits)
        with RealSenseCamera(bench.rig.camera, patient, context=bench.twin.context, record_to=path) as camera:
            for _ in range(frames):
                camera.read()

    return read


@pytest.fixture
def count_receivers() -> Callable[[], int]:
    """Counts the threads that receive frames: of others, the SDK's among them, one may end at any time."""
    return lambda: sum(thread.name == "realsense" for thread in threading.enumerate())
