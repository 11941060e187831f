"""A frame's labels and windows fit its scene."""

from dataclasses import replace

import numpy as np

from datasets.generation.labelled_frame import SceneDrawer
from datasets.generation.splits import FramesParams, SplitParams, SplitPlan
from datasets.rig.projection import Intrinsics, Window, invert, project, transform
from datasets.scene.randomization import CameraRandomization


def params(frames: int = 30, seed: int = 5, looks=("glance", "fovea")) -> FramesParams:
    split = SplitParams(frames, seed, CameraRandomization(), looks=looks)
    return FramesParams({"train": split, "val": replace(split, frames=6, seed=6)}, shard_frames=8)


def test_foveal_window_holds_the_tcp_and_looks_agree(rig):
    """The TCP lies near the middle of its window, by the jitter, for every frame; the window is as wide as told."""
    plan = SplitPlan.of(params(), "train", rig)
    drawer = SceneDrawer(plan)
    misses = []
    for index in range(20):
        row = drawer.draw(index)
        window = Window(*row["fovea/window"])
        k = Intrinsics.from_array(row["intrinsics"], *row["image_px"].astype(int))
        point = transform(invert(row["T_base_camera"]), row["tcp"])
        middle = [window.left + window.width / 2, window.top + window.height / 2]
        misses.append((project(point, k) - middle) * point[2] / k.fx)
        assert window.width == window.height == round(rig.fovea_width_m * k.fx / point[2])
    drawer.close()
    drawer.close()
    assert 0.004 < np.std(misses) < 0.03
