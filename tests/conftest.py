"""What every test shares: off-screen rendering, quiet libraries, the rig of the repository."""

import os
import threading
import time

os.environ.setdefault("MUJOCO_GL", "egl")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch  # noqa: F401  (imported before any GL context exists: torch's lazy import crashes after one)
from hypothesis import HealthCheck, settings

from control.arms import fence as safety
from control.arms.fence import Fence
from datasets.rig.rig import Rig

settings.register_profile(
    "no chance decides", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("no chance decides")


@pytest.fixture(scope="session")
def rig() -> Rig:
    """The repository's own rig."""
    return Rig.load()


@pytest.fixture(scope="session", autouse=True)
def _reach_is_solved_once() -> Iterator[None]:
    """The inverse kinematics of one box and home are solved once: most of what constructing an arm takes."""
    boxes: dict[tuple[bytes, bytes, bytes], float] = {}
    solve = safety._reached

    def reached(fence: Fence, rig: Rig) -> float:
        box = (fence.low_m.tobytes(), fence.high_m.tobytes(), np.asarray(rig.home_joints_rad).tobytes())
        if box not in boxes:
            boxes[box] = solve(fence, rig)
        return boxes[box]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(safety, "_reached", reached)
        yield


@pytest.fixture
def held_up() -> Iterator[Callable[[], float]]:
    """Seconds for which the machine did not run this process: no deadline of ours can count those."""
    state, over = [(0.0, time.monotonic())], threading.Event()

    def reckon(lost_s: float, last_s: float) -> tuple[float, float]:
        now = time.monotonic()
        return lost_s + max(0.0, now - last_s - 0.025), now

    def pulse() -> None:
        while not over.wait(0.005):
            state[0] = reckon(*state[0])

    thread = threading.Thread(target=pulse)
    thread.start()
    yield lambda: reckon(*state[0])[0]  # with the gap that is not over yet: the reader may wake before the pulse
    over.set()
    thread.join()
