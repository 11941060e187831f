"""Estimates are judged with the pose as given, and with one that the other frames' estimates fit."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.common.errors import DataError, ModelError
from datasets.rig.projection import invert, transform
from perception.calibration.registration.motion import displacement, moved
from perception.real.judge import (
    Answers,
    figures,
    fit_pose,
    fitted_poses,
    judge,
    load_estimator,
    references,
    seen_shares,
)

MODEL = "models/estimator"


@st.composite
def situations(draw):
    """A pose, the motion by which it is wrong (within what poses err by), and twelve points."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    pose = moved(np.eye(4), np.concatenate([rng.uniform(-1, 1, 3), rng.uniform(-1, 1, 3)]))
    wrong = np.concatenate([rng.uniform(-0.015, 0.015, 3), rng.uniform(-0.01, 0.01, 3)])
    return pose, wrong, rng.uniform([0.2, -0.3, 0.1], [0.6, 0.3, 0.5], (12, 3))


@given(situations())
def test_a_wrong_pose_is_put_right_by_exact_points(situation):
    pose, wrong, points = situation
    found = fit_pose(moved(pose, wrong), transform(invert(pose), points), points, np.full(12, 1e-4))
    assert displacement(found, pose, points)[0] < 1e-3


@given(situations())
def test_one_bad_estimate_does_not_bend_the_pose(situation):
    pose, wrong, points = situation
    camera = transform(invert(pose), points)
    camera[0] += 0.3
    found = fit_pose(moved(pose, wrong), camera, points, np.full(12, 0.003))
    assert displacement(found, pose, points)[0] < 0.008


@given(situations())
def test_estimates_that_say_nothing_leave_the_pose(situation):
    pose, wrong, points = situation
    found = fit_pose(pose, transform(invert(moved(pose, wrong)), points), points, np.full(12, 10.0))
    assert displacement(found, pose, points)[0] < 1e-3


def test_a_frame_has_no_part_in_its_own_pose():
    points = np.random.default_rng(0).uniform(0.2, 0.6, (6, 3))
    seen = np.ones(6, bool)

    def poses(first):
        xyz = np.vstack([first, points[1:]])
        return fitted_poses(np.eye(4), Answers(xyz, np.full((6, 3), 0.01), xyz), points, seen)

    before, after = poses(points[0]), poses(points[0] + 0.05)
    np.testing.assert_array_equal(before[0], after[0])
    assert np.abs(before[1] - after[1]).max() > 1e-4


def test_too_few_others_give_no_pose():
    points = np.random.default_rng(0).uniform(0.2, 0.6, (4, 3))
    answers = Answers(points, np.full((4, 3), 0.01), points)
    assert fitted_poses(np.eye(4), answers, points, np.array([True, True, True, False]))[:3] == [None] * 3
    assert figures(np.empty((0, 3)), np.empty((0, 3)))["n"] == 0


def test_figures_are_of_distances_and_of_errors_per_axis():
    errors = np.array([[0.003, 0.0, 0.004], [0.0, 0.0, 0.010], [0.0, 0.0, 0.001]])
    found = figures(errors, np.full((3, 3), 0.004))
    assert found == {"median_mm": 5.0, "worst_mm": 10.0, "within_1_sigma": 0.8889, "within_2_sigma": 0.8889}


def test_the_reference_lies_along_the_flange_s_axis(drawn):
    captures, _ = drawn
    np.testing.assert_allclose(references(captures.joints, 0.172), captures.tcp, atol=1e-6)
    apart = references(captures.joints, 0.0) - captures.tcp
    np.testing.assert_allclose(np.linalg.norm(apart, axis=1), 0.172, atol=1e-6)


def test_what_the_estimator_finds_is_judged(drawn, rig):
    captures, pose = drawn
    estimator, truth = load_estimator(MODEL, rig), references(captures.joints, rig.tool.tcp_offset_m)
    found, rows, _ = judge(estimator, captures, truth, pose, 0.0, np.ones(5), 0.03)
    assert found["n"] == 5
    assert found["given"]["median_mm"] < 8
    assert found["fitted"]["median_mm"] < 10
    assert [row["frame"] for row in rows] == list(range(5))
    assert not any(row["given"]["confessed"] for row in rows)


def test_the_reference_s_own_error_counts_less_with_a_fitted_pose(drawn, rig):
    captures, pose = drawn
    estimator, truth = load_estimator(MODEL, rig), references(captures.joints, rig.tool.tcp_offset_m)
    aside = moved(pose, [0.0, 0.02, 0.0, 0, 0, 0])  # of which the estimator's own check leaves a part
    found, _, _ = judge(estimator, captures, truth, aside, 0.0, np.ones(5), 0.03)
    assert found["fitted"]["median_mm"] < found["given"]["median_mm"] - 1


def test_hidden_frames_are_listed_and_left_out(drawn, rig):
    captures, pose = drawn
    estimator, truth = load_estimator(MODEL, rig), references(captures.joints, rig.tool.tcp_offset_m)
    seen = np.array([1, 0, 1, 0, 0.1])
    found, rows, _ = judge(estimator, captures, truth, pose, 0.0, seen, 1e-4)
    assert (found["n"], found["fitted"]["n"]) == (2, 0)
    assert [row["visible"] for row in rows] == [True, False, True, False, False]
    assert all(row["given"]["confessed"] and row["fitted"] is None for row in rows)
    with pytest.raises(DataError, match="no frame shows the end of the arm"):
        judge(estimator, captures, truth, pose, 0.0, np.zeros(5), 0.03)


def test_the_gripper_is_seen_unless_a_thing_or_the_image_s_edge_hides_it(drawn, rig):
    captures, pose = drawn
    truth = references(captures.joints, rig.tool.tcp_offset_m)
    assert seen_shares(captures, pose, truth, bare=False).min() > 0.25
    away = pose.copy()
    away[:3, :3] = pose[:3, :3] @ np.diag([-1.0, 1, -1])  # looks the other way
    assert not seen_shares(captures, away, truth, bare=False).any()
    screen = replace(captures, depth=np.full_like(captures.depth, 0.3))
    assert not seen_shares(screen, pose, truth, bare=False).any()


def test_an_estimator_is_opened_with_the_tool_it_was_trained_for(rig, tmp_path):
    assert load_estimator(MODEL, rig).rig.tool == rig.tool
    with pytest.raises(ModelError, match="no such model file; name the folder of an estimator"):
        load_estimator(tmp_path, rig)
