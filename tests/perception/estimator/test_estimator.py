"""The packed estimator: what it refuses, and that both ways of looking agree."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from datasets.arm.kinematics import wearing
from datasets.common.errors import DataError, ModelError
from datasets.rig.envelope import CameraEnvelope
from datasets.rig.frame import Frame
from datasets.rig.projection import Intrinsics, invert, project, transform
from datasets.rig.rig import Rig
from datasets.scene.photographer import Photographer
from datasets.scene.scene import Scene
from perception.estimator.estimator import DESCRIPTION, FURTHER_GRAPHS, GRAPHS, PARAFOVEA, PositionEstimator
from perception.evaluation.package import pack
from perception.evaluation.predictions import SceneCamera
from perception.networks.locator import Locator, LookSettings

MODEL = Path("models/estimator")


def frame(rig: Rig) -> Frame:
    size = (rig.camera.height, rig.camera.width)
    return Frame(np.zeros((*size, 3), np.uint8), np.full(size, 1.1, np.float32), 0.0)


def test_a_look_between_glance_and_fovea_chooses_where_the_fovea_looks(
    packed: Path, tmp_path: Path, scenes: list[Scene], photographer: Photographer
) -> None:
    torch.manual_seed(1)
    rig, names = Rig.load(), (*GRAPHS, PARAFOVEA)
    looks = {name: Locator(LookSettings.for_rig(name, "voting:8x1", "rgbd", rig)) for name in names}
    pack(looks, rig, CameraEnvelope(), tmp_path)
    estimator, plain = PositionEstimator.load(tmp_path), PositionEstimator.load(packed)
    for scene in scenes[:3]:
        camera = SceneCamera(photographer, scene)
        found = estimator.locate(camera, scene.t_base_camera_told, scene.intrinsics)
        assert np.linalg.norm(found.coarse.xyz - found.glance.xyz) > 0
        middle = project(transform(invert(found.t_base_camera), found.coarse.xyz), scene.intrinsics)
        assert estimator.first_window(found, scene.intrinsics).contains(middle)
        found = plain.locate(SceneCamera(photographer, scene), scene.t_base_camera_told, scene.intrinsics)
        assert found.coarse is found.glance
    (tmp_path / FURTHER_GRAPHS[PARAFOVEA]).unlink()
    with pytest.raises(ModelError, match=r"parafovea\.onnx"):
        PositionEstimator.load(tmp_path)


@pytest.mark.parametrize("name", [*GRAPHS.values(), DESCRIPTION])
def test_a_missing_file_is_named(packed: Path, tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(packed, tmp_path / "model")
    (folder / name).unlink()
    with pytest.raises(ModelError, match=name):
        PositionEstimator.load(folder)


def changed(packed: Path, tmp_path: Path, **values: object) -> Path:
    folder = Path(shutil.copytree(packed, tmp_path / "model"))
    description = json.loads((folder / DESCRIPTION).read_text())
    (folder / DESCRIPTION).write_text(json.dumps({**description, **values}))
    return folder


def test_another_rig_is_refused_by_the_key_that_differs(packed: Path, tmp_path: Path) -> None:
    trained = json.loads((packed / DESCRIPTION).read_text())["rig"]
    folder = changed(packed, tmp_path, rig={**trained, "fovea_width_m": 0.1})
    with pytest.raises(ModelError, match=r"another rig: fovea_width_m was 0\.1 and is 0\.1728"):
        PositionEstimator.load(folder)


def test_an_estimator_of_another_tool_names_both_and_the_remedy(rig: Rig) -> None:
    with pytest.raises(ModelError, match=r"tool xarm_gripper .*and flange .*is mounted; .*--estimator"):
        PositionEstimator.load(MODEL, wearing(rig, "flange"))


def test_a_workspace_is_served_inside_of_the_trained_one_alone(packed: Path, tmp_path: Path, rig: Rig) -> None:
    trained = json.loads((packed / DESCRIPTION).read_text())["rig"]
    wider = {axis: [low - 0.1, high + 0.1] for axis, (low, high) in trained["workspace"].items()}
    opened = PositionEstimator.load(changed(packed, tmp_path / "wider", rig={**trained, "workspace": wider}), rig)
    assert opened.rig == rig
    narrower = {axis: [low + 0.01, high] for axis, (low, high) in trained["workspace"].items()}
    with pytest.raises(ModelError, match="another rig: workspace"):
        PositionEstimator.load(changed(packed, tmp_path / "narrower", rig={**trained, "workspace": narrower}), rig)


def test_other_channels_are_refused(packed: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="channels"):
        PositionEstimator.load(changed(packed, tmp_path, channels=["rgb"]))


@pytest.mark.parametrize("scale", [{}, {"glance": [1, 1, 1], "base": [1, 1, 1], "fovea": [1, -1, 1]}, "x"])
def test_a_damaged_description_is_refused(packed: Path, tmp_path: Path, scale: object) -> None:
    with pytest.raises(ModelError, match=DESCRIPTION):
        PositionEstimator.load(changed(packed, tmp_path, sigma_scale=scale))


def test_a_damaged_network_is_refused(packed: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(packed, tmp_path / "model"))
    (folder / "fovea.onnx").write_bytes((packed / "fovea.onnx").read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"fovea\.onnx"):
        PositionEstimator.load(folder)


def test_a_frame_of_another_size_is_refused(packed: Path, rig: Rig) -> None:
    estimator = PositionEstimator.load(packed).bound(rig.t_base_camera, Intrinsics(1280, 720, 900, 900, 640, 360))
    with pytest.raises(DataError, match="640x480 px but the camera is described as 1280x720"):
        estimator.estimate(frame(rig))


def test_pose_and_intrinsics_default_to_the_rigs(packed: Path, rig: Rig) -> None:
    estimator = PositionEstimator.load(packed)
    given = estimator.bound(rig.t_base_camera, rig.camera).estimate(frame(rig))
    default = estimator.estimate(frame(rig))
    np.testing.assert_array_equal(given.xyz, default.xyz)
    assert np.all(default.sigma > 0)


def test_the_committed_model_sees_the_tcp_in_whole_frames_and_in_windows(
    photographer: Photographer, scenes: list[Scene]
) -> None:
    estimator = PositionEstimator.load(MODEL)
    whole, windows = [], []
    for scene in scenes:
        seen = Frame(*photographer.photograph_native(scene), 0.0)
        whole.append(estimator.bound(scene.t_base_camera_told, scene.intrinsics).estimate(seen).xyz - scene.tcp)
        camera = SceneCamera(photographer, scene)
        windows.append(estimator.locate(camera, scene.t_base_camera_told, scene.intrinsics).fovea.xyz - scene.tcp)
    assert np.median(np.linalg.norm(whole, axis=1)) < 0.008
    assert np.median(np.linalg.norm(windows, axis=1)) < 0.008
