"""The picture of which postures were taken."""

import numpy as np
import pytest

from control.arms.fence import Fence
from control.arms.params import ArmParams
from control.clearance.arm_clearance import ArmClearance
from datasets.rig.rig import Box
from pipelines.capture.coverage import draw_coverage
from pipelines.capture.postures import choose_postures


@pytest.fixture(scope="module")
def fence(rig):
    return Fence.from_rig(rig, ArmParams.load())


@pytest.fixture(scope="module")
def plan(rig, fence):
    return choose_postures(rig, fence, ArmClearance(rig), 12, 1)


def test_the_picture_of_the_coverage_is_drawn(fence, plan, tmp_path):
    boxes = {"post": Box((0.3, 0.4), (0.2, 0.3), (0.0, 1.0))}
    draw_coverage(plan, np.arange(12) < 5, fence, boxes, tmp_path / "new" / "coverage.png")
    assert (tmp_path / "new" / "coverage.png").read_bytes().startswith(b"\x89PNG")
