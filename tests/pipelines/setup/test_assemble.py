"""Whole runs on the twin with stand-ins for the trained models: recording, shadow, check, signals."""

import json
import os
import signal
import threading
import time
from collections import deque
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from control.arms.params import ArmParams
from control.arms.site import SiteParams
from control.arms.xarm.driver import XArm
from datasets.common.errors import DataError, DeviceError, SafetyStop
from datasets.rig.frame import Frame
from datasets.rig.rig import Box
from datasets.store.recording import Recording, RecordingWriter
from pace import paced
from perception.calibration.calibration import Calibration
from perception.calibration.registration.result import WARP_ORDERS
from perception.estimator.estimate import PositionEstimate
from pipelines.observers.recorder import COLUMNS, RunRecorder
from pipelines.rehearse.scores import contributions, outside_fence, scores, timings
from pipelines.run_real import exit_code
from pipelines.runtime.goals import run_goals
from pipelines.runtime.stops import StopReason
from pipelines.setup import devices
from pipelines.setup.assemble import RunOptions, _recorder, run  # the recorder of a run, without the run
from pipelines.setup.check import Verdict, check, require_all
from pipelines.setup.devices import DeviceNames, open_devices
from pipelines.setup.setup import make_fence
from pipelines.twin.controller.controller import ControllerTwin
from pipelines.twin.controller.firmware import STOPPED
from pipelines.twin.controller.protocol import Register
from pipelines.twin.controller.reports import rich_report
from pipelines.twin.faults import PlannedFault
from pipelines.twin.settings import TwinParams

pytestmark = pytest.mark.realtime

GOALS = [np.array([0.44, 0.05, 0.27]), np.array([0.37, -0.04, 0.25])]
TWIN = TwinParams(calibration_m=0.0, calibration_deg=0.0)


def short(setup, steps=12):
    return replace(setup, settings=setup.settings.with_horizon(steps))


def asked(setup):
    """What the twin's controller was asked or told."""
    return {Register(request.register).name for _, request in setup.estimator.twin.controller.log}


@pytest.mark.slow
def test_a_run_is_recorded_told_scored_and_can_be_learnt_from(knowing_setup, tmp_path, capsys, held_up):
    options = RunOptions(record=tmp_path / "runs", faults=(PlannedFault("c31", 2.6),), keep_ticks=True)
    held_up_before = held_up()
    results = run(short(knowing_setup), DeviceNames(), GOALS, TWIN, options)
    lost_s = held_up() - held_up_before
    told = capsys.readouterr().out
    (log,) = (tmp_path / "runs").glob("*/events.jsonl")
    events = [json.loads(line) for line in log.read_text().splitlines()]
    recording = Recording(str(log.parent), "frames")
    ticks = [tick for result in results for tick in result.ticks]
    assert results[0].stop is None
    assert results[1].stop.reason is StopReason.ARM
    assert len(ticks) == told.count(" step ")
    ticks += [result.broken_off[0] for result in results if result.broken_off]
    assert recording.frames == len(ticks)
    np.testing.assert_allclose(recording.read("estimate"), [tick.estimate for tick in ticks])
    np.testing.assert_allclose(recording.read("sent"), [tick.sent for tick in ticks])
    np.testing.assert_allclose(recording.read("timestamp"), [tick.frame_time_s for tick in ticks])
    tcp, joints = recording.read("tcp"), recording.read("joints")
    kinematics = knowing_setup.estimator.kinematics
    np.testing.assert_allclose(tcp, [kinematics.tcp(q) for q in joints], atol=2e-4)
    assert set(COLUMNS) <= set(recording.arrays)
    recording.require_rig(knowing_setup.rig)
    story = [event["event"] for event in events]
    first = [event for event in story if "held still" not in event][:3]  # a busy machine may miss a picture
    assert first == ["begun", "goal begun", "goal ended"]
    assert story.index("fault injected") < story.index("stopped") < story.index("ended")
    stopped = events[story.index("stopped")]
    assert stopped["reason"] == "arm fault"
    assert "C31" in stopped["detail"]
    assert stopped["monotonic_s"] - events[story.index("fault injected")]["monotonic_s"] < 0.25 + lost_s
    assert events[-1]["steps_not_recorded"] == 0

    found = scores(results)
    assert found["n"] == 2
    assert found["stopped"] == 1
    assert found["success_50mm"] <= 0.5
    assert outside_fence(results, knowing_setup.fence) == 0
    assert set(contributions(results)) == {"perception", "control", "arm"}
    assert timings(results)["frame_to_command"]["p50_ms"] > 0


def test_the_arm_is_stopped_before_the_disk_and_the_viewer_are_waited_for(knowing_setup, tmp_path, monkeypatch):
    happened, stop, close = [], XArm.stop, RunRecorder.__exit__
    monkeypatch.setattr(XArm, "stop", lambda arm: (happened.append("stopped"), stop(arm))[1])
    monkeypatch.setattr(RunRecorder, "__exit__", lambda *given: (happened.append("closed"), close(*given))[1])
    run(short(knowing_setup, 3), DeviceNames(), GOALS[:1], TWIN, RunOptions(record=tmp_path / "runs"))
    assert happened[:2] == ["stopped", "closed"]


def test_a_disk_that_fails_ends_the_recording_and_not_the_run(world, tmp_path, monkeypatch):
    recorder = RunRecorder(tmp_path / "runs", world.rig, world.arm, {})

    def fail(writer, frame, values):
        raise DataError("no space left on device")

    monkeypatch.setattr(RecordingWriter, "append", fail)
    world.horizon = 5
    with recorder:
        world.observers = (recorder,)
        result = world.runtime().reach(GOALS[0])
        recorder.finished(result)
    assert result.stop is None
    assert recorder.dropped == 5
    assert "no space left" in recorder.log.path.read_text()


def test_a_recording_tells_what_the_arm_did_since_it_began(world, tmp_path):
    world.arm.events = [(time.monotonic(), "connected")]
    for event in ("stopping: C31", "stop confirmed"):
        with RunRecorder(tmp_path / event, world.rig, world.arm, {}) as recorder:
            world.arm.events.append((time.monotonic(), event))
        told = [json.loads(line) for line in recorder.log.path.read_text().splitlines()]
        assert [each["detail"] for each in told if each["event"] == "arm"] == [event]


@pytest.mark.parametrize("confirms", [True, False])
def test_only_a_stop_that_was_confirmed_has_a_time(world, tmp_path, confirms):
    def break_down(world):
        world.arm.confirms, world.arm.fault = confirms, DeviceError("broken")

    world.at_step[2] = break_down
    with RunRecorder(tmp_path, world.rig, world.arm, {}) as recorder:
        result = world.runtime().reach(GOALS[0])
        recorder.finished(result)
    assert result.stop.reason is StopReason.ARM
    (told,) = (json.loads(line) for line in recorder.log.path.read_text().splitlines() if '"stopped"' in line)
    assert (told["stopped_in_ms"] is not None) is confirms
    assert (result.stopped_in_s is not None) is confirms


@pytest.mark.parametrize("table_z_m", [None, 0.0, -0.012])
def test_a_run_is_played_back_with_the_camera_and_the_table_it_was_told_of(world, knowing_setup, tmp_path, table_z_m):
    told = Calibration.of_rig(world.rig)
    if table_z_m is not None:
        pose = np.array(world.rig.t_base_camera)
        pose[:3, 3] += 0.004
        told = Calibration(tuple(map(tuple, pose.tolist())), 20, 1.0, "today", table_z_m)
        told = replace(told, depth_scale=1.01, depth_warp_m=tuple(np.linspace(0, 0.003, len(WARP_ORDERS)).tolist()))
    shape = (world.rig.camera.height, world.rig.camera.width)
    world.horizon = 1
    opened = SimpleNamespace(arm=world.arm, camera=world.camera)
    with _recorder(tmp_path, replace(knowing_setup, calibration=told), DeviceNames(), GOALS, opened) as recorder:
        world.camera.frozen = Frame(np.zeros((*shape, 3), np.uint8), np.ones(shape, np.float32), time.monotonic())
        world.observers = (recorder,)
        world.runtime().reach(GOALS[0])
    for path in (recorder.path, recorder.path / "frames"):
        found = DeviceNames.of(str(path), None, shadow=True).known_calibration(world.rig)
        np.testing.assert_allclose(found.pose, told.pose)
        assert found.table_z_m == (table_z_m or 0.0)
        assert found.depth == told.depth
        assert (found == told) is (table_z_m is None)
    assert DeviceNames().known_calibration(world.rig) == Calibration.of_rig(world.rig)


class Pictured:
    """Reads the TCP off pictures whose first depths are its coordinates and a metre each."""

    def bound(self, t_base_camera, intrinsics, table_z_m):
        return self

    def estimate(self, frame):
        return PositionEstimate(frame.depth[0, :3].astype(float) - 1, np.full(3, 0.002))


@pytest.mark.slow
@pytest.mark.parametrize(("steps", "held"), [(10, None), (10, 3), (6, None)])
def test_each_goal_of_a_recorded_run_is_replayed_with_its_own_frames(
    world, knowing_setup, tmp_path, monkeypatch, steps, held
):
    goals, size = [np.array([0.50, 0.12, 0.30]), np.array([0.32, -0.12, 0.34])], (world.rig.camera.height, 640)
    last = []

    def picture(max_age_s):
        if not (held is not None and last and world.ticks and world.ticks[-1].step == held):
            depth = np.ones(size, np.float32)
            depth[0, :3] += world.arm.position
            last[:] = [Frame(np.zeros((*size, 3), np.uint8), depth, time.monotonic())]
        return last[0]

    monkeypatch.setattr(world.camera, "read_latest", picture)
    world.horizon, world.rate_hz = 10, 20.0
    with RunRecorder(tmp_path, world.rig, world.arm, {}) as recorder:
        world.observers += (recorder,)
        runtime = world.runtime()
        runtime._goal_index = 4  # as of a rotated recording, whose earlier goals are gone
        recorded = run_goals(world.arm, runtime, goals)
    assert [result.stop for result in recorded] == [None, None]
    assert sum(tick.held for tick in world.ticks) == (0 if held is None else 2)
    setup = replace(short(knowing_setup, steps), estimator=Pictured())
    names = DeviceNames.of(str(recorder.path), None, shadow=True)
    replayed = run(setup, names, goals, TWIN, RunOptions(quiet=True, keep_ticks=True))
    assert exit_code(replayed) == 0
    assert len(replayed) == 2
    for index, result in enumerate(replayed):
        seen = [tick.estimate for tick in world.ticks if tick.goal_index == 5 + index and not tick.held]
        shown = [tick.estimate for tick in result.ticks]
        assert len(shown) == min(steps, len(seen))
        np.testing.assert_allclose(shown, seen[: len(shown)], atol=2e-4)


def test_what_the_arm_does_is_in_the_log_before_the_run_ends(world, tmp_path):
    def told():
        lines = [json.loads(line) for line in recorder.log.path.read_text().splitlines()]
        return [line["detail"] for line in lines if line["event"] == "arm"]

    world.arm.events = deque(maxlen=2)
    world.horizon = 1
    with RunRecorder(tmp_path, world.rig, world.arm, {}) as recorder:
        world.observers = (recorder,)
        runtime = world.runtime()
        for event in ("a warning", "a fault", "a fault"):
            world.arm.events.append((time.monotonic(), event))
            runtime.reach(GOALS[0])
        assert told() == ["a warning", "a fault", "a fault"]
    assert told() == ["a warning", "a fault", "a fault"]


def test_a_folder_that_cannot_be_written_is_refused(world, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="Not a directory"):
        RunRecorder(tmp_path / "file" / "runs", world.rig, world.arm, {})


@pytest.mark.slow
def test_shadow_sends_the_controller_nothing_that_moves_or_sets(knowing_setup, capsys):
    options = RunOptions(faults=(PlannedFault("dropped_frames", 0.0),), keep_ticks=True)
    results = run(short(knowing_setup), DeviceNames(shadow=True), GOALS[:1], TWIN, options)
    assert results[0].stop is None
    assert any(tick.held for tick in results[0].ticks)
    assert np.linalg.norm(results[0].final_tcp - [0.4, 0.0, 0.228]) < 1e-3
    told = capsys.readouterr().out
    assert "would send" in told
    assert all(name.startswith("GET_") for name in asked(knowing_setup)), asked(knowing_setup)


@pytest.mark.slow
def test_check_looks_at_everything_and_moves_nothing(knowing_setup, undisturbed):
    def look(twin, bad):
        """The verdicts, the estimates' 50 ms among them."""
        verdicts = list(check(knowing_setup, DeviceNames(), twin))
        assert [verdict.item for verdict in verdicts if not verdict.good] == bad, [str(each) for each in verdicts]
        return verdicts

    estimator = type(knowing_setup.estimator)
    verdicts = undisturbed(lambda: look(TWIN, []), estimator, "estimate", 0.0)
    assert len(verdicts) >= 13
    assert all(name.startswith("GET_") for name in asked(knowing_setup)), asked(knowing_setup)
    assert ["not in simulation mode" in verdict.found for verdict in verdicts if verdict.item == "controller"] == [True]
    require_all(verdicts)
    before = [verdict.item for verdict in verdicts]
    elsewhere = replace(TWIN, camera_offset_m=(0.0, 0.03, 0.0))
    verdicts = undisturbed(lambda: look(elsewhere, ["their average (calibration)"]), estimator, "estimate", 0.0)
    assert [verdict.item for verdict in verdicts] == before
    with pytest.raises(SafetyStop, match="their average"):
        require_all(verdicts)


@pytest.mark.slow
def test_check_shows_a_warning_and_fails_a_controller_that_only_simulates(knowing_setup, monkeypatch):
    def controller(snapshot):
        report = bytearray(rich_report(snapshot))
        report[314] = simulated
        return bytes(report)

    simulated = False
    monkeypatch.setattr("pipelines.twin.controller.controller.rich_report", controller)
    with ControllerTwin(knowing_setup.rig) as twin:
        names = DeviceNames("realsense", twin.host)
        twin.firmware.warn(14)
        monkeypatch.setattr(devices, "make_camera", lambda names, setup: nullcontext())
        # What is asked of the camera, which is not there.
        monkeypatch.setattr("pipelines.setup.check._frames", lambda devices, setup: iter(()))
        monkeypatch.setattr("pipelines.setup.check._intrinsics", lambda devices, setup: "")
        monkeypatch.setattr("pipelines.setup.check._envelope", lambda devices, setup: Verdict("envelope", True, ""))
        told = {False: "no error, warning W14: a command has no solution", True: "the controller is in simulation mode"}
        for simulated in (False, True):
            (verdict,) = (each for each in check(knowing_setup, names, TWIN) if each.item == "controller")
            assert verdict.good is not simulated
            assert told[simulated] in verdict.found


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_the_arm(knowing_setup, number, request):
    seen, states = [], []
    # Under nohup SIGHUP is ignored, and the runtime on a twin keeps to that.
    request.addfinalizer(partial(signal.signal, number, signal.signal(number, signal.default_int_handler)))

    def interrupt(tick, frame):
        seen.append(tick)
        if tick.step == 5:
            os.kill(os.getpid(), number)

    def look(result):
        states.append(knowing_setup.estimator.twin.controller.firmware.snapshot().state)

    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    results = run(short(knowing_setup, 40), DeviceNames(), GOALS, TWIN, RunOptions(quiet=True), (interrupt,), look)
    assert len(results) == 1
    assert results[0].stop.reason is StopReason.OPERATOR
    assert len(seen) <= 7
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    assert states == [STOPPED]  # before disconnecting, which stops it too


@pytest.mark.slow
def test_arm_and_controller_keep_to_the_box_of_this_site(knowing_setup):
    box = Box((0.30, 0.45), (-0.10, 0.03), (0.15, 0.40))
    setup = replace(short(knowing_setup), site=SiteParams(keep_within=box))
    setup = replace(setup, fence=make_fence(setup.site_rig, setup.arm))
    with open_devices(DeviceNames(), setup, TWIN) as opened:
        told = opened.twin.controller.firmware.settings.fence_mm
        opened.arm.home()
        for _ in paced(range(6)):
            opened.arm.move(np.array([0.025, 0.025, 0.0]))
        np.testing.assert_allclose(opened.arm.target[:2], [0.45, 0.03])
    assert told == (470, 280, 50, -120, 420, 130)


@pytest.mark.slow
def test_nothing_of_ours_is_left_running(knowing_setup):
    before = {thread.name for thread in threading.enumerate()}
    run(short(knowing_setup, 2), DeviceNames(), GOALS[:1], TWIN, RunOptions(quiet=True))
    left = {thread.name for thread in threading.enumerate()} - before
    assert not {name for name in left if "_thread_handle" not in name}  # the vendor's daemon threads end by themselves


@pytest.mark.slow
def test_a_slower_limit_is_kept(knowing_setup):
    arm = ArmParams.load()
    setup = replace(short(knowing_setup), max_speed_m_s=0.05)
    assert arm.slow_speed_m_s > 0.05
    results = run(setup, DeviceNames(), GOALS[:1], TWIN, RunOptions(quiet=True, keep_ticks=True))
    longest = max(float(np.linalg.norm(tick.sent)) for tick in results[0].ticks)
    assert longest <= 0.05 / setup.rig.rate_hz + 1e-9
