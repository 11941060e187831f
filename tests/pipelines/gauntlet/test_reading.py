"""What is read from the gauntlet's metrics: methods, gaps, and how far the camera may be off."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.gauntlet.reading import camera_line, camera_tolerance, gap_names, method_names, tolerance


def test_tolerance_lies_between_what_was_measured():
    assert tolerance([0, 10, 30], [1.0, 1.0, 0.8]) == pytest.approx(20.0)
    assert tolerance([0, 10, 30], [1.0, 0.95, 0.9]) == 30.0
    assert tolerance([0, 10], [0.5, 0.4]) is None


def metrics_of(shares, axis=0):
    """Of one method whose camera is off along one axis; ``shares`` by amount."""
    gaps, cells = {}, {}
    for amount, share in shares.items():
        off = [0.0, 0.0]
        off[axis] = amount
        gaps[f"off_{amount}"] = {"group": "camera_map" if amount else "nominal", "camera_off": off}
        cells[f"off_{amount}"] = {"n": 0} if share is None else {"n": 9, "success_20mm": share}
    return {"about": {"methods": {"default": "Ours"}, "gaps": gaps}, "default": cells}


@given(st.dictionaries(st.floats(0.1, 90), st.floats(0, 1), min_size=1), st.floats(0, 1))
def test_a_camera_is_tolerated_up_to_the_first_fall_and_no_farther(shares, nominal):
    found = camera_tolerance(metrics_of({0.0: nominal, **shares}), "default", 0)
    if nominal < 0.9:
        assert found is None
        return
    bad = sorted(amount for amount, share in shares.items() if share < 0.9)
    good = [amount for amount in (0.0, *shares) if not bad or amount < bad[0]]
    assert max(good) <= found <= (bad[0] if bad else max(good))


@pytest.mark.parametrize("axis", [0, 1])
def test_a_line_goes_along_its_own_axis_in_order_of_amounts(axis):
    metrics = metrics_of({30.0: 0.5, 0.0: 1.0, 10.0: 0.8}, axis)
    amounts, cells = camera_line(metrics, "default", axis)
    assert amounts == [0.0, 10.0, 30.0]
    assert [cell["success_20mm"] for cell in cells] == [1.0, 0.8, 0.5]
    assert camera_line(metrics, "default", 1 - axis)[0] == [0.0]


def test_what_was_not_run_is_left_out_and_without_the_nominal_nothing_is_known():
    assert camera_line(metrics_of({0.0: 1.0, 10.0: None, 30.0: 0.8}), "default", 0)[0] == [0.0, 30.0]
    assert camera_tolerance(metrics_of({0.0: None, 10.0: 1.0}), "default", 0) is None
    assert camera_tolerance(metrics_of({10.0: 1.0}), "default", 0) is None


def test_methods_and_gaps_keep_their_order_without_those_of_the_camera_map():
    metrics = metrics_of({0.0: 1.0, 10.0: 1.0})
    metrics["about"]["gaps"]["light"] = {"group": "picture"}
    assert gap_names(metrics) == ["off_0.0", "light"]
    assert method_names(metrics) == ["default"]
