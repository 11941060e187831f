"""The frame that a stop came at is recorded with what was made of it, played again, and not learnt from."""

import json
from dataclasses import replace

import numpy as np
import pytest

from datasets.common.errors import DataError, DeviceError
from datasets.recorded_split import cut_recordings
from datasets.rig.frame import Frame
from datasets.rig.projection import Window
from datasets.store.recording import STOPPED, Recording
from perception.estimator.estimate import PositionEstimate
from pipelines.observers.console import stop_words
from pipelines.observers.recorder import FRAMES, RunRecorder
from pipelines.runtime.stops import StopReason
from pipelines.setup.assemble import RunOptions, run
from pipelines.setup.devices import DeviceNames
from pipelines.twin.settings import TwinParams

pytestmark = pytest.mark.realtime

GOAL = np.array([0.45, 0.08, 0.30])


@pytest.fixture
def pictured(world):
    """The point world at a true frame's size; a frame's first depths are the arm's position and a metre each."""
    fresh, size = world.camera.read_latest, (world.rig.camera.height, world.rig.camera.width)

    def picture(max_age_s):
        depth = np.ones(size, np.float32)
        depth[0, :3] += world.arm.position
        return Frame(np.zeros((*size, 3), np.uint8), depth, fresh(max_age_s).timestamp)

    world.camera.read_latest = picture
    world.horizon = 12
    return world


def record(world, folder):
    with RunRecorder(folder, world.rig, world.arm, {}) as recorder:
        world.observers += (recorder,)
        result = world.runtime().reach(GOAL)
        recorder.finished(result)
    return result, recorder, Recording(str(recorder.path), FRAMES)


def elsewhere(world):
    world.estimator.error = np.array([0.0, 0.055, 0.0])


STOPS = {
    "unsure": (lambda w: setattr(w.estimator, "sigma", np.full(3, 0.2)), StopReason.UNCERTAIN, ["estimate", "sigma"]),
    "jumped": (
        lambda w: setattr(w.estimator, "error", np.array([0.0, 0.2, 0.0])), StopReason.JUMP, ["estimate", "sigma"]
    ),
    "disagrees": (elsewhere, StopReason.DISAGREEMENT, ["estimate", "sigma", "tcp_now"]),
    "no number": (lambda w: setattr(w.estimator, "sigma", np.full(3, np.nan)), StopReason.NOT_FINITE, ["estimate"]),
    "no command": (lambda w: setattr(w.policy, "override", np.zeros(2)), StopReason.NOT_FINITE, ["estimate"]),
    "no estimate": (lambda w: setattr(w.estimator, "fault", DataError("NaN")), StopReason.NO_ESTIMATE, ["tcp_now"]),
}  # fmt: skip


@pytest.mark.parametrize("name", STOPS)
def test_the_frame_of_a_stop_is_kept_with_what_was_made_of_it(pictured, tmp_path, name):
    inject, reason, known = STOPS[name]
    pictured.at_step = {3: inject}
    result, recorder, stored = record(pictured, tmp_path)
    assert result.stop.reason is reason
    steps = 4 + (pictured.settings.limits.uncertain_held if reason is StopReason.UNCERTAIN else 0)
    assert (result.steps, stored.frames, recorder.dropped) == (steps, steps + 1, 0)
    np.testing.assert_array_equal(stored.read(STOPPED), [*np.zeros(steps), 1])
    np.testing.assert_array_equal(stored.read("step"), range(steps + 1))
    tick, frame = result.broken_off
    np.testing.assert_array_equal(stored.frame(steps).rgb, frame.rgb)
    assert stored.read("timestamp")[-1] == frame.timestamp
    for column in ("tcp", "joints", *known):
        assert np.isfinite(stored.read(column)[-1]).all(), column
    np.testing.assert_array_equal(stored.read("estimate")[-1], tick.estimate)
    np.testing.assert_array_equal(stored.read("sent")[-1], np.zeros(3))
    assert np.isnan(stored.read("command")[-1]).all()
    assert result.without_ticks().broken_off is None


def test_what_a_faulty_arm_took_is_not_known(pictured, tmp_path):
    pictured.at_step = {3: lambda world: setattr(world.arm, "fault", DeviceError("C31"))}
    result, _, stored = record(pictured, tmp_path)
    assert result.stop.reason is StopReason.ARM
    assert np.isfinite(stored.read("command")[4]).all()
    assert np.isnan(stored.read("sent")[4]).all()


def test_a_goal_stopped_at_its_first_frame_is_told_and_recorded(pictured, tmp_path):
    pictured.estimator.sigma = np.full(3, 0.2)
    _, recorder, stored = record(pictured, tmp_path)
    held = pictured.settings.limits.uncertain_held
    assert stored.frames == held + 1
    story = [json.loads(line)["event"] for line in recorder.log.path.read_text().splitlines()]
    unsure = ["uncertain estimate (sigma 200 mm), held still"] * held
    assert story == ["begun", "goal begun", *unsure, "stopped", "ended"]


def test_without_a_frame_there_is_none_to_keep(pictured, tmp_path):
    pictured.at_step = {3: lambda world: setattr(world.camera, "fault", DeviceError("unplugged"))}
    result, _, stored = record(pictured, tmp_path)
    assert result.broken_off is None
    assert stored.frames == 4


def test_a_stop_after_a_whole_tick_repeats_no_frame(pictured, tmp_path):
    pictured.at_step = {3: lambda world: world.interrupted.set()}
    result, _, stored = record(pictured, tmp_path)
    assert result.stop.reason is StopReason.OPERATOR
    assert result.broken_off is None
    assert stored.frames == 4


class Doubtful:
    """Reads the position off a picture, and is unsure far from home, as it was when it was recorded."""

    def bound(self, t_base_camera, intrinsics, table_z_m):
        return self

    def estimate(self, frame):
        xyz = frame.depth[0, :3].astype(float) - 1
        return PositionEstimate(xyz, np.full(3, 0.2 if xyz[1] > 0.05 else 0.002))


def test_playing_the_recording_comes_to_the_same_stop(pictured, knowing_setup, tmp_path):
    pictured.estimator = Doubtful()
    result, recorder, stored = record(pictured, tmp_path)
    assert result.stop.reason is StopReason.UNCERTAIN
    setup = replace(knowing_setup, estimator=Doubtful())
    names = DeviceNames.of(str(recorder.path), None, shadow=True)
    (again,) = run(setup, names, [GOAL], TwinParams(), RunOptions(quiet=True))
    assert str(again.stop) == str(result.stop)
    assert again.steps == stored.frames - 1


def test_a_stop_at_the_first_frame_is_played_again(pictured, knowing_setup, tmp_path):
    pictured.estimator.sigma = np.full(3, 0.2)
    _, recorder, _ = record(pictured, tmp_path)
    names = DeviceNames.of(str(recorder.path), None, shadow=True)
    setup = replace(knowing_setup, estimator=pictured.estimator)
    (again,) = run(setup, names, [GOAL], TwinParams(), RunOptions(quiet=True))
    assert again.stop.reason is StopReason.UNCERTAIN


def test_the_frame_of_a_stop_is_not_learnt_from(pictured, tmp_path):
    pictured.at_step = {3: STOPS["disagrees"][0]}
    _, _, stored = record(pictured, tmp_path / "runs")
    assert cut_recordings([stored], str(tmp_path), "train", pictured.rig) == stored.frames - 1 == 4


def test_frames_whose_estimate_was_doubted_are_not_learnt_from(pictured, tmp_path):
    """Something stood before the gripper, or the camera was just knocked, so that the label is wrong."""
    pictured.at_step = {3: STOPS["unsure"][0]}
    _, _, stored = record(pictured, tmp_path / "runs")
    held = pictured.settings.limits.uncertain_held
    assert held > 0
    assert cut_recordings([stored], str(tmp_path), "train", pictured.rig) == stored.frames - 1 - held == 4


def test_a_network_that_gives_no_number_is_not_the_camera_s_fault(pictured):
    """What the estimator does with a pixel that is none: the picture refuses the window about it."""

    def blind(frame):
        window = Window.around([np.nan, np.nan], 96, pictured.rig.camera)
        with np.errstate(invalid="ignore"):
            frame.cut(window, 84)

    pictured.estimator.estimate = blind
    stop = pictured.runtime().reach(GOAL).stop
    assert stop.reason is StopReason.NO_ESTIMATE
    assert "a network gave no number" in str(stop)


def test_operators_are_told_how_long_the_stop_took(pictured):
    pictured.at_step = {3: lambda world: setattr(world.arm, "fault", DeviceError("C31"))}
    result = pictured.runtime().reach(GOAL)
    assert stop_words(replace(result, stopped_in_s=0.043)) == "the arm confirmed its stop after 43 ms"
    pictured.arm.confirms = False
    assert "NOT confirmed" in stop_words(pictured.runtime().reach(GOAL))
