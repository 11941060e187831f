"""Chooses postures that show the arm from many sides, and the order in which they are taken."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np

from control.arms.fence import Fence
from control.arms.xarm.turning import MAX_TURN_RAD, turning_way
from control.clearance.arm_clearance import ArmClearance
from datasets.arm.kinematics import Kinematics, pointing_down
from datasets.common.errors import ConfigError, SafetyStop
from datasets.rig.projection import Array
from datasets.rig.rig import Rig
from perception.calibration.registration.posture import LinkPlaces

CANDIDATES = 40
"""Candidates drawn for each posture that is wanted; those that differ most from each other are chosen."""
TURN_RAD = 0.25
ELBOW_RAD = 1.2
"""Spread, rad, of the joints that inverse kinematics starts from: with seven joints the elbow is free."""
SPARE_M, SPARE_RAD = 0.01, 0.01
"""Room beyond what the arm itself asks for: a turn begins where the previous one ended, not exactly where planned."""
_DRAWS = 60


def choose_postures(rig: Rig, fence: Fence, clearance: ArmClearance, count: int, seed: int) -> Array:
    """Joints ``(count, 7)`` rad, spread out and in the order of a round trip from home through all and home again.

    On the whole way the TCP stays inside the fence, the tool within 0.3 rad of where it points at home, and the whole
    arm clear of everything in ``clearance``, with ``SPARE_M`` of additional room; the elbow swings to either side. The
    same arguments give the same postures.

    Raises:
        ConfigError: there is not enough room for ``count`` postures.
    """
    way = _Ways(fence, clearance)
    kinematics, rng, places = Kinematics(rig.tool.tcp_offset_m), np.random.default_rng(seed), LinkPlaces()
    home = np.asarray(rig.home_joints_rad, dtype=float)
    margin = 0.02 * (fence.high_m - fence.low_m)
    found: list[Array] = []
    for _ in range(_DRAWS * count):
        place = rng.uniform(fence.low_m + margin, fence.high_m - margin)
        near = home + ELBOW_RAD * rng.standard_normal(7) * [0.3, 0.4, 1, 0.4, 1, 0.4, 0.3]
        near[0] += np.arctan2(place[1], place[0])
        rotation = pointing_down(rng.uniform(-0.5, 0.5) * TURN_RAD, rng.uniform(-0.5, 0.5, 2) * TURN_RAD)
        joints = kinematics.approach(near, place, rotation, iterations=12)
        if way(joints, joints):
            found.append(joints)
            if len(found) == CANDIDATES * count:
                break
    if len(found) < 2 * count:
        raise ConfigError(
            f"only {len(found)} postures were found for --postures {count} inside the fence and clear of the site's "
            "boxes; ask for fewer, or make keep_within larger"
        )
    features = np.array([np.ravel([*places(joints), kinematics.tcp(joints)]) for joints in found])
    return _ordered(found, _spread(features), home, count, way)


def _spread(features: Array) -> list[int]:
    """The order of all rows in which each is the farthest from the previous ones (farthest point sampling)."""
    nearest = np.linalg.norm(features - features.mean(axis=0), axis=1)
    order: list[int] = []
    for _ in range(len(features)):
        order.append(int(np.argmax(nearest)))
        apart = np.linalg.norm(features - features[order[-1]], axis=1)
        nearest = apart if len(order) == 1 else np.minimum(nearest, apart)
        nearest[order] = -1
    return order


def _ordered(
    found: list[Array], order: list[int], home: Array, count: int, way: Callable[[Array, Array], bool]
) -> Array:
    """The first ``count`` postures, taken in ``order``, that a short round trip from home can join."""
    trip: list[Array] = [home, home]
    for index in order:
        joints = found[index]
        detours = [
            np.abs(before - joints).max() + np.abs(joints - after).max() - np.abs(after - before).max()
            for before, after in pairwise(trip)
        ]
        gaps = np.argsort(detours) + 1
        for gap in gaps[:4]:
            if way(trip[gap - 1], joints) and way(joints, trip[gap]):
                trip.insert(gap, joints)
                break
        if len(trip) == count + 2:
            return np.array(trip[1:-1])
    raise ConfigError(f"only {len(trip) - 2} of --postures {count} can be joined by clear turns; ask for fewer")


class _Ways:
    """Says whether all joints may turn evenly from one posture to another, with room to spare."""

    def __init__(self, fence: Fence, clearance: ArmClearance) -> None:
        self._fence = replace(fence, low_m=fence.low_m + SPARE_M, high_m=fence.high_m - SPARE_M)
        self._clearance = clearance.allowing_for(SPARE_M)
        self._kinematics = Kinematics(clearance.rig.tool.tcp_offset_m)

    def __call__(self, start_rad: Array, joints_rad: Array) -> bool:
        start, joints = np.asarray(start_rad, dtype=float), np.asarray(joints_rad, dtype=float)
        try:
            turning_way(self._fence, self._kinematics, start, joints, MAX_TURN_RAD - SPARE_RAD)
            self._clearance.turn(start, joints)
        except SafetyStop:
            return False
        return True
