"""A controller's twin, and the arm that is driven by it."""

from collections.abc import Iterator

import pytest

from control.arms.params import ArmParams
from control.arms.xarm.driver import XArm
from datasets.rig.rig import Rig
from pipelines.twin.controller.controller import ControllerTwin


@pytest.fixture
def twin(rig: Rig) -> Iterator[ControllerTwin]:
    with ControllerTwin(rig) as twin:
        yield twin


@pytest.fixture
def arm(rig: Rig, twin: ControllerTwin, request: pytest.FixtureRequest) -> Iterator[XArm]:
    with XArm(twin.host, rig, ArmParams(mode=getattr(request, "param", "online_line"))) as arm:
        yield arm
