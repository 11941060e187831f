"""A folder of frames in the format of strangers' ones, drawn here: the gripper pointing down, one camera, masks."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from datasets.common.config import load_params
from datasets.generation.splits import FramesParams, SplitPlan
from datasets.rig.rig import Rig
from datasets.scene.photographer import Photographer
from datasets.scene.scene import SceneSampler
from perception.calibration.captures import IMAGES, Captures, Setting
from perception.calibration.registration.arm_view import ArmView

COUNT = 5


@pytest.fixture(scope="session")
def drawn(rig: Rig) -> tuple[Captures, np.ndarray]:
    """Frames of one scene in several postures, and where its camera is (4x4)."""
    plan = SplitPlan.of(load_params("params/frames.yaml", FramesParams), "nominal", rig)
    sampler = SceneSampler(rig, plan.randomization)
    scenes = [sampler.sample(plan.scene_seed(index)) for index in range(COUNT)]
    first, k = scenes[1], scenes[1].intrinsics
    photographer, view = Photographer(rig), ArmView((k.width, k.height))
    pictures, masks = [], []
    try:
        for each in scenes:
            shown = replace(first, seed=each.seed, joints_rad=each.joints_rad, gripper_rad=each.gripper_rad)
            pictures.append(photographer.photograph_native(shown))
            view.place(each.joints_rad, each.gripper_rad)
            masks.append(view.draw(first.t_base_camera, k)[0] > 0)
    finally:
        photographer.close()
        view.close()
    captures = Captures(
        rgb=np.stack([rgb for rgb, _ in pictures]),
        depth=np.stack([depth for _, depth in pictures]),
        joints=np.array([each.joints_rad for each in scenes], dtype=float),
        tcp=np.array([each.tcp for each in scenes], dtype=float),
        timestamps=np.arange(COUNT, dtype=float),
        postures=np.arange(COUNT),
        intrinsics=k,
        setting=Setting(tool="xarm_gripper"),
        masks=np.stack(masks),
    )
    return captures, first.t_base_camera


@pytest.fixture(scope="session")
def folder(drawn, tmp_path_factory) -> Path:
    """The same on the disk, with the camera's pose told; not to be changed."""
    captures, pose = drawn
    path = tmp_path_factory.mktemp("real") / "frames"
    captures.save(path)
    told = json.loads((path / IMAGES).read_text())
    (path / IMAGES).write_text(json.dumps({**told, "T_base_camera_published": pose.tolist()}))
    return path


@pytest.fixture
def spoilt(folder, tmp_path) -> Path:
    """A copy that may be changed."""
    return Path(shutil.copytree(folder, tmp_path / "spoilt"))
