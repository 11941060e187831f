"""Hidden twins: the seed decides, all within the envelope, and what is spoiled is spoiled by just that."""

import numpy as np
import pytest

from datasets.arm.kinematics import Kinematics
from datasets.common.errors import ConfigError
from datasets.rig.projection import invert, project, transform
from pipelines.twin.hidden.captures import Sensor, Spoil, hidden_captures, spoiled
from pipelines.twin.hidden.truth import Truth


@pytest.fixture(scope="module")
def postures(rig):
    rng = np.random.default_rng(0)
    return np.array(rig.home_joints_rad) + rng.normal(0, 0.25, (7, 7))


@pytest.fixture(scope="module")
def fine(rig, postures):
    return hidden_captures(3, postures, rig=rig, frames=1)


def test_a_seed_gives_the_same_captures(rig, postures, fine):
    again, truth = hidden_captures(3, postures, rig=rig, frames=1)
    np.testing.assert_array_equal(again.rgb, fine[0].rgb)
    np.testing.assert_array_equal(again.depth, fine[0].depth)
    assert truth == fine[1]


def test_captures_show_the_arm_where_the_truth_puts_it(rig):
    """Depth at the TCP's pixel, with the sensor's errors taken out, is the fingers' distance or nearer."""
    seed, home = 3, np.array([rig.home_joints_rad])
    captures, truth = hidden_captures(seed, home, rig=rig, frames=1)
    flange = Kinematics().tcp_pose(home[0]) @ np.array([0, 0, -0.12, 1.0])
    seen = transform(invert(truth.pose), flange[:3])
    u, v = np.rint(project(seen, truth.camera)).astype(int)
    patch = captures.depth[0, v - 3 : v + 4, u - 3 : u + 4]
    assert abs(np.median(patch[patch > 0]) / truth.depth_scale - seen[2]) < 0.08
    np.testing.assert_allclose(captures.tcp[0], Kinematics().tcp(home[0]))


def test_frames_of_a_posture_differ_by_their_noise(rig, postures):
    captures, _ = hidden_captures(1, postures[:1], rig=rig, frames=2)
    assert captures.postures.tolist() == [0, 0]
    both = (captures.depth[0] > 0) & (captures.depth[1] > 0)
    difference = np.abs(captures.depth[0] - captures.depth[1])[both]
    assert 0 < np.median(difference) < 0.03
    assert not np.array_equal(captures.rgb[0], captures.rgb[1])


def test_the_tools_are_not_told_the_truth(fine):
    captures, truth = fine
    told = f"{captures.setting} {captures.intrinsics}"
    assert str(truth.depth_scale) not in told
    assert captures.setting.planned == 7


def test_spoiled_captures_are_spoiled_by_that_alone(rig, postures, fine):
    captures = fine[0]
    made = {kind: spoiled(kind, 3, postures, rig=rig, frames=1) for kind in Spoil}
    assert len(made[Spoil.TOO_FEW]) == 2
    assert np.ptp(made[Spoil.ONE_SIDE].joints, axis=0) == pytest.approx(np.ptp(captures.joints, axis=0) / 3)
    assert not made[Spoil.NO_DEPTH].depth.any()
    np.testing.assert_array_equal(made[Spoil.MOVED].rgb[2], captures.rgb[2])
    for kind, first in ((Spoil.MOVED, 4), (Spoil.HIDDEN, 0), (Spoil.TOOL, 0), (Spoil.OTHER_ROBOT, 0)):
        changed = (np.abs(made[kind].rgb[first:].astype(int) - captures.rgb[first:]) > 30).any(axis=-1).mean()
        assert 1e-4 < changed < 0.5, kind
        np.testing.assert_array_equal(made[kind].joints, captures.joints)
    for kind in (Spoil.MIRRORED, Spoil.SWAPPED, Spoil.TCP):
        np.testing.assert_array_equal(made[kind].rgb, captures.rgb)
    for kind in (Spoil.MIRRORED, Spoil.SWAPPED):
        assert np.abs(made[kind].joints - captures.joints).max() > 0.1
    offset = np.linalg.norm(made[Spoil.TCP].tcp - captures.tcp, axis=1)
    np.testing.assert_allclose(offset, 0.01)


def test_an_unknown_way_to_spoil_is_refused(postures):
    with pytest.raises(ConfigError, match="joints_swapped"):
        spoiled("rotten", 0, postures)


def test_the_sensor_keeps_what_has_no_reading(rig):
    depth = np.zeros((480, 640), np.float32)
    rgb, read = Sensor(Truth.draw(0, rig)).read((np.full((480, 640, 3), 100, np.uint8), depth))
    assert not read.any()
    assert rgb.std() > 0
