"""Depth that is off by a scale or a warp, and what calibrating takes out of it."""

from dataclasses import replace

import numpy as np

from control.task.rendered import EpisodeScenes, RenderedParams
from datasets.scene.depth_sensor import NO_ERROR
from pipelines.gauntlet.gaps import Gap
from pipelines.gauntlet.scenes import GapScenes

HOME = np.array([0.4, 0.0, 0.228])


def scenes_of(rig, gap):
    return GapScenes(RenderedParams(), gap, rig)


def depth_off(scenes, rig, seeds=range(6)):
    """Median and largest error of depth, m, on the glance's picture, by seed; noise and losses left out."""
    found = []
    for seed in seeds:
        scenes.draw(seed)
        scenes.scene = replace(scenes.scene, depth_noise=0.0)
        _, read = scenes.camera(HOME)(rig.picture_window, 84)
        scenes.scene = replace(scenes.scene, depth_error=NO_ERROR)
        _, there = EpisodeScenes.camera(scenes, HOME)(rig.picture_window, 84)
        near = (there > 0) & (there < 1.6)
        found.append((np.median((read / np.maximum(there, 0.1))[near]) - 1, np.abs(read - there)[near].max()))
    scenes.close()
    return np.array(found)


def test_depth_is_off_by_the_gap_s_scale_to_either_side_and_calibrated_no_more(rig):
    gap = Gap("x", "picture", depth_scale_fraction=0.02)
    off = depth_off(scenes_of(rig, gap), rig)[:, 0]
    assert np.allclose(np.abs(off), 0.02, atol=0.002)
    assert {*np.sign(off)} == {-1.0, 1.0}
    assert np.abs(depth_off(scenes_of(rig, replace(gap, depth_calibrated=True)), rig)[:, 0]).max() < 0.003


def test_depth_is_warped_by_the_gap_s_size_and_calibrated_by_much_less(rig):
    gap = Gap("x", "picture", depth_warp_m=0.005)
    off = depth_off(scenes_of(rig, gap), rig)[:, 1]
    left = depth_off(scenes_of(rig, replace(gap, depth_calibrated=True)), rig)
    assert (off.min() > 0.002, off.max() < 0.02) == (True, True)
    assert np.mean(left[:, 1]) < np.mean(off)
    assert np.abs(left[:, 0]).max() < 0.003
