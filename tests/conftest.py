"""What every test shares: off-screen rendering, quiet libraries, the rig of the repository."""

import os

os.environ.setdefault("MUJOCO_GL", "egl")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

from collections.abc import Iterator

import numpy as np
import pytest
import torch  # noqa: F401  (imported before any GL context exists: torch's lazy import crashes after one)
from hypothesis import HealthCheck, settings

from control import safety
from control.safety import Fence
from datasets.rig import Rig

settings.register_profile("no clock decides", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no clock decides")


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
