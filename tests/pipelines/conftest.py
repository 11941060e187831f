"""Runs of two kinds, on the world of one point and on the twin, with parameters as shipped or with patience."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from control.arms.params import ArmParams
from datasets.rig.rig import Rig
from patience import patient
from perception.calibration.calibration import Calibration
from perception.cameras.realsense.settings import CameraParams
from pipelines.runtime.loop import Runtime
from pipelines.setup import devices
from pipelines.setup.settings import RuntimeParams
from pipelines.setup.setup import Setup, make_fence
from pipelines.twin.twin import Twin
from pipelines.twin.world import TwinWorld
from point_world import PointWorld
from turned_clock import Clock
from untrained import Gentle, Knowing, grey_pictures


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settings() -> RuntimeParams:
    return RuntimeParams.load()


@pytest.fixture
def world(rig: Rig, settings: RuntimeParams) -> PointWorld:
    return PointWorld(rig, patient(settings))


@pytest.fixture
def impatient(world: PointWorld) -> PointWorld:
    """A world of one step, whose pictures are soon too old."""
    world.settings = replace(world.settings, limits=replace(world.settings.limits, max_frame_age_s=0.2))
    world.horizon = 1
    return world


@pytest.fixture
def undisturbed(held_up: Callable[[], float], monkeypatch: pytest.MonkeyPatch) -> Callable:
    """Repeats a scenario in which the machine held this process up, and gives what came of an undisturbed one.

    The last of five is given as it is. Only what happens within ``method`` of ``owner`` counts.
    """

    def judge(scenario: Callable, owner: type = Runtime, method: str = "reach", tolerated_s: float = 0.05) -> Any:
        inner, lost_s = getattr(owner, method), [0.0]

        def measured(*given: Any, **named: Any) -> Any:
            before = held_up()
            try:
                return inner(*given, **named)
            finally:
                lost_s[0] += held_up() - before

        with monkeypatch.context() as patch:
            patch.setattr(owner, method, measured)
            for _ in range(5):
                lost_s[0] = 0.0
                found = scenario()
                if lost_s[0] <= tolerated_s:
                    break
        return found

    return judge


@pytest.fixture
def shipped_setup(rig, settings, monkeypatch):
    """The twin with stand-ins for the trained models and every limit as it is shipped."""
    knowing = Knowing(rig)

    class WatchedTwin(Twin):
        def start(self):
            super().start()
            knowing.twin = self

    monkeypatch.setattr(TwinWorld, "renderer", lambda world: grey_pictures(world))
    monkeypatch.setattr(devices, "Twin", WatchedTwin)
    camera = replace(CameraParams.load(), warm_up_frames=3)
    arm = replace(ArmParams.load(), slow_speed_m_s=0.25)
    settings = replace(settings, horizon_steps=20, settle_s=0.3)
    return Setup(rig, settings, arm, camera, knowing, Gentle(), make_fence(rig, arm), Calibration.of_rig(rig))


@pytest.fixture
def knowing_setup(shipped_setup):
    """The same with patience, for what is not about those limits."""
    arm = replace(shipped_setup.arm, report_deadline_s=1.0, command_deadline_s=1.0)
    return replace(shipped_setup, settings=patient(shipped_setup.settings, repeats_held=20), arm=arm)
