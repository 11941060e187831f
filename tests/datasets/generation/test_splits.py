"""Splits of frames: their parameters, and the seed of each scene."""

from dataclasses import replace

import numpy as np
import pytest

from datasets.common.config import load_params
from datasets.common.errors import ConfigError
from datasets.generation.splits import ASTRAY_M, FramesParams, SplitParams, SplitPlan, WindowJitter
from datasets.scene.randomization import CameraRandomization, DepthErrorRandomization


def params(frames: int = 30, seed: int = 5, looks=("glance", "fovea")) -> FramesParams:
    split = SplitParams(frames, seed, CameraRandomization(), looks=looks)
    return FramesParams({"train": split, "val": replace(split, frames=6, seed=6)}, shard_frames=8)


def test_scene_seeds_differ_between_frames_and_splits(rig):
    train, val = (SplitPlan.of(params(), name, rig) for name in ("train", "val"))
    seeds = [plan.scene_seed(i) for plan in (train, val) for i in range(1000)]
    assert len(set(seeds)) == len(seeds)


def test_two_splits_of_one_seed_are_refused():
    split = SplitParams(30, 5, CameraRandomization())
    with pytest.raises(ConfigError, match=r"splits\.val\.seed is that of train, 5"):
        FramesParams({"train": split, "val": replace(split, frames=6)})


def test_windows_astray_are_as_many_and_as_far_as_asked_and_none_by_default():
    rng = np.random.default_rng(4)
    assert all(WindowJitter().astray(rng) is None for _ in range(100))
    drawn = [WindowJitter(astray_share=0.25).astray(rng) for _ in range(4000)]
    far = np.array([np.linalg.norm(each) for each in drawn if each is not None])
    assert len(far) / len(drawn) == pytest.approx(0.25, abs=0.03)
    assert ASTRAY_M[0] <= far.min() < far.max() <= ASTRAY_M[1]
    with pytest.raises(ConfigError, match="astray_share"):
        WindowJitter(astray_share=1.5)


def test_window_jitter_has_the_mixture_s_spread():
    jitter = WindowJitter(sigma_m=5, tail_sigma_m=20, tail_share=0.2)
    rng = np.random.default_rng(0)
    drawn = np.array([jitter.sample(rng) for _ in range(20_000)])
    assert np.std(drawn) == pytest.approx(np.sqrt(0.8 * 25 + 0.2 * 400), rel=0.03)


def test_repository_parameters_are_the_splits_of_the_tests(rig):
    shipped = load_params("params/frames.yaml", FramesParams)
    others = ("train", "train_base", "val", "calibration")
    tests = {name: split for name, split in shipped.splits.items() if name not in others}
    assert set(tests) == {"nominal", "shifted", "shell", "anywhere", "uncalibrated", "menagerie", "occluded"}
    assert {name for name, split in tests.items() if split.occluder} == {"occluded"}
    assert all(split.frames == 2000 and split.depth_noise == (0.45, 1.0) for split in tests.values())
    assert len({split.seed for split in shipped.splits.values()}) == len(shipped.splits)
    assert tests["shell"].camera.exact
    assert tests["uncalibrated"].camera.told_rig
    assert tests["anywhere"].camera.envelope == shipped.splits["train"].camera.envelope
    assert tests["anywhere"].camera.rig_share == 0


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("depth_noise", (0.2, 0.3)),
        ("depth_waves_px", (0.0, 0.15)),
        ("depth_error", DepthErrorRandomization(scale_fraction=0.01)),
    ],
)
def test_what_a_split_says_of_depth_replaces_what_all_share_and_nothing_else(rig, name, own):
    shared = params()
    plain = SplitPlan.of(shared, "val", rig).randomization
    split = replace(shared.splits["val"], **{name: own})
    mine = SplitPlan.of(replace(shared, splits=shared.splits | {"val": split}), "val", rig).randomization
    assert getattr(mine, name) == own != getattr(plain, name)
    assert replace(mine, **{name: getattr(plain, name)}) == plain


def test_plan_of_an_unknown_split(rig):
    with pytest.raises(ConfigError, match="unknown split"):
        SplitPlan.of(params(), "test", rig)
