"""The mind of an emulated controller, by a clock turned by hand."""

import numpy as np
import pytest

from datasets.rig.rig import Rig
from pipelines.twin.controller.firmware import Firmware
from turned_clock import Clock


@pytest.fixture
def firmware(rig: Rig, clock: Clock) -> Firmware:
    return Firmware(np.array(rig.home_joints_rad), clock, "v2.5.0", rig.tool.tcp_offset_m)
