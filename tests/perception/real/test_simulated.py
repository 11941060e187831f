"""The frames' own postures in simulated rooms: what the estimator errs by there, and what an error beside it adds."""

from dataclasses import replace

import numpy as np
import pytest

from datasets.scene.randomization import Randomization
from datasets.scene.scene import SceneSampler
from perception.estimator.estimator import MODEL_FOLDER
from perception.real import simulated
from perception.real.judge import load_estimator, references


@pytest.fixture(scope="module")
def estimator(rig):
    return load_estimator(MODEL_FOLDER, rig)


@pytest.fixture(scope="module")
def found(drawn, estimator):
    captures, pose = drawn
    return simulated.measure(estimator, captures, pose, 0.0, rooms=3)


def test_each_experiment_has_its_figures_and_each_frame_its_row(found):
    assert found["n"] > 0
    assert {*simulated.EXPERIMENTS} <= found.keys()
    assert len(found["by_frame"]) == 5
    assert sum(row["n"] for row in found["by_frame"]) == found["n"]


def test_the_gripper_is_found_where_the_frames_have_it(found):
    assert found["exact"]["median_mm"] < 8


def test_the_rooms_are_the_same_every_time(drawn, estimator, found):
    captures, pose = drawn
    again = simulated.measure(estimator, captures, pose, 0.0, rooms=3)
    assert again == found


def test_what_cannot_be_drawn_says_why(drawn, estimator):
    captures, pose = drawn
    assert simulated.measure(estimator, captures, pose, 0.0, rooms=0) == {"n": 0, "reason": "no room is drawn"}
    raised = simulated.measure(estimator, captures, pose, -0.012, rooms=1)
    assert (raised["n"], "at the base's height" in raised["reason"]) == (0, True)


@pytest.mark.parametrize("name", simulated.EXPERIMENTS)
def test_an_experiment_spoils_one_thing_alone(name, drawn, estimator):
    captures, pose = drawn
    offset = estimator.rig.tool.tcp_offset_m
    truth = references(captures.joints, offset)[0]
    scene = SceneSampler(estimator.rig, Randomization()).sample(0)
    exact = simulated.Drawn(replace(scene, joints_rad=captures.joints[0]), captures.intrinsics, pose, truth)
    spoilt = simulated.EXPERIMENTS[name](exact, np.random.default_rng(0), offset)
    changed = {
        "pose": not np.array_equal(spoilt.pose, pose),
        "joints": not np.array_equal(spoilt.reference, truth),
        "intrinsics": spoilt.intrinsics != captures.intrinsics,
        "depth": spoilt.scene.depth_error != scene.depth_error,
    }
    assert [part for part, yes in changed.items() if yes] == ([] if name == "exact" else [name])


def test_a_pose_that_is_off_moves_the_tcp_by_what_is_said(drawn, estimator):
    captures, pose = drawn
    truth = references(captures.joints, estimator.rig.tool.tcp_offset_m)[0]
    scene = SceneSampler(estimator.rig, Randomization()).sample(0)
    exact = simulated.Drawn(scene, captures.intrinsics, pose, truth)
    off = simulated.EXPERIMENTS["pose"](exact, np.random.default_rng(1), 0.0).pose
    moved = off @ np.linalg.inv(pose) @ [*truth, 1.0]
    assert np.linalg.norm(moved[:3] - truth) == pytest.approx(simulated.POSE_M, rel=0.02)
