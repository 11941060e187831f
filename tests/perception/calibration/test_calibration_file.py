"""The calibration file: what is measured comes back, files of before open, and impossible values are refused."""

from dataclasses import replace

import numpy as np
import pytest

from datasets.common.errors import ConfigError
from datasets.rig.projection import Intrinsics
from perception.calibration.calibration import Calibration
from perception.calibration.registration.result import WARP_ORDERS, Registration, warp_waves

BEFORE = """t_base_camera:
- [0.0, -0.3162, 0.9487, 0.1]
- [-1.0, 0.0, 0.0, 0.0]
- [0.0, -0.9487, -0.3162, 0.6]
- [0.0, 0.0, 0.0, 1.0]
poses: 20
residual_mm: 1.7
measured: 2026-10-01 12:00, 192.168.1.203
"""


@pytest.fixture
def whole(rig):
    root = np.random.default_rng(0).normal(0, 1e-3, (6, 6))
    return Calibration.of_pose(
        rig.t_base_camera,
        "today",
        poses=10,
        residual_mm=0.4,
        table_z_m=-0.012,
        covariance=tuple(map(tuple, (root @ root.T).tolist())),
        intrinsics=Intrinsics(640, 480, 610.5, 611.5, 320.25, 241.0),
        depth_scale=1.013,
        depth_offset_m=-0.002,
        depth_warp_m=tuple(np.linspace(-0.002, 0.003, len(WARP_ORDERS)).tolist()),
    )


def test_everything_that_was_measured_comes_back(whole, tmp_path):
    whole.save(tmp_path / "c.yaml")
    again = Calibration.load(tmp_path / "c.yaml")
    np.testing.assert_allclose(again.pose, whole.pose, atol=1e-8)
    np.testing.assert_allclose(again.covariance, whole.covariance, rtol=1e-8)
    assert replace(again, t_base_camera=whole.t_base_camera, covariance=whole.covariance) == whole


def test_a_file_from_before_depth_was_measured_opens(tmp_path):
    (tmp_path / "c.yaml").write_text(BEFORE)
    found = Calibration.load(tmp_path / "c.yaml")
    assert (found.poses, found.covariance, found.intrinsics, found.has_true_depth) == (20, None, None, True)
    read = np.ones((2, 2), np.float32)
    assert found.true_depth(read) is read


def test_depth_is_freed_of_what_the_camera_adds(whole):
    rng = np.random.default_rng(0)
    there = rng.uniform(0.4, 2.0, (48, 64))
    warp = warp_waves(48, 64) @ np.array(whole.depth_warp_m)
    read = np.where(there < 0.5, 0, there * whole.depth_scale + whole.depth_offset_m + warp).astype(np.float32)
    found = whole.true_depth(read)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[there >= 0.5], there[there >= 0.5], atol=1e-6)
    assert not found[there < 0.5].any()
    zeros = np.zeros((1, 9))
    registration = Registration(
        whole.pose, np.eye(6), whole.intrinsics, whole.depth_scale, whole.depth_offset_m, np.array(whole.depth_warp_m),
        None, np.zeros(7), np.zeros(1, int), zeros, zeros, (), 1.0,
    )  # fmt: skip
    np.testing.assert_allclose(found, registration.true_depth(read), atol=1e-6)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"covariance": tuple(map(tuple, (-np.eye(6)).tolist()))}, "positive"),
        ({"covariance": tuple(map(tuple, np.triu(np.ones((6, 6))).tolist()))}, "symmetric"),
        ({"depth_scale": 0.0}, "depth_scale"),
        ({"depth_scale": float("nan")}, "depth_scale"),
        ({"depth_warp_m": (0.001,)}, f"{len(WARP_ORDERS)} values or none"),
        ({"depth_warp_m": (5.0,) * len(WARP_ORDERS)}, "at most 0.1 m"),
        ({"depth_offset_m": float("inf")}, "at most 0.1 m"),
    ],
)
def test_what_no_depth_camera_does_is_refused(whole, change, word):
    with pytest.raises(ConfigError, match=word):
        replace(whole, **change)
