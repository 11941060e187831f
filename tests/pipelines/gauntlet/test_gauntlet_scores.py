import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.task.episodes import Episode
from pipelines.gauntlet.scores import cell_metrics, compare, holm, wilson


def episodes(final_mm, first_seed=0):
    return [Episode(first_seed + i, mm / 1000, 1.0 if mm < 10 else np.nan, -1.0) for i, mm in enumerate(final_mm)]


@given(st.integers(1, 500), st.data())
def test_wilson_holds_the_share_and_stays_within_0_and_1(n, data):
    successes = data.draw(st.integers(0, n))
    low, high = wilson(successes, n)
    assert 0 <= low <= successes / n + 1e-12
    assert successes / n - 1e-12 <= high <= 1
    mirrored = wilson(n - successes, n)
    assert (1 - mirrored[1], 1 - mirrored[0]) == pytest.approx((low, high))


def test_wilson_agrees_with_a_published_example():
    # Newcombe 1998, table I, method 3: 81 of 263 gives 0.2553 to 0.3662.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)


def test_wilson_refuses_what_is_no_share():
    for successes, n in ((3, 2), (-1, 5), (0, 0)):
        with pytest.raises(ValueError, match="successes"):
            wilson(successes, n)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_lies_between_no_correction_and_bonferroni_and_keeps_the_order(p):
    corrected = np.array(holm(p))
    assert np.all(corrected >= np.minimum(p, 1) - 1e-12)
    assert np.all(corrected <= np.minimum(1, len(p) * np.array(p)) + 1e-12)
    assert np.all(np.diff(corrected[np.argsort(p, kind="stable")]) >= 0)


def test_holm_agrees_with_a_computation_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_cells_carry_the_documented_keys():
    found = cell_metrics(episodes([1.0, 4.0, 8.0, 30.0]))
    assert found["n"] == 4
    assert found["success_5mm"] == 0.5
    assert found["success_10mm"] == 0.75
    assert found["success_50mm"] == 1.0
    assert found["median_mm"] == 6.0
    assert found["arrived"] == 0.75
    assert found["arrival_s"] == 1.0
    low, high = found["success_5mm_ci"]
    assert low < 0.5 < high


def test_a_method_that_always_ends_nearer_is_ahead_and_the_other_way_round_behind():
    rng = np.random.default_rng(0)
    theirs = rng.uniform(2, 5, 50)
    ours = theirs - rng.uniform(0.1, 0.5, 50)
    near, far = {"g": episodes(ours), "h": episodes(theirs)}, {"g": episodes(theirs), "h": episodes(theirs)}
    found = compare(near, far)
    assert found["g"]["verdict"] == "ahead"
    assert found["g"]["better"] == 50
    assert found["g"]["median_difference"] < 0
    assert found["h"] == {
        "n": 50, "median_difference": 0.0, "better": 0, "worse": 0, "p": 1.0, "p_holm": 1.0, "verdict": "level"
    }  # fmt: skip
    assert compare(far, near)["g"]["verdict"] == "behind"


def test_who_arrives_sooner_is_ahead_and_who_never_does_is_last():
    def arriving(times):
        return {"g": [Episode(i, 0.001, time, -1.0) for i, time in enumerate(times)]}

    found = compare(arriving([0.7] * 12), arriving([0.9] * 10 + [np.nan] * 2), "arrival_s")["g"]
    assert found["verdict"] == "ahead"
    assert found["better"] == 12
    assert found["median_difference"] == pytest.approx(-0.2)
    assert compare(arriving([np.nan] * 12), arriving([np.nan] * 12), "arrival_s")["g"]["verdict"] == "level"


def test_chance_is_not_significant_over_many_gaps():
    rng = np.random.default_rng(1)
    ours = {f"g{i}": episodes(rng.uniform(1, 5, 50)) for i in range(25)}
    theirs = {f"g{i}": episodes(rng.uniform(1, 5, 50)) for i in range(25)}
    assert {one["verdict"] for one in compare(ours, theirs).values()} == {"level"}


def test_only_the_same_episodes_are_compared():
    with pytest.raises(ValueError, match="same seeds"):
        compare({"g": episodes([1.0, 2.0])}, {"g": episodes([1.0, 2.0], first_seed=7)})
