"""What stands about the arm: nothing of it hides the gripper but what is meant to."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.rig.envelope import CameraEnvelope
from datasets.rig.rig import Rig
from datasets.scene.appearance import CLUTTER, FURNITURE, SURFACES, sample_appearance
from datasets.scene.randomization import CameraRandomization, LookRandomization
from datasets.scene.scene import sample_camera

FULL = LookRandomization(furniture=1.0, occluder=0.0, open_room=0.0, pedestal=0.0)


rig_once = cache(Rig.load)  # two thousand draws read one file


def drawn(seed: int, ranges: LookRandomization = FULL):
    rig, rng = rig_once(), np.random.default_rng(seed)
    tcp = rng.uniform(rig.workspace.low, rig.workspace.high)
    camera = sample_camera(rng, rig, CameraRandomization(envelope=CameraEnvelope()), tcp)[0][:3, 3]
    return tcp, camera, sample_appearance(rng, ranges, tcp, camera)


def towards_camera_m(points, tcp, camera):
    """How far points lie from the gripper towards the camera, horizontally."""
    along = (camera - tcp)[:2] / np.linalg.norm((camera - tcp)[:2])
    return (points[:, :2] - tcp[:2]) @ along


@given(st.integers(0, 2000))
def test_furniture_stands_behind_the_arm_as_the_camera_sees_it(seed):
    tcp, camera, found = drawn(seed)
    shown = found.positions[FURNITURE][found.positions[FURNITURE][:, 2] > -3]
    assert (towards_camera_m(shown, tcp, camera) < 0.45).all()  # limbs lean; cabinets are up to 0.57 m in half


@given(st.integers(0, 2000))
def test_the_camera_stands_inside_the_room(seed):
    _, camera, found = drawn(seed)
    wall, side = found.positions[SURFACES.index("wall")], found.positions[SURFACES.index("side")]
    assert camera[0] > wall[0]
    assert np.sign(side[1]) * (side[1] - camera[1]) > 0


@given(st.integers(0, 500))
def test_a_camera_below_the_table_sees_an_arm_on_a_pedestal(seed):
    _, camera, found = drawn(seed)
    if camera[2] < 0.1:
        assert (found.sizes[0, :2] < 0.3).all()
        assert (found.positions[CLUTTER][:, 2] < -3).all()


SHARES = ("furniture", "pedestal", "open_room", "white_on_white")


@pytest.mark.parametrize("name", SHARES)
def test_shares_are_shares(name):
    without = LookRandomization(**dict.fromkeys(SHARES, 0.0))
    seeds = range(200)

    def shows(ranges):
        found = [(camera, look) for _, camera, look in (drawn(seed, ranges) for seed in seeds) if camera[2] > 0.1]
        signs = {
            "furniture": [bool((look.positions[FURNITURE][:, 2] > -3).any()) for _, look in found],
            "pedestal": [bool(look.sizes[0, 0] < 0.3) for _, look in found],
            "open_room": [bool(look.positions[2, 2] < -3) for _, look in found],
            "white_on_white": [bool(look.colours.min() > 0.6) for _, look in found],
        }
        return np.mean(signs[name])

    assert shows(without) == 0
    assert shows(LookRandomization(**dict.fromkeys(SHARES, 0.0) | {name: 1.0})) > 0.95
