"""Bounds between postures hold on the arc between them, not only on its chord."""

import numpy as np
import pytest

from control.clearance.distance import ArmDistance
from control.clearance.params import Obstacle


@pytest.mark.parametrize("turned_rad", [0.2, 0.5, 0.8])
def test_a_swing_comes_nearer_to_a_box_outside_its_arc_than_its_ends_do(rig, turned_rad):
    arm = ArmDistance([Obstacle("box", (0.56, -0.03, 0.2), (0.66, 0.03, 0.7))], -10.0, itself_within_m=0.0)
    ends = np.array([rig.home_joints_rad, rig.home_joints_rad])
    ends[:, 0] = -turned_rad, turned_rad
    within_m = 1.0
    middle_m = arm.nearest(ends.mean(axis=0), within_m).distance_m
    assert 0 < middle_m < min(arm.nearest(end, within_m).distance_m for end in ends)
    assert arm.between(ends, within_m).distance_m <= middle_m
    assert arm.certified(ends, 0.5, within_m).distance_m <= middle_m
