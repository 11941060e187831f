"""The twin's world differs from the rig's description as its settings say."""

from dataclasses import replace

import numpy as np
import pytest

from datasets.common.errors import ConfigError
from datasets.rig.projection import look_at
from datasets.scene.depth_sensor import NO_ERROR, seen_at
from datasets.scene.photographer import Photographer
from datasets.scene.randomization import LookRandomization
from pipelines.rehearse.cameras import PlacedCamera
from pipelines.twin.settings import TwinParams
from pipelines.twin.world import TwinWorld


def error_of(rig, **settings):
    world = TwinWorld(rig, replace(TwinParams(), **settings), lambda _: np.array(rig.home_joints_rad))
    return world.scene_at(0.0).depth_error


def test_the_depth_camera_errs_as_the_settings_say_and_else_as_a_calibrated_one(rig):
    usual, scaled, warped = error_of(rig), error_of(rig, depth_scale_fraction=-0.02), error_of(rig, depth_warp_m=0.005)
    assert abs(usual.scale) <= 0.003
    assert scaled == replace(usual, scale=-0.02)
    assert (warped.scale, warped.offset_m) == (usual.scale, usual.offset_m)
    bent = replace(NO_ERROR, warp_m=warped.warp_m)
    across, along = (np.linspace(-half, half, 41) / 615 for half in (320, 240))
    sizes = [abs(seen_at(np.array([x, y, 1.0]), bent)[2] - 1.0) for x in across for y in along]
    assert max(sizes) == pytest.approx(0.005, rel=0.02)


@pytest.mark.parametrize("wrong", [{"depth_scale_fraction": 0.5}, {"depth_warp_m": -0.001}])
def test_a_depth_camera_of_no_use_is_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        TwinParams(**wrong)


@pytest.mark.parametrize("side_deg", [-75.0, 75.0])
@pytest.mark.parametrize("elevation_deg", [-15.0, 5.0, 50.0])
def test_nothing_stands_before_a_camera_wherever_it_was_put(rig, shipped_setup, side_deg, elevation_deg):
    """Rooms were furnished about the rig's own camera, and a camera put aside then filmed the back of a wall."""
    side, up = np.radians([side_deg, elevation_deg])
    towards = np.array([np.cos(up) * np.cos(side), np.cos(up) * np.sin(side), np.sin(up)])
    middle = (rig.workspace.low + rig.workspace.high) / 2
    camera = PlacedCamera(look_at(middle + 1.3 * towards, middle), rig.camera)
    _, films = camera.placed(shipped_setup, replace(TwinParams(), look=LookRandomization(occluder=0.0, clutter=(0, 0))))
    world = TwinWorld(rig, films, lambda _: np.array(rig.home_joints_rad))
    photographer = Photographer(rig, "own")
    try:
        for seed in range(9, 29):
            world.draw(seed)
            assert photographer.tool_shown(world.scene_at(0.0)) > 0.05, seed
    finally:
        photographer.close()
