"""Frames judged by a calibration on the other frames: a depth camera's own error is taken out, and few are refused."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from perception.estimator.estimator import MODEL_FOLDER
from perception.real import calibrated
from perception.real.calibrated import judge_calibrated
from perception.real.frames import RealFrames
from perception.real.judge import answer, load_estimator, references


@pytest.fixture(scope="module")
def estimator(rig):
    return load_estimator(MODEL_FOLDER, rig)


def frames_of(captures, **more):
    return replace(RealFrames(captures, None, postures=True), **more)


@pytest.fixture
def calibrations(drawn, monkeypatch):
    """Stands in for the registration, which has tests of its own: knows pose and scale, keeps what it was given."""
    given = []

    def register(captures, **_):
        given.append(captures)
        return SimpleNamespace(t_base_camera=drawn[1], true_depth=lambda depth: depth / np.float32(1.02))

    monkeypatch.setattr(calibrated, "register", register)
    return given


def test_a_frame_has_no_part_in_its_own_calibration_and_depth_is_put_right(drawn, estimator, calibrations):
    captures, pose = drawn
    off = replace(captures, depth=captures.depth * np.float32(1.02))
    truth = references(captures.joints, estimator.rig.tool.tcp_offset_m)
    every = np.ones(len(truth), bool)
    found = judge_calibrated(estimator, frames_of(off), truth, pose, 0.0, every)
    right = answer(estimator, captures, [pose] * len(truth), 0.0)
    assert found["n"] == len(truth)
    assert found["median_mm"] == pytest.approx(1e3 * np.median(np.linalg.norm(right.xyz - truth, axis=1)), abs=0.5)
    assert [len(others) for others in calibrations] == [4] * 5
    left_out = [set(range(5)) - set(others.timestamps.astype(int)) for others in calibrations]
    assert left_out == [{0}, {1}, {2}, {3}, {4}]


def test_hidden_frames_have_no_part_in_the_figures(drawn, estimator, calibrations):
    captures, pose = drawn
    truth = references(captures.joints, estimator.rig.tool.tcp_offset_m)
    truth[0] += 1.0
    found = judge_calibrated(estimator, frames_of(captures), truth, pose, 0.0, np.arange(len(truth)) > 0)
    assert found["n"] == len(truth) - 1
    assert found["worst_mm"] < 50


def test_the_estimator_is_told_where_the_table_lies(drawn, estimator, calibrations, monkeypatch):
    captures, pose = drawn
    truth, told = references(captures.joints, estimator.rig.tool.tcp_offset_m), []

    def spy(estimator, captures, poses, table_z_m):
        told.append(table_z_m)
        return answer(estimator, captures, poses, table_z_m)

    monkeypatch.setattr(calibrated, "answer", spy)
    judge_calibrated(estimator, frames_of(captures), truth, pose, -0.012, np.ones(5, bool))
    assert told == [-0.012] * 5


def test_postures_too_alike_to_calibrate_say_so(drawn, estimator):
    captures, pose = drawn
    truth = references(captures.joints, estimator.rig.tool.tcp_offset_m)
    found = judge_calibrated(estimator, frames_of(captures), truth, pose, 0.0, np.ones(5, bool))
    assert (found["n"], "all postures show the same side" in found["reason"]) == (0, True)


def test_what_cannot_be_calibrated_says_why(drawn, estimator):
    captures, pose = drawn
    truth, few = references(captures.joints, 0.172), captures.select([0, 1, 2])
    moved = judge_calibrated(estimator, frames_of(captures, postures=False), truth, pose, 0.0, np.ones(5, bool))
    assert moved == {"n": 0, "reason": "the arm moved while the frames were recorded"}
    assert (
        "more than 3 frames"
        in judge_calibrated(estimator, frames_of(few), truth[:3], pose, 0.0, np.ones(3, bool))["reason"]
    )
