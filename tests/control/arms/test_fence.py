"""The fence: never outside, never faster; and what must hold before the arm may move."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from control.arms.fence import TABLE_CLEARANCE_M, Fence, check_start, check_tcp, known_tool
from control.arms.params import ArmParams
from datasets.common.errors import SafetyStop
from datasets.rig.rig import Rig, Tool, Workspace

ROUNDING_M = 1e-12
LOW, HIGH = np.array([0.25, -0.30, 0.10]), np.array([0.60, 0.30, 0.50])

inside = arrays(float, 3, elements=st.floats(0, 1)).map(lambda part: LOW + part * (HIGH - LOW))
wishes = arrays(float, 3, elements=st.floats(allow_nan=True, allow_infinity=True))


@pytest.fixture(scope="module")
def fence() -> Fence:
    return Fence(LOW, HIGH, 0.025)


def test_no_random_state_and_command_leaves_the_fence_or_exceeds_the_step(fence: Fence) -> None:
    rng = np.random.default_rng(0)
    n = 100_000
    targets = rng.uniform(LOW, HIGH, (n, 3))
    faces = rng.random((n, 3)) < 0.1
    targets[faces] = np.where(rng.random((n, 3)) < 0.5, LOW, HIGH)[faces]
    wished = rng.normal(size=(n, 3)) * 10.0 ** rng.uniform(-12, 12, (n, 1))
    special = rng.random((n, 3)) < 0.05
    wished[special] = rng.choice([np.nan, np.inf, -np.inf, 0.0, 1e308, -1e308, 5e-324], special.sum())
    lasts = rng.uniform(-0.025, 0.025, (n, 3)) / np.sqrt(3)
    gentle = replace(fence, max_change_m=0.01)
    refused = 0
    for i, (target, wish, last) in enumerate(zip(targets, wished, lasts, strict=True)):
        limits = gentle if i % 2 else fence
        try:
            new = limits.next_target(target, wish, last)
        except SafetyStop:
            assert not np.isfinite(wish).all()
            refused += 1
            continue
        assert np.isfinite(wish).all()
        assert (new >= LOW).all()
        assert (new <= HIGH).all()
        assert ((new - target) ** 2).sum() <= (0.025 + ROUNDING_M) ** 2
        if limits is gentle and (new > LOW).all() and (new < HIGH).all():  # at a face it may stop harder
            assert ((new - target - last) ** 2).sum() <= (0.01 + ROUNDING_M) ** 2
    assert refused > 1000


@given(target=inside, wish=wishes)
def test_any_command_at_all_is_refused_or_kept_inside(target: np.ndarray, wish: np.ndarray) -> None:
    fence = Fence(LOW, HIGH, 0.025)
    if not np.isfinite(wish).all():
        with pytest.raises(SafetyStop, match="not three finite numbers"):
            fence.next_target(target, wish)
        return
    new = fence.next_target(target, wish)
    assert fence.contains(new)
    assert np.linalg.norm(new - target) <= 0.025 + ROUNDING_M


@given(target=inside, wish=arrays(float, 3, elements=st.floats(-0.014, 0.014)))
def test_a_command_within_the_limits_is_sent_as_it_is(target: np.ndarray, wish: np.ndarray) -> None:
    if Fence(LOW, HIGH, 0.025).contains(target + wish):
        np.testing.assert_allclose(Fence(LOW, HIGH, 0.025).next_target(target, wish), target + wish, atol=ROUNDING_M)


@given(last=arrays(float, 3, elements=st.floats(-0.014, 0.014)), wish=arrays(float, 3, elements=st.floats(-1, 1)))
def test_successive_displacements_change_no_more_than_allowed(last: np.ndarray, wish: np.ndarray) -> None:
    assume(wish.any())
    fence = Fence(np.full(3, -1.0), np.full(3, 1.0), 0.025, max_change_m=0.01)
    sent = fence.next_target(np.zeros(3), wish, last)
    assert np.linalg.norm(sent - last) <= 0.01 + ROUNDING_M


@given(last=arrays(float, 3, elements=st.floats(-0.014, 0.014)))
def test_an_arm_that_is_asked_to_stay_gets_no_further_step(last: np.ndarray) -> None:
    fence = Fence(np.full(3, -1.0), np.full(3, 1.0), 0.025, max_change_m=0.001)
    np.testing.assert_array_equal(fence.next_target(np.zeros(3), np.zeros(3), last), np.zeros(3))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_state_that_is_no_number_is_refused(bad: float) -> None:
    fence = Fence(LOW, HIGH, 0.025, max_change_m=0.01)
    state = np.array([0.4, bad, 0.3])
    with pytest.raises(SafetyStop, match="outside the fence"):
        fence.next_target(state, np.zeros(3), np.zeros(3))
    with pytest.raises(SafetyStop, match="sent before"):
        fence.next_target(np.array([0.4, 0.0, 0.3]), np.full(3, 0.01), state)


def test_a_long_command_keeps_its_direction(fence: Fence) -> None:
    step = fence.next_target([0.4, 0, 0.3], [3.0, 4.0, 0.0]) - [0.4, 0, 0.3]
    np.testing.assert_allclose(step, [0.015, 0.020, 0.0], atol=ROUNDING_M)


def test_a_target_outside_is_refused_rather_than_pulled_in(fence: Fence) -> None:
    with pytest.raises(SafetyStop, match="outside the fence; home"):
        fence.next_target(np.array([0.7, 0, 0.3]), np.zeros(3))


@pytest.mark.parametrize("wish", [np.zeros(2), np.zeros((3, 1)), 0.0])
def test_a_command_of_the_wrong_shape_is_refused(fence: Fence, wish: np.ndarray) -> None:
    with pytest.raises(SafetyStop, match="not three finite numbers"):
        fence.next_target(np.array([0.4, 0, 0.3]), wish)


def test_the_fence_is_the_workspace_less_its_margin_and_a_lower_speed_steps_less(rig: Rig) -> None:
    fence = Fence.from_rig(rig, ArmParams(fence_margin_m=0.01), max_speed_m_s=0.1)
    np.testing.assert_allclose(fence.low_m, rig.workspace.low + 0.01)
    np.testing.assert_allclose(fence.high_m, rig.workspace.high - 0.01)
    assert fence.max_displacement_m == pytest.approx(0.01)
    assert Fence.from_rig(rig, max_speed_m_s=10.0).max_displacement_m == rig.max_displacement_m


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan"), float("inf")])
def test_a_speed_limit_that_is_no_speed_is_refused(rig: Rig, speed: float) -> None:
    with pytest.raises(SafetyStop, match="positive number"):
        Fence.from_rig(rig, max_speed_m_s=speed)


def test_a_margin_that_leaves_nothing_is_refused(rig: Rig) -> None:
    with pytest.raises(SafetyStop, match="leaves nothing"):
        Fence.from_rig(rig, ArmParams(fence_margin_m=0.2))


@pytest.mark.parametrize(
    ("workspace", "message"),
    [
        (Workspace((0.25, 0.72), (-0.3, 0.3), (0.1, 0.5)), "beyond the xArm7's"),
        (Workspace((0.25, 0.6), (-0.6, 0.6), (0.1, 0.5)), "beyond the xArm7's"),
        (Workspace((0.25, 0.6), (-0.3, 0.3), (0.1, 1.0)), "beyond the xArm7's"),
        (Workspace((0.25, 0.6), (-0.3, 0.3), (0.1, 0.95)), "reaches only"),
        (Workspace((-0.3, 0.6), (-0.3, 0.3), (0.1, 0.5)), "of the base axis"),
        (Workspace((0.1, 0.6), (0.1, 0.3), (0.1, 0.5)), "of the base axis"),
        (Workspace((0.25, 0.6), (-0.3, 0.3), (0.0, 0.5)), "above the table"),
        (Workspace((0.25, 0.6), (-0.3, 0.3), (-0.2, 0.5)), "above the table"),
    ],
)
def test_a_box_out_of_reach_or_in_the_table_is_refused(rig: Rig, workspace: Workspace, message: str) -> None:
    with pytest.raises(SafetyStop, match=message):
        check_start(rig, Fence.from_rig(replace(rig, workspace=workspace)))


def test_the_rig_of_the_repository_may_start(rig: Rig) -> None:
    tool = check_start(rig, Fence.from_rig(rig))
    assert tool.tcp_m == rig.tool.tcp_offset_m


def test_an_unknown_tool_or_a_wrong_offset_is_refused() -> None:
    with pytest.raises(SafetyStop, match=r"'screwdriver' is unknown; this project knows flange, xarm_gripper"):
        known_tool(Tool("screwdriver", 0.1))
    with pytest.raises(SafetyStop, match="correct the rig"):
        known_tool(Tool("xarm_gripper", 0.15))


@pytest.mark.parametrize("tcp", [[0.7, 0, 0.3], [0.4, np.nan, 0.3]])
def test_a_tcp_outside_the_fence_is_refused(fence: Fence, tcp: list[float]) -> None:
    with pytest.raises(SafetyStop, match="outside the fence"):
        check_tcp(fence, np.array(tcp))


@pytest.mark.parametrize("margin_m", [0.0, 0.02, 0.1])
def test_the_controllers_boundary_and_the_watch_keep_clear_of_the_table(rig, margin_m) -> None:
    params = ArmParams(controller_margin_m=margin_m)
    for height_m, good in ((margin_m + 0.019, False), (margin_m + TABLE_CLEARANCE_M, True)):
        low = replace(rig, workspace=replace(rig.workspace, z_m=(height_m, 0.5)))
        fence = Fence.from_rig(low, params)
        if good:
            check_start(low, fence)
            assert fence.low_m[2] - fence.margin_m >= TABLE_CLEARANCE_M - 1e-9
        else:
            with pytest.raises(SafetyStop, match=r"the fence begins .* above the table"):
                check_start(low, fence)
