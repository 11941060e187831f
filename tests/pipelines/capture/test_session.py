"""Captures are taken of an arm at rest, kept as they come, and gone on with; bad input opens nothing."""

import contextlib
import os
import signal
import time
from dataclasses import replace

import numpy as np
import pytest

from control.arms.xarm.driver import XArm
from datasets.common.errors import ConfigError, DeviceError, SafetyStop
from datasets.rig.frame import Frame
from perception.calibration.captures import Captures, Setting, sessions
from pipelines.capture import __main__ as command
from pipelines.capture import session
from pipelines.capture.session import CaptureFolder, Tour, describe_camera, look_at_rest
from pipelines.runtime.stops import Stop, StopReason
from pipelines.twin.hidden.truth import Truth

PLAN = np.linspace(0, 1, 28).reshape(4, 7)


class Arm:
    """Turns for a while, ``speed_rad_s`` after ``begins_s``, then stands."""

    def __init__(self, turns_s: float, speed_rad_s: float = 0.2):
        self.ends, self.speed = time.monotonic() + turns_s, speed_rad_s

    def joints_at(self, time_s):
        assert time_s <= time.monotonic(), "no report tells the future"
        return np.full(7, 0.3 - self.speed * max(self.ends - time_s, 0.0))

    def tcp_at(self, time_s):
        return self.joints_at(time_s)[:3]


class Camera:
    """A frame every 20 ms, taken 100 ms ago; fails ``faults`` times first."""

    def __init__(self, faults=0):
        self.faults = faults

    def read(self):
        if self.faults:
            self.faults -= 1
            raise DeviceError("no frame")
        time.sleep(0.02)  # frames come at a rate
        return Frame(np.zeros((480, 640, 3), np.uint8), np.ones((480, 640), np.float32), time.monotonic() - 0.1)


def keep_all(folder, rig, postures, frames=2):
    with folder.writer(rig, Setting(camera="test")) as keep:
        for posture in postures:
            for _ in range(frames):
                keep(Camera().read(), posture, PLAN[posture], np.zeros(3))


class Turner:
    """Goes from 0 through 0.1, 0.2, ... and home; refuses turns of more than ``most``, and lines where told so."""

    def __init__(self, most=9.0, has_line=True, stopped=None):
        self.joints, self.most, self.has_line, self.stopped, self.been = np.full(7, 0.35), most, has_line, stopped, []

    @property
    def tcp(self):
        return self.joints[:3]

    def tcp_after(self, joints):
        return np.asarray(joints)[:3]

    def why_stopped(self):
        return self.stopped

    def home(self):
        if not self.has_line:
            raise SafetyStop("near a singularity")
        self.joints = np.zeros(7)

    def take_posture(self, joints):
        if np.abs(joints - self.joints).max() > self.most:
            raise SafetyStop("too near")
        self.joints = np.array(joints)
        self.been.append(round(float(joints[0]), 1))


TOUR = np.linspace(0.1, 0.4, 4)[:, None] * np.ones(7)


@pytest.mark.parametrize(("most", "been"), [(9.0, [0.3, 0.4, 0.0]), (0.15, [0.1, 0.2, 0.3, 0.4])])
def test_what_is_left_is_reached_at_once_or_by_way_of_the_others(most, been):
    arm = Turner(most)
    tour = Tour(arm, np.zeros(7), TOUR, lambda step_m: None)
    tour.begin()
    tour.go(2)
    tour.go(3)
    if most < 1:
        with pytest.raises(SafetyStop, match="too near"):
            tour.end()
    else:
        tour.end()
    assert arm.been == been


def test_an_arm_whose_line_home_is_not_clear_turns_home_when_that_is_allowed_too():
    arm, asked = Turner(has_line=False), []
    Tour(arm, np.zeros(7), TOUR, asked.append).begin()
    assert arm.been == [0.0]
    assert len(asked) == 2


@pytest.mark.parametrize("stage", ["begin", "go"])
def test_an_arm_that_was_stopped_is_not_sent_another_way(stage):
    arm = Turner(most=0.0, has_line=False, stopped="stopped")
    tour = Tour(arm, np.zeros(7), TOUR, lambda step_m: None)
    with pytest.raises(SafetyStop):
        tour.begin() if stage == "begin" else tour.go(2)
    assert arm.been == []


def test_a_motion_that_the_operator_refuses_is_asked_once():
    arm, asked = Turner(), []

    def refuse(step_m):
        asked.append(step_m)
        raise Stop(StopReason.OPERATOR, "refused at --step")

    with pytest.raises(Stop):
        Tour(arm, np.zeros(7), TOUR, refuse).go(3)
    assert len(asked) == 1
    assert arm.been == []


def test_frames_are_of_the_time_after_the_arm_came_to_rest():
    arm = Arm(turns_s=0.3)
    taken = look_at_rest(Camera(), arm, 3)
    assert len(taken) == 3
    for frame, joints, tcp in taken:
        assert frame.timestamp >= arm.ends
        np.testing.assert_array_equal(joints, np.full(7, 0.3))
        np.testing.assert_array_equal(tcp, np.full(3, 0.3))


def test_an_arm_that_never_rests_is_told(monkeypatch):
    monkeypatch.setattr(session, "PATIENCE_S", 0.1)
    with pytest.raises(DeviceError, match="does not come to rest"):
        look_at_rest(Camera(), Arm(turns_s=60), 1)


def test_an_arm_that_moves_while_it_is_photographed_is_told():
    class Pushed(Arm):
        def joints_at(self, time_s):
            return np.full(7, 0.1 if time_s > self.ends else 0.0)

    with pytest.raises(DeviceError, match="moved while it was photographed"):
        look_at_rest(Camera(), Pushed(turns_s=0.2), 50)


def test_a_camera_may_take_a_moment_to_come_back():
    assert len(look_at_rest(Camera(faults=3), Arm(turns_s=0.0), 1)) == 1


def test_what_is_left_is_gone_on_with(rig, tmp_path):
    first = CaptureFolder(tmp_path, PLAN, 2)
    assert first.left == (0, 1, 2, 3)
    keep_all(first, rig, [0, 1])
    second = CaptureFolder(tmp_path, PLAN, 2)
    assert second.left == (2, 3)
    assert Captures.load(tmp_path).missing == 2
    keep_all(second, rig, second.left)
    found = Captures.load(tmp_path)
    assert CaptureFolder(tmp_path, PLAN, 2).left == ()
    assert found.missing == 0
    assert sessions(tmp_path) == ["frames", "frames1"]
    np.testing.assert_array_equal(found.joints, PLAN[[0, 0, 1, 1, 2, 2, 3, 3]])


def test_a_posture_with_too_few_frames_is_taken_again(rig, tmp_path):
    keep_all(CaptureFolder(tmp_path, PLAN, 2), rig, [0], frames=1)
    assert CaptureFolder(tmp_path, PLAN, 2).left == (0, 1, 2, 3)


def test_what_was_taken_is_kept_when_a_fault_ends_it(rig, tmp_path):
    with contextlib.suppress(DeviceError), CaptureFolder(tmp_path, PLAN, 1).writer(rig, Setting()) as keep:
        keep(Camera().read(), 0, PLAN[0], np.zeros(3))
        raise DeviceError("unplugged")
    assert len(Captures.load(tmp_path)) == 1


def test_the_camera_s_true_place_is_not_written(rig, tmp_path):
    keep_all(CaptureFolder(tmp_path, PLAN, 1), rig, [0], frames=1)
    stored = session.Recording(str(tmp_path), "frames").read("T_base_camera")
    assert np.isnan(stored).all()


def test_captures_of_another_plan_are_refused(rig, tmp_path):
    keep_all(CaptureFolder(tmp_path, PLAN, 2), rig, [0])
    for other in (PLAN + 0.1, PLAN[:3]):
        with pytest.raises(ConfigError, match="another plan"):
            CaptureFolder(tmp_path, other, 2)


def test_a_camera_is_described_without_its_serial_number():
    assert describe_camera("D435, serial number 123456, firmware 5.16, USB 3.2") == "D435, firmware 5.16, USB 3.2"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--postures", "4"], "at least 5 are needed"),
        (["--frames", "0"], "--frames 0"),
        (["--camera", "realsense"], "without --arm"),
        (["--arm", "192.168.1.9"], "twin's camera"),
        (["--truth", "t.json"], "--hidden SEED"),
        (["--joint-offsets"], "--hidden SEED"),
        (["--hidden", "1", "--arm", "192.168.1.9", "--camera", "realsense"], "no seed"),
        (["--hidden", "-1"], "whole number"),
        (["--hidden", "1", "--truth", "OUT/t.json"], "where the tools look"),
        (["--rig", "none.yaml"], "no such parameter file"),
    ],
)
def test_bad_input_is_refused_before_anything_is_opened(tmp_path, capsys, monkeypatch, arguments, words):
    monkeypatch.setattr(command, "open_devices", lambda *_, **__: pytest.fail("opened"))
    arguments = [argument.replace("OUT", str(tmp_path / "new")) for argument in arguments]
    with pytest.raises(SystemExit) as exit_:
        command.main(["--out", str(tmp_path / "new"), *arguments])
    assert exit_.value.code == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_a_plan_is_drawn_and_moves_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command, "open_devices", lambda *_, **__: pytest.fail("opened"))
    command.main(["--out", str(tmp_path / "new"), "--postures", "5", "--plan"])
    assert "0 of 5 postures taken" in capsys.readouterr().out
    assert (tmp_path / "new.png").is_file()
    assert not (tmp_path / "new").exists()


def test_a_real_arm_is_not_moved_without_a_yes(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command, "open_devices", lambda *_, **__: pytest.fail("opened"))
    monkeypatch.setattr("builtins.input", lambda _: "no")
    with pytest.raises(SystemExit) as exit_:
        command.main(["--out", str(tmp_path), "--postures", "5", "--arm", "192.168.1.9", "--camera", "realsense"])
    assert exit_.value.code == 2
    assert "did not agree" in capsys.readouterr().err


def test_postures_that_no_camera_can_be_calibrated_from_are_not_taken(tmp_path, rig, capsys, monkeypatch):
    near = np.array(rig.home_joints_rad) + 0.03 * np.random.default_rng(0).normal(size=(20, 7))
    monkeypatch.setattr(command, "choose_postures", lambda *_: near)
    with pytest.raises(SystemExit) as exit_:
        command.main(["--out", str(tmp_path / "new"), "--plan"])
    assert exit_.value.code == 2
    assert "175 mm; widen keep_within" in capsys.readouterr().err


@pytest.mark.parametrize("what", ["camera", "size", "tool"])
def test_another_camera_or_tool_does_not_go_on_with_a_folder(rig, tmp_path, what):
    keep_all(CaptureFolder(tmp_path, PLAN, 2), rig, [0])
    begun = Captures.load(tmp_path)
    camera = {"camera": replace(rig.camera, fx=600.0), "size": replace(rig.camera, width=848)}.get(what, rig.camera)
    setting = Setting(camera="test", tool="flange" if what == "tool" else "none")
    folder = CaptureFolder(tmp_path, PLAN, 2)
    with pytest.raises(ConfigError, match="capture anew"), folder.writer(replace(rig, camera=camera), setting):
        pytest.fail("begun")
    assert len(Captures.load(tmp_path)) == len(begun)


def test_a_picture_that_cannot_be_drawn_does_not_hide_a_stop(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command, "_draw", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    monkeypatch.setattr(command, "open_devices", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(SystemExit) as exit_:
        command.main(["--out", str(tmp_path / "new"), "--postures", "5"])
    assert exit_.value.code == 130
    assert "no picture of the postures: disk full" in capsys.readouterr().err


def test_an_arm_that_is_only_listened_to_takes_no_postures(rig, tmp_path):
    devices = command.Devices(Camera(), Arm(0), None)
    with pytest.raises(ConfigError, match="turns its joints"):
        command.capture(devices, rig, PLAN, CaptureFolder(tmp_path, PLAN, 1), 1, command.Interruption())


@pytest.mark.slow
@pytest.mark.realtime
def test_the_hidden_twin_is_captured_stopped_and_gone_on_with(patient_folder, monkeypatch, capsys):
    """Over the real SDK and librealsense: a stop in the middle keeps what there is, the next start takes the rest."""
    monkeypatch.chdir(patient_folder)
    line = ["--out", "found", "--postures", "5", "--frames", "1", "--hidden", "3", "--truth", "truth.json"]
    take, turns = XArm.take_posture, []

    def take_and_press_ctrl_c(arm, joints):
        take(arm, joints)
        turns.append(joints)
        if len(turns) == 2:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(XArm, "take_posture", take_and_press_ctrl_c)
    with pytest.raises(SystemExit) as exit_:
        command.main(line)
    assert exit_.value.code == 130
    assert len(turns) == 2
    monkeypatch.setattr(XArm, "take_posture", take)
    there = Captures.load("found")
    assert 1 <= len(there) < 5
    assert there.missing == 5 - len(there)
    command.main(line)
    found = Captures.load("found")
    assert sorted(found.postures) == [0, 1, 2, 3, 4]
    assert "all 5 postures" in capsys.readouterr().out
    truth = Truth.load("truth.json")
    assert found.intrinsics.fx == pytest.approx(truth.told_camera.fx, abs=1e-3)
    command.main(line)  # nothing is left: no device is opened, nothing changes
    assert len(sessions(patient_folder / "found")) == 2
