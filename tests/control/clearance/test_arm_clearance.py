"""Distances are lower bounds of the thickened arm's, along whole motions; verdicts and ways keep it clear."""

from dataclasses import asdict, replace
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import ConvexHull

import bench_clearance
from control.clearance.arm_clearance import PLATE, ArmClearance
from control.clearance.distance import TABLE, ArmDistance
from control.clearance.inflation import distances, official_triangles
from control.clearance.params import Clearance, ClearanceParams, Obstacle
from control.clearance.shapes import Piece, arm_pieces
from datasets.arm.kinematics import Kinematics, pointing_down
from datasets.arm.model import menagerie_available
from datasets.common.errors import ConfigError, SafetyStop
from datasets.rig.rig import Rig

POST = Obstacle("the post", (0.46, 0.2, 0.0), (0.56, 0.3, 0.8))
WALL = Obstacle("the wall", (0.1, 0.34, 0.0), (0.9, 0.36, 1.2))
MARGIN_M = ClearanceParams.margin_m
official = pytest.mark.skipif(menagerie_available() is not None, reason=str(menagerie_available()))


@pytest.fixture(scope="module")
def kinematics() -> Kinematics:
    return Kinematics()


@pytest.fixture(scope="module")
def home(rig) -> np.ndarray:
    return np.array(rig.home_joints_rad)


@pytest.fixture(scope="module")
def walled(rig) -> ArmClearance:
    return ArmClearance(rig, [WALL])


@pytest.fixture(scope="module")
def posted(rig) -> ArmClearance:
    return ArmClearance(rig, [POST])


def some_joints(rng: np.random.Generator) -> np.ndarray:
    low, high = Kinematics().joint_limits.T
    return rng.uniform(np.maximum(low, -2.5), np.minimum(high, 2.5))


@pytest.mark.parametrize(
    ("name", "low", "high", "wrong"),
    [
        ("", (0, 0, 0), (1, 1, 1), "needs a name"),
        ("post", (0, 0, 0), (1, 0, 1), "is empty"),
        ("post", (0, 0, 2), (1, 1, 1), "is empty"),
        ("post", (0, 0, 0), (1, 1, float("nan")), "three finite numbers"),
        ("post", (0, 0), (1, 1, 1), "three finite numbers"),
        ("post", (0, 0, 0), (400, 400, 400), "not millimetres"),
    ],
)
def test_a_box_that_is_none_is_refused(name, low, high, wrong):
    with pytest.raises(ConfigError, match=wrong):
        Obstacle(name, low, high)


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({"margin_m": 0.0}, "margin_m"),
        ({"margin_m": 0.06}, "margin_m must lie below slow_from_m"),
        ({"margin_m": 0.04}, "margin_m must lie below itself_slow_from_m"),
        ({"singularity_stop": 10.0}, "singularity_slow must lie below"),
        ({"joint_limit_margin_rad": 0.3}, "joint_limit_margin_rad must lie below"),
        ({"least_scale": 0.0}, "least_scale"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(values, wrong):
    with pytest.raises(ConfigError, match=wrong):
        ClearanceParams(**values)


def test_a_clearance_says_what_is_near_in_words():
    assert str(Clearance(0.0123, ("link4", "the post"))) == "link4 comes within 12 mm of the post"
    assert str(Clearance(-0.01, ("link4", "the post"))) == "link4 reaches into the post"
    assert str(Clearance(float("inf"))) == "nothing near"


@pytest.mark.parametrize("seed", range(6))
def test_a_distance_is_that_of_the_thickened_pieces(seed):
    rng = np.random.default_rng(seed)
    joints, middle = some_joints(rng), rng.uniform((-0.6, -0.6, 0.3), (0.6, 0.6, 1.0))
    box = Obstacle("box", tuple(middle - 0.05), tuple(middle + 0.05))
    found = ArmDistance([box], -10.0, itself_within_m=0.0)
    turns, places = found.poses(joints)
    sampled = []
    for piece in (piece for piece in arm_pieces() if piece.link > 0):
        corners = piece.vertices[ConvexHull(piece.vertices).simplices]
        weights = rng.dirichlet((1, 1, 1), (len(corners), 300))
        points = (weights @ corners).reshape(-1, 3) @ turns[piece.link + 1].T + places[piece.link + 1]
        out = np.linalg.norm(np.maximum(np.maximum(box.low_m - points, points - box.high_m), 0), axis=1)
        sampled.append(out.min() - piece.inflation_m)
    nearest = found.nearest(joints, 5.0).distance_m
    if min(sampled) > 0.001:
        assert min(sampled) - 0.004 < nearest <= min(sampled) + 1e-9
    else:
        assert nearest < 0.001


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), corners=st.integers(2, 3), size=st.floats(0.001, 0.4))
def test_no_mixture_of_joints_is_nearer_than_the_bound(seed, corners, size):
    rng = np.random.default_rng(seed)
    arm = _distance_to_boxes()
    places = some_joints(rng) + rng.uniform(-size, size, (corners, 7))
    bound = max(arm.between(places, 0.3).distance_m, 0.0)
    refined = max(arm.certified(places, 0.3, 0.3).distance_m, 0.0)
    some = rng.dirichlet(np.ones(corners), 20)
    least = max(min(arm.nearest(part @ places, 0.6).distance_m for part in some), 0.0)
    assert bound <= least + 1e-9
    assert refined <= least + 1e-9
    assert refined >= bound - 1e-9 or refined >= 0.3


_BOXES: list[ArmDistance] = []


def _distance_to_boxes() -> ArmDistance:
    if not _BOXES:
        _BOXES.append(ArmDistance([POST, Obstacle("shelf", (-0.5, -0.6, 0.5), (0.6, -0.3, 0.55))], 0.0))
    return _BOXES[0]


@pytest.mark.parametrize("seed", range(5))
def test_no_distance_changes_by_more_than_the_joints_can_move(seed):
    rng, arm = np.random.default_rng(seed), _distance_to_boxes()
    joints, turned = some_joints(rng), rng.uniform(-0.05, 0.05, 7)
    before, after = (arm.nearest(q, 2.0).distance_m for q in (joints, joints + turned))
    assert (
        min(before, after) < 0 or abs(before - after) <= arm.farthest_m(turned) + 2e-3
    )  # hulls: the direction's error


def test_a_refined_bound_is_near_the_truth(home):
    arm = ArmDistance([Obstacle("post", (0.3, 0.35, 0.0), (0.5, 0.45, 0.8))], 0.0)
    way = home + np.outer([0.0, 1.0], [0.8, 0.3, 0.0, 0.3, 0.0, 0.0, 0.0])
    sampled = min(arm.nearest(home + part * (way[1] - home), 1.0).distance_m for part in np.linspace(0, 1, 400))
    assert sampled - 0.004 < arm.along(way, 1.0).distance_m <= sampled + 1e-4


def test_turning_arm_and_box_together_changes_nothing(rig, home):
    turned = Obstacle("the post", (-POST.high_m[1], POST.low_m[0], 0.0), (-POST.low_m[1], POST.high_m[0], 0.8))
    here = ArmClearance(rig, [POST]).nearest(home)
    there = ArmClearance(replace(rig, home_joints_rad=(np.pi / 2, *home[1:])), [turned])
    assert there.nearest([np.pi / 2, *home[1:]]).distance_m == pytest.approx(here.distance_m, abs=1e-6)


def test_links_that_pass_each_other_by_construction_slow_nothing(rig, home):
    clearance, arm = ArmClearance(rig), ArmDistance([], 0.0)
    assert arm.nearest(home).pair == ("link7", "link5")
    assert arm.nearest(home).distance_m < clearance.params.slow_from_m
    assert clearance.nearest(home).pair[1] == TABLE
    assert clearance.along([home, home + 0.01]) == Clearance(float("inf"))


@official
def test_the_official_meshes_lie_within_the_pieces():
    rng = np.random.default_rng(0)
    for link, triangles in official_triangles(0.01).items():
        some = triangles[rng.choice(len(triangles), 400, replace=False)]
        pieces = [piece for piece in arm_pieces() if piece.link == link]
        held = [
            (distances(some.reshape(-1, 3), piece).reshape(-1, 3) <= piece.inflation_m + 1e-5).all(axis=1)
            for piece in pieces
        ]
        assert np.any(held, axis=0).mean() > 0.98  # an edge of 10 mm may cross from piece to piece
        corners = np.stack([distances(some[:, 0], piece) - piece.inflation_m for piece in pieces])
        assert corners.min(axis=0).max() <= 1e-5


@official
@pytest.mark.parametrize("gap_m", [0.0155, 0.02005, 0.0225])
def test_the_judge_tells_a_distance_between_corners_exactly(home, gap_m):
    """A thin box below the pen's end, where no corner of the cut pen lies."""
    pen = bench_clearance.PEN
    corners = dict(ArmDistance([], -1.0, [Piece("pen", 7, pen.corners)]).placed(home))["pen"]
    low, high = corners.min(axis=0), corners.max(axis=0)
    below = np.array([*((low + high)[:2] / 2 + (0.0013, 0.0007)), low[2] - gap_m])
    box = tuple(below + np.array([[-1e-4, -1e-4, -0.05], [1e-4, 1e-4, 0]]))
    assert bench_clearance.judge_of((pen,)).distance(home, [box], -1.0, 0.03) == pytest.approx(gap_m, abs=2e-5)


@official
@pytest.mark.slow
def test_no_motion_comes_within_the_margin_of_the_official_meshes():
    figures = bench_clearance.chunk(seed=1, motions=25)
    assert figures["motions"] >= 25
    assert figures["within_margin"] == 0
    assert figures["refused_though_allowed"] + figures["way_refused_though_allowed"] <= 1


def test_far_from_everything_nothing_is_slowed(posted, home, kinematics):
    tcp = kinematics.tcp(home)
    verdict = posted.step(home, tcp, tcp + np.array([0.0, -0.025, 0.0]), 0.25)
    assert (verdict.scale, verdict.reason) == (1.0, "")


def approach(clearance: ArmClearance, kinematics, home, step_m: float) -> tuple[list[float], list[float], str]:
    """Scales and clearances of an arm that heads for the wall and stands at each target before the next."""
    joints, target, scales, rooms, speed = home, kinematics.tcp(home), [], [], 0.0
    for _ in range(80):
        verdict = clearance.step(joints, target, target + np.array([0.0, step_m, 0.0]), speed)
        if verdict.scale == 0:
            return scales, rooms, verdict.reason
        target = target + np.array([0.0, verdict.scale * step_m, 0.0])
        joints = kinematics.solve(target, joints)
        speed = verdict.scale * step_m * 10
        scales.append(verdict.scale)
        rooms.append(clearance.nearest(joints).distance_m)
    return scales, rooms, ""


@pytest.mark.parametrize("step_m", [0.025, 0.01])
def test_before_a_wall_the_arm_slows_steadily_and_stops_outside_the_margin(walled, kinematics, home, step_m):
    scales, rooms, reason = approach(walled, kinematics, home, step_m)
    assert scales[0] == 1.0
    assert all(later <= earlier + 1e-9 for earlier, later in pairwise(scales))
    assert MARGIN_M - 1e-4 <= rooms[-1] < MARGIN_M + 0.008
    assert "the wall" in reason
    assert "20 mm are asked" in reason


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6))
def test_moving_away_is_never_held_up(seed):
    rng = np.random.default_rng(seed)
    rig, kinematics = Rig.load(), Kinematics()
    clearance = _walled()
    start = rng.uniform((0.3, 0.0, 0.15), (0.5, 0.3, 0.4))
    joints = kinematics.solve(start, rig.home_joints_rad)
    away = start + rng.uniform((-0.005, -0.024, -0.005), (0.005, -0.005, 0.005))
    target = kinematics.tcp(joints)
    here, there = (clearance.nearest(q) for q in (joints, kinematics.solve(away, joints)))
    if there.distance_m > here.distance_m > 0 and clearance.condition(joints) < clearance.params.singularity_slow:
        assert clearance.step(joints, target, away, 0.0).scale == 1.0


_WALLED: list[ArmClearance] = []


def _walled() -> ArmClearance:
    if not _WALLED:
        _WALLED.append(ArmClearance(Rig.load(), [WALL]))
    return _WALLED[0]


def test_leaving_what_is_near_passes_no_nearer_than_the_margin(rig, kinematics):
    """The nearest place of this step lies between its ends: a link passes the box's corner and ends farther away."""
    joints = np.array([-0.0295, -0.3954, -0.0622, 1.426, -0.0247, 1.8207, -0.093])
    clearance = ArmClearance(rig, [Obstacle("the box", (0.2677, -0.0403, 0.7765), (0.3507, 0.0085, 0.8399))])
    target, wish = kinematics.tcp(joints), np.array([0.0244, -0.0028, -0.0044])
    verdict = clearance.step(joints, target, target + wish, 0.0)
    ends = kinematics.approach(joints, target + verdict.scale * wish, pointing_down())
    on_the_way = [clearance.nearest(joints + share * (ends - joints)).distance_m for share in np.linspace(0, 1, 41)]
    assert on_the_way[0] > MARGIN_M
    assert min(on_the_way) >= MARGIN_M - 1e-5


def test_speed_takes_its_stopping_distance_before_the_margin(walled, kinematics, home):
    joints = kinematics.solve((0.4, 0.215, 0.228), home)
    tcp = kinematics.tcp(joints)
    slow, fast = (walled.step(joints, tcp, tcp + np.array([0.0, 0.008, 0.0]), speed) for speed in (0.0, 0.25))
    assert fast.scale < slow.scale


def test_at_a_singularity_the_arm_slows_then_goes_no_further(rig, home, kinematics):
    clearance = ArmClearance(rig)
    joints, target, scales = home, kinematics.tcp(home), []
    for _ in range(60):
        verdict = clearance.step(joints, target, target + np.array([0.02, 0.0, 0.0]))
        scales.append(verdict.scale)
        if verdict.scale == 0:
            break
        target = target + np.array([0.02 * verdict.scale, 0.0, 0.0])
        joints = clearance.way(joints, target).joints_rad[-1]
    assert scales[-1] == 0
    assert "singularity" in verdict.reason
    assert any(0 < scale < 1 for scale in scales)
    assert clearance.condition(joints) <= clearance.params.singularity_stop
    assert clearance.step(joints, target, target - (0.02, 0.0, 0.0)).scale == 1.0


def test_a_joint_near_its_limit_is_turned_no_further(rig, home):
    clearance = ArmClearance(rig, params=ClearanceParams(singularity_slow=900.0, singularity_stop=1000.0))
    near = home.copy()
    near[5] = 3.14159 - 0.15
    past = near.copy()
    past[5] += 0.1
    # Of the posture alone: a step's scale is the smallest of several.
    scale, reason = clearance._posture_scale(near, past)
    assert scale == 0
    assert "joint6" in reason
    assert clearance._posture_scale(past, near) == (1.0, "")


def test_a_clear_way_tells_what_it_comes_nearest_to(posted, home):
    way = posted.way(home, [(0.4, -0.2, 0.3), (0.35, -0.1, 0.2)])
    assert way.joints_rad.shape[1] == 7
    assert way.clearance.distance_m >= MARGIN_M


@pytest.mark.parametrize(
    ("goal", "wrong"),
    [
        ((0.5, 0.25, 0.3), r"comes within .* of the post, 20 mm are asked"),
        ((0.95, 0.0, 0.3), "singularity|no joints bring the TCP"),
        ((0.4, 0.0, 0.01), TABLE),
    ],
)
def test_a_way_that_leads_too_near_is_refused_before_it_begins(posted, home, goal, wrong):
    with pytest.raises(SafetyStop, match=wrong):
        posted.way(home, goal)


def test_a_way_behind_the_post_is_refused_and_one_around_it_is_not(posted, home):
    with pytest.raises(SafetyStop, match="the post"):
        posted.way(home + np.array([0.3, 0, 0, 0, 0, 0, 0.3]), (0.5, 0.28, 0.3))
    posted.way(home, [(0.3, 0.0, 0.25), (0.3, 0.15, 0.25)])


def test_a_way_that_ends_just_inside_a_singularity_is_refused(rig, kinematics):
    """Followed in long steps, the arm comes there with other joints, a little farther from the singularity."""
    joints = np.array([0.25133521, -0.1672404, 0.38170394, 1.11864516, 0.06488036, 1.2746372, 0.60924067])
    with pytest.raises(SafetyStop, match=r"at \(0\.520, 0\.172, 0\.412\) m the arm is near a singularity"):
        ArmClearance(rig).way(joints, (0.52041951, 0.17174173, 0.41214779))


def test_a_way_out_of_the_margin_is_clear_and_one_further_in_is_not(rig, walled, kinematics, home):
    scales, _, _ = approach(walled, kinematics, home, 0.025)
    assert scales
    near = kinematics.solve((0.4, 0.255, 0.228), home)
    assert walled.nearest(near).distance_m < MARGIN_M
    walled.way(near, (0.4, 0.1, 0.228))
    with pytest.raises(SafetyStop, match="the wall"):
        walled.way(near, (0.4, 0.27, 0.228))


def test_a_turn_of_joints_through_a_post_is_refused(posted, kinematics, home):
    far = kinematics.solve((0.52, 0.0, 0.228), home)
    left, right = (far + np.array([turn, 0, 0, 0, 0, 0, 0]) for turn in (1.0, -0.5))
    with pytest.raises(SafetyStop, match="the post"):
        posted.turn(right, left)
    assert posted.turn(home, right).clearance.distance_m >= MARGIN_M


def test_a_tool_reaches_as_far_as_it_is(rig, home):
    pen = Obstacle("the pen", (-0.005, -0.005, 0.0), (0.005, 0.005, 0.36))
    bare, held = ArmClearance(rig), ArmClearance(rig, tool=[pen])
    assert held.nearest(home).pair == ("the pen", TABLE)
    assert held.nearest(home).distance_m == pytest.approx(0.228 - (0.36 - 0.172), abs=1e-3)
    assert bare.nearest(home).distance_m != held.nearest(home).distance_m


def test_the_base_plate_fills_what_lies_between_table_and_base(rig):
    folded = np.array([0.0, -1.5, 0.0, 2.5, 0.0, 2.0, 0.0])
    low = ArmClearance(rig, table_z_m=-0.3).nearest(folded, 2.0)
    assert PLATE in ArmClearance(rig, table_z_m=-0.3).distance.names
    assert PLATE not in ArmClearance(rig, table_z_m=0.0).distance.names
    assert np.isfinite(low.distance_m)


def test_a_box_that_holds_the_home_posture_is_refused(rig, posted):
    cupboard = ArmClearance(rig, [Obstacle("the cupboard", (0.2, -0.3, 0.0), (0.6, 0.3, 0.5))])
    with pytest.raises(SafetyStop, match=r"at home .* reaches into the cupboard, 20 mm are asked"):
        cupboard.require_home()
    assert posted.require_home() == posted.nearest(rig.home_joints_rad)


def test_an_arm_that_goes_on_for_longer_is_allowed_for_in_a_clearance_of_its_own(rig, walled):
    before, allowing = walled.params, walled.allowing_for(0.005, keeps_velocity_s=0.25)
    assert walled.params is before
    assert (allowing.obstacles, allowing.table_z_m, allowing.rig) == (walled.obstacles, walled.table_z_m, rig)
    changed = {"margin_m": 0.025, "slow_from_m": 0.055, "itself_slow_from_m": 0.035}
    assert asdict(allowing.params) == pytest.approx(asdict(before) | changed)
    assert allowing.keeps_velocity_s == 0.25


@pytest.mark.parametrize("speed_m_s", [0.0, 0.1, 0.2])
def test_an_arm_that_keeps_the_velocity_it_was_allowed_stops_outside_the_margin(rig, kinematics, home, speed_m_s):
    """Whatever follows the command late, or never: the arm goes on, and brakes."""
    clearance = ArmClearance(rig, [WALL]).allowing_for(0.005, keeps_velocity_s=0.25)
    params, tcp, side, scales = clearance.params, kinematics.tcp(home), np.array([0.0, 1.0, 0.0]), []
    for gone_m, behind_m in product(np.arange(0.0, 0.3, 0.01), (0.0, 0.01, 0.03)):
        now = kinematics.solve(tcp + gone_m * side, home, pointing_down())
        if clearance.nearest(now).distance_m < params.margin_m + speed_m_s * 0.05 + speed_m_s**2 / 4:
            continue  # it was too fast before
        target = tcp + (gone_m + behind_m) * side
        scale = clearance.step(now, target, target + 0.02 * side, speed_m_s).scale
        velocity_m_s = scale * 0.02 * rig.rate_hz
        on_m = speed_m_s * params.reaction_s + velocity_m_s * 0.25
        on_m += max(speed_m_s, velocity_m_s) ** 2 / (2 * params.braking_m_s2)
        end = kinematics.solve(tcp + (gone_m + on_m) * side, now, pointing_down())
        scales.append(scale)
        assert clearance.nearest(end).distance_m > MARGIN_M
    assert min(scales) < 0.2
    assert max(scales) == 1


@pytest.mark.parametrize("height", [float("nan"), 0.5])
def test_a_table_that_cannot_be_is_refused(rig, height):
    with pytest.raises(SafetyStop, match="table's height"):
        ArmClearance(rig, table_z_m=height)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_is_refused(posted, home, bad):
    broken, tcp = home.copy(), np.array([0.4, 0.0, 0.228])
    broken[3] = bad
    for call in (
        lambda: posted.nearest(broken),
        lambda: posted.along([home, broken]),
        lambda: posted.step(broken, tcp, tcp),
        lambda: posted.step(home, tcp * bad, tcp),
        lambda: posted.step(home, tcp, tcp, bad),
        lambda: posted.way(broken, tcp),
        lambda: posted.way(home, tcp * bad),
        lambda: posted.turn(home, broken),
        lambda: posted.nearest(home[:6]),
    ):
        with pytest.raises(SafetyStop, match="finite"):
            call()
