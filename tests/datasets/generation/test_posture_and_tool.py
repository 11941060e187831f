"""Tool and posture come from the frames' parameter file; without them frames are, to the byte, as they were."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from datasets.arm.kinematics import Kinematics
from datasets.common.config import load_params
from datasets.generation.labelled_frame import SceneDrawer
from datasets.generation.splits import FramesParams, SplitPlan
from datasets.rig.projection import invert, project, transform
from datasets.rig.rig import Rig
from datasets.scene.photographer import Photographer
from datasets.scene.scene import SceneSampler
from datasets.store.store import FrameStore
from datasets.store.writer import changed_keys

FRAMES = "data/frames"


def flange(split: str) -> SplitPlan:
    params = load_params("params/frames_flange.yaml", FramesParams)
    return SplitPlan.of(params, split, Rig.load(params.rig))


@pytest.mark.skipif(not Path(FRAMES, "train").is_dir(), reason=f"{FRAMES} is not there: `dvc repro frames` draws it")
@pytest.mark.parametrize("split", ["train", "nominal"])
def test_the_default_draws_the_bytes_of_before(split: str, rig: Rig) -> None:
    plan = SplitPlan.of(load_params("params/frames.yaml", FramesParams), split, rig)
    assert changed_keys(FRAMES, split, {"arm_model": "own", **plan.description()}) == []
    store, drawer = FrameStore(FRAMES, split), SceneDrawer(plan)
    for index in (0, 1, 777):
        for name, values in drawer.draw(index).items():
            np.testing.assert_array_equal(values, store.read(name, index, index + 1)[0], err_msg=name)
    drawer.close()


def test_the_default_is_described_as_before_and_a_posture_is_told(rig: Rig) -> None:
    plan = SplitPlan.of(load_params("params/frames.yaml", FramesParams), "train", rig)
    said = plan.description()["randomization"]
    assert "posture" not in said
    assert "outside" not in said["camera"]
    said = flange("train").description()["randomization"]
    assert said["posture"] == "any"
    assert said["camera"]["outside"] == 0.05


def test_frames_of_the_flange_have_its_tcp_and_every_orientation() -> None:
    plan = flange("anywhere")
    sampler, kinematics, down = SceneSampler(plan.rig, plan.randomization), Kinematics(0.0), []
    for seed in range(40):
        scene = sampler.sample(seed)
        pose = kinematics.tcp_pose(scene.joints_rad)
        np.testing.assert_allclose(scene.tcp, pose[:3, 3])
        assert plan.rig.workspace.contains(scene.tcp)
        down.append(-pose[2, 2])
    assert min(down) < -0.5 < 0.5 < max(down)


def test_cameras_that_look_past_the_tool_do_not_show_it() -> None:
    plan = flange("outside")
    sampler, photographer = SceneSampler(plan.rig, plan.randomization), Photographer(plan.rig)
    for seed in range(10):
        scene = sampler.sample(seed)
        point = transform(invert(scene.t_base_camera), scene.tcp)
        uv, size = project(point, scene.intrinsics), np.array([scene.intrinsics.width, scene.intrinsics.height])
        assert point[2] > 0
        assert np.any(uv < -0.5 - 3) or np.any(uv > size - 0.5 - 3)  # the pose's own error moves it by a pixel or two
        assert photographer.tool_shown(scene) < 0.7
    photographer.close()


def test_a_wall_before_the_tool_hides_it_and_its_absence_shows_it() -> None:
    plan = flange("anywhere")
    sampler, photographer = SceneSampler(plan.rig, plan.randomization), Photographer(plan.rig)
    scenes = [sampler.sample(seed) for seed in range(12)]
    shown = [photographer.tool_shown(scene) for scene in scenes]
    assert np.median(shown) > 0.25
    scene = scenes[int(np.argmax(shown))]
    appearance = scene.appearance
    positions, sizes = appearance.positions.copy(), appearance.sizes.copy()
    positions[-1] = (scene.tcp + scene.t_base_camera[:3, 3]) / 2
    sizes[-1] = [0.3, 0.3, 0]
    hidden = replace(scene, appearance=replace(appearance, positions=positions, sizes=sizes))
    assert photographer.tool_shown(hidden) == 0
    photographer.close()
