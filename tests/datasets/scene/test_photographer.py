"""Scenes and their pictures: the same seed draws the same bytes, and geometry is what projection says."""

import dataclasses
from dataclasses import replace

import numpy as np
import pytest

from datasets.arm.kinematics import Kinematics
from datasets.rig.projection import Window, invert, project, transform
from datasets.scene.image_formation import IDENTITY
from datasets.scene.photographer import Photographer
from datasets.scene.randomization import CameraRandomization, Randomization
from datasets.scene.scene import SceneSampler

CLEAN = Randomization(depth_noise=(0, 0), camera=CameraRandomization(0.03, 2, 0.01))


@pytest.fixture(scope="module")
def sampler(rig) -> SceneSampler:
    return SceneSampler(rig, Randomization())


def test_same_seed_same_scene_same_pictures(photographer, sampler, rig):
    first = photographer.photograph(sampler.sample(7), rig.picture_window, 84)
    photographer.photograph(sampler.sample(8), rig.picture_window, 84)
    again = photographer.photograph(sampler.sample(7), rig.picture_window, 84)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_other_seeds_and_other_times_differ(photographer, sampler, rig):
    scene = replace(sampler.sample(7), image=IDENTITY)
    rgb, depth = photographer.photograph(scene, rig.picture_window, 84)
    later_rgb, later_depth = photographer.photograph(scene, rig.picture_window, 84, noise_seed=1)
    other_rgb, _ = photographer.photograph(sampler.sample(9), rig.picture_window, 84)
    assert np.array_equal(rgb, later_rgb)
    assert not np.array_equal(depth, later_depth)
    assert not np.array_equal(rgb, other_rgb)


def test_labels_are_the_kinematics_and_lie_in_the_workspace(sampler, rig):
    kinematics = Kinematics()
    for seed in range(30):
        scene = sampler.sample(seed)
        pose = kinematics.tcp_pose(scene.joints_rad)
        assert np.allclose(pose[:3, 3], scene.tcp)
        assert rig.workspace.contains(scene.tcp)
        assert pose[:3, 2] @ [0, 0, -1] > np.cos(np.radians(4 * np.sqrt(2)) + 0.03)


def test_a_window_shows_what_the_native_image_shows_there(photographer, rig):
    sampler = SceneSampler(rig, CLEAN)
    for seed in range(4):
        scene = sampler.sample(seed)
        uv = project(transform(invert(scene.t_base_camera), scene.tcp), scene.intrinsics)
        window = Window.around(uv, 96, scene.intrinsics)
        _, crop = photographer.photograph(scene, window, 96)
        _, native = photographer.photograph_native(scene)
        columns, rows = window.sample_pixels(96)
        difference = np.abs(crop - native[np.ix_(rows, columns)])
        assert np.quantile(difference, 0.98) < 1e-3


def test_told_and_true_camera_differ_as_much_as_the_split_says(rig):
    nominal = SceneSampler(rig, Randomization(camera=CameraRandomization()))
    shell = SceneSampler(rig, Randomization(camera=CameraRandomization(0.05, 3, 0.01, exact=True)))
    uncalibrated = SceneSampler(rig, Randomization(camera=CameraRandomization(0.03, 2, 0.01, told_rig=True)))
    for seed in range(10):
        scene = nominal.sample(seed)
        assert np.array_equal(scene.t_base_camera_told, rig.t_base_camera)
        assert np.linalg.norm((scene.t_base_camera - scene.t_base_camera_told)[:3, 3]) <= 0.002
        scene = shell.sample(seed)
        away = (scene.t_base_camera_told - rig.t_base_camera)[:3, 3]
        assert np.linalg.norm(away) == pytest.approx(0.05)
        turned = scene.t_base_camera_told[:3, :3] @ rig.t_base_camera[:3, :3].T
        assert np.degrees(np.arccos((np.trace(turned) - 1) / 2)) == pytest.approx(3, abs=1e-6)
        scene = uncalibrated.sample(seed)
        assert np.array_equal(scene.t_base_camera_told, rig.t_base_camera)


def test_moving_the_arm_keeps_the_appearance(photographer, sampler, rig):
    scene = sampler.sample(3)
    moved = dataclasses.replace(scene, joints_rad=np.array(rig.home_joints_rad))
    before, _ = photographer.photograph(scene, rig.picture_window, 84)
    after, _ = photographer.photograph(moved, rig.picture_window, 84)
    back, _ = photographer.photograph(scene, rig.picture_window, 84)
    assert not np.array_equal(before, after)
    assert np.array_equal(before, back)


def test_closing_one_studio_leaves_the_pictures_of_another_as_they_are(rig):
    scene = SceneSampler(rig, CLEAN).sample(3)
    first, second = Photographer(rig), Photographer(rig)
    before = second.photograph(scene, rig.picture_window, rig.input_px)
    first.close()
    first.close()
    second.photograph(SceneSampler(rig, CLEAN).sample(4), rig.picture_window, rig.input_px)
    after = second.photograph(scene, rig.picture_window, rig.input_px)
    second.close()
    assert np.array_equal(before[0], after[0])
    assert np.array_equal(before[1], after[1])
