"""The command line as a user meets it: bad input is one line and exit code 2, before anything is opened."""

import contextlib
import importlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from control.arms.params import ArmParams
from control.arms.site import SITE_EXAMPLE_PATH, SiteParams
from control.task.goal_check import check_goals
from datasets.common.errors import ConfigError, DeviceError, SafetyStop
from datasets.rig.rig import Box
from pipelines import run_real
from pipelines.calibrate.__main__ import main as calibrate_main
from pipelines.capture.__main__ import main as capture_main
from pipelines.run_real import (
    agrees_to_take_over,
    arm_log,
    ask_operator,
    choose_goals,
    exit_code,
    names_of_moved_arm,
    parser,
    unconfirmed_stops_told_last,
)
from pipelines.runtime.stops import Stop, StopReason
from pipelines.runtime.tick import GoalResult
from pipelines.setup.devices import DeviceNames
from pipelines.setup.settings import RuntimeParams
from pipelines.setup.setup import Setup, make_fence, require_ways

GOOD = ("--goal", "0.45", "0.1", "0.3")
ROOT = Path(__file__).parents[2]
has_models = pytest.mark.skipif(
    not (ROOT / "models/estimator/estimator.json").is_file(), reason="no trained models yet"
)


def as_a_process(*arguments, cwd=ROOT):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    line = [sys.executable, "-m", "pipelines.run_real", *arguments]
    return subprocess.run(line, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)


def command(*arguments, module="pipelines.run_real", cwd=ROOT):
    """The same without the second that importing takes."""
    out, error = io.StringIO(), io.StringIO()
    with contextlib.chdir(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        try:
            importlib.import_module(module).main(arguments)
            code = 0
        except SystemExit as ended:
            code = ended.code or 0
    return SimpleNamespace(returncode=code, stdout=out.getvalue(), stderr=error.getvalue())


def assert_refused(done, *words):
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert ": error: " in lines[0]
    for word in words:
        assert word in lines[0]


@pytest.fixture
def folder(tmp_path, site_file):
    """A folder like the repository's, whose parameter files may be spoilt."""
    shutil.copytree(ROOT / "params", tmp_path / "params")
    shutil.copy(ROOT / SITE_EXAMPLE_PATH, tmp_path / site_file)
    if (ROOT / "models").is_dir():
        shutil.copytree(ROOT / "models", tmp_path / "models")
    return tmp_path


def spoil(folder, name, old, new):
    path = folder / "params" / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize("start", [as_a_process, command])
def test_goal_outside_the_workspace(folder, start):
    assert_refused(start("--goal", "0.9", "0", "0.3", cwd=folder), "[0.9, 0.0, 0.3]", "workspace", "0.25")


def test_goal_that_is_no_number():
    assert_refused(command("--goal", "0.4", "zero", "0.3"), "--goal")


def test_missing_model(folder):
    shutil.rmtree(folder / "models", ignore_errors=True)
    assert_refused(command(*GOOD, cwd=folder), "models/estimator", "no such model file")


@has_models
def test_missing_policy(folder):
    assert_refused(command(*GOOD, "--policy", "nowhere", cwd=folder), "nowhere", "no such policy file")


@has_models
def test_model_for_another_rig(folder):
    spoil(folder, "rig.yaml", "fovea_width_m: 0.1728", "fovea_width_m: 0.15")
    assert_refused(command(*GOOD, cwd=folder), "another rig", "fovea_width_m")


@has_models
def test_model_for_other_channels(folder):
    path = folder / "models/estimator/estimator.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "channels": ["rgb"]}))
    assert_refused(command(*GOOD, cwd=folder), "channels", "['rgb']")


@has_models
def test_unreachable_arm_address():
    done = command("--arm", "127.0.0.251", "--camera", "realsense", *GOOD, "--yes")
    assert_refused(done, "no xArm controller answers at 127.0.0.251")


@has_models
def test_no_camera():
    assert_refused(command("--shadow", "--camera", "realsense", *GOOD), "no RealSense camera is connected")


@has_models
def test_no_recording():
    assert_refused(command("--shadow", "--camera", "nowhere/run", *GOOD), "nowhere/run")


@pytest.mark.parametrize(
    ("file", "old", "new", "key"),
    [
        ("rig.yaml", "rate_hz:", "rate_hertz:", "rate_h"),
        ("runtime.yaml", "max_jump_m:", "max_jumps_m:", "max_jump"),
        ("runtime.yaml", "horizon_steps: 50", "horizon_steps: many", "horizon_steps"),
        ("twin.yaml", "latency_s:", "latency:", "latency"),
        ("twin.yaml", "camera_offset_m: [0.0, 0.0, 0.0]", "camera_offset_m: [20.0, 0.0, 0.0]", "camera_offset_m"),
        ("rig.yaml", "x_m: [0.25, 0.60]", "x_m: [0.60, 0.25]", "workspace.x_m"),
        ("arm.yaml", "mode: online_line", "mode: joint", "mode"),
        (
            "site.yaml",
            "keep_within: null",
            "keep_within: {x_m: [0.3, 0.2], y_m: [0, 1], z_m: [0, 1]}",
            "keep_within.x_m",
        ),
        (
            "site.yaml",
            "keep_out: {}",
            "keep_out: {post: {x_m: [0, 1], y_m: [300, 400], z_m: [0, 1]}}",
            "keep_out.post.y",
        ),
    ],
)
def test_a_wrong_key_or_value_names_itself(folder, file, old, new, key):
    spoil(folder, file, old, new)
    assert_refused(command(*GOOD, cwd=folder), f"params/{file}" if file != "rig.yaml" else "", key)


NARROWER = "{x_m: [0.30, 0.50], y_m: [-0.20, 0.08], z_m: [0.12, 0.45]}"


def test_a_goal_outside_the_box_of_this_site_is_refused(folder):
    spoil(folder, "site.yaml", "keep_within: null", f"keep_within: {NARROWER}")
    assert_refused(command(*GOOD, cwd=folder), "[0.45, 0.1, 0.3]", "[-0.2, 0.08]")


def test_a_box_beyond_what_the_models_know_is_refused(folder):
    spoil(folder, "site.yaml", "keep_within: null", f"keep_within: {NARROWER.replace('0.12', '0.02')}")
    assert_refused(command(*GOOD, cwd=folder), "keep_within", "[0.02, 0.45]", "trained for")


def test_a_box_in_its_old_place_is_refused_with_its_new_one(folder):
    spoil(folder, "runtime.yaml", "horizon_steps:", f"keep_within: {NARROWER}\nhorizon_steps:")
    assert_refused(command(*GOOD, cwd=folder), "params/runtime.yaml", "keep_within has moved", "params/site.yaml")


def test_a_site_of_the_command_line_replaces_the_default(folder, tmp_path):
    spoil(folder, "site.yaml", "keep_within: null", f"keep_within: {NARROWER}")
    (tmp_path / "other.yaml").write_text(f"keep_within: {NARROWER.replace('0.08', '0.09')}")
    assert_refused(command(*GOOD, "--site", "other.yaml", cwd=folder), "[0.45, 0.1, 0.3]", "[-0.2, 0.09]")
    assert_refused(command(*GOOD, "--site", "nowhere.yaml", cwd=folder), "nowhere.yaml: no such parameter file")


CUPBOARD = "{cupboard: {x_m: [0.2, 0.6], y_m: [-0.3, 0.3], z_m: [0.0, 0.5]}}"


@has_models
def test_what_stands_in_the_way_of_home_is_refused_and_listed_by_the_check(folder, monkeypatch):
    spoil(folder, "site.yaml", "keep_out: {}", f"keep_out: {CUPBOARD}")
    assert_refused(command(*GOOD, cwd=folder), "at home", "reaches into cupboard", "20 mm are asked")
    monkeypatch.setattr("pipelines.setup.check.open_devices", no_devices)
    done = command("--check", cwd=folder)
    assert done.returncode == 2
    told = {line[6:40].strip(): line[:4].strip() for line in done.stdout.splitlines()}
    assert told["clearance of the arm at home"] == told["camera and arm"] == "FAIL"
    assert told["fence"] == told["estimator and policy"] == told["camera calibration"] == "ok"
    assert "cupboard" in done.stdout
    with Image.open(folder / "runs/site.png") as picture:
        assert picture.width > 1000
    assert "clearance of the arm at home" in done.stderr


def no_devices(names, setup, twin):
    raise DeviceError("not in a test")


WALL = SiteParams(keep_out={"wall": Box((0.1, 0.9), (0.34, 0.36), (0.0, 1.2))})


def farthest_to_the_wall(setup):
    """The last of some goals nearer and nearer to the wall that is not refused."""
    for y in np.arange(0.15, 0.3, 0.002):
        try:
            require_ways(setup, [np.array([0.4, y, 0.228])])
        except SafetyStop as refusal:
            return y, str(refusal)
    raise AssertionError("the wall stops nobody")


@has_models
def test_goals_are_asked_for_the_margin_of_the_file_and_of_the_mode_of_driving(rig, folder, monkeypatch):
    monkeypatch.chdir(folder)
    setup = Setup.load(rig, RuntimeParams.load(), site=WALL)
    shipped, why = farthest_to_the_wall(setup)
    assert "wall, 20 mm are asked" in why
    in_velocity, why = farthest_to_the_wall(replace(setup, arm=replace(setup.arm, mode="velocity")))
    assert "wall, 25 mm are asked" in why
    spoil(folder, "clearance.yaml", "margin_m: 0.02 ", "margin_m: 0.029 ")
    wider, why = farthest_to_the_wall(Setup.load(rig, RuntimeParams.load(), site=WALL))
    assert "wall, 29 mm are asked" in why
    assert shipped > in_velocity > wider
    assert shipped - wider == pytest.approx(0.009, abs=0.003)


@has_models
def test_the_trained_models_serve_a_narrower_box(rig, tmp_path):
    (tmp_path / "site.yaml").write_text(f"keep_within: {NARROWER}")
    setup = Setup.load(rig, RuntimeParams.load(), site=SiteParams.load(tmp_path / "site.yaml"))
    assert setup.rig == rig
    np.testing.assert_allclose(setup.fence.low_m, [0.30, -0.20, 0.12])
    np.testing.assert_allclose(setup.fence.high_m, [0.50, 0.08, 0.45])


def test_rehearsal_with_an_unknown_key_writes_nothing(folder):
    spoil(folder, "rehearsal.yaml", "baseline_goals:", "baselines:")
    assert_refused(command(module="pipelines.rehearse.__main__", cwd=folder), "params/rehearsal.yaml", "baseline")
    assert not (folder / "results").exists()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--arm", "192.168.1.300", "--camera", "realsense"), "IPv4"),
        (("--arm", "192.168.1.203"), "--camera realsense"),
        (("--arm", "192.168.1.203", "--camera", "a.db3"), "leave out --arm"),
        (("--arm", "twin", "--camera", "realsense"), "--arm IP"),
        (("--camera", "realsense"), "--shadow"),
        (("--fault", "c99@1"), "c99"),
        (("--random", "-1"), "--random"),
        (("--max-speed", "0"), "speed"),
        (("--unknown",), "--unknown"),
        (("--calibration", "nowhere.yaml"), "nowhere.yaml"),
    ],
)
def test_an_argument_that_makes_no_sense(arguments, word):
    assert_refused(command(*arguments), word)


def test_help_teaches():
    done = command("--help")
    assert done.returncode == 0
    for word in ("--goal", "--shadow", "Ctrl-C", "exit codes", "metres", "camera_moved"):
        assert word.lower() in done.stdout.lower()


def test_a_real_arm_needs_a_goal_and_a_word(rig, monkeypatch):
    options = parser().parse_args(["--arm", "192.168.1.203", "--camera", "realsense"])
    names = DeviceNames.of(options.camera, options.arm)
    with pytest.raises(ConfigError, match="does not start without"):
        choose_goals(options, names, rig, make_fence(rig, ArmParams.load()))
    monkeypatch.setattr("builtins.input", lambda prompt: "no")
    with pytest.raises(SafetyStop, match="did not agree"):
        ask_operator("192.168.1.203", [np.zeros(3)])
    monkeypatch.setattr("builtins.input", lambda prompt: "yes")
    ask_operator("192.168.1.203", [np.zeros(3)])


def test_a_held_arm_is_taken_over_only_after_the_question(rig):
    options = parser().parse_args(["--arm", "192.168.1.203", "--camera", "realsense", "--take-over", "--yes"])
    assert names_of_moved_arm(options).take_over is agrees_to_take_over


def test_steps_that_are_agreed_to_are_refused_where_the_arm_would_go_on_after_them(patient_folder):
    arm = patient_folder / "params" / "arm.yaml"
    arm.write_text(re.sub(r"(?m)^mode: \w+", "mode: velocity", arm.read_text()))
    assert_refused(command(*GOOD, "--step", cwd=patient_folder), "--step", "online_line")


@pytest.mark.parametrize(("end", "code"), [(None, 3), (SystemExit(0), 3), (SystemExit(2), 2), (SystemExit(130), 130)])
def test_a_stop_that_was_not_confirmed_is_told_last_and_never_ends_as_done(capsys, end, code):
    @unconfirmed_stops_told_last("prog")
    def work():
        arm_log.error("the stop is NOT confirmed")
        print("something else", file=sys.stderr)
        if end is not None:
            raise end

    with pytest.raises(SystemExit) as exit_:
        work()
    assert exit_.value.code == code
    assert capsys.readouterr().err.splitlines()[-1] == "prog: the stop is NOT confirmed"
    with unconfirmed_stops_told_last("prog"):
        pass  # as it was where nothing is wrong


@pytest.mark.parametrize("main", [capture_main, calibrate_main])
def test_commands_that_move_the_arm_tell_of_stops_that_were_not_confirmed(monkeypatch, capsys, tmp_path, main):
    def not_confirmed(*_, **__):
        arm_log.error("the stop is NOT confirmed")
        raise DeviceError("unplugged")

    monkeypatch.setattr(sys.modules[main.__module__], "open_devices", not_confirmed)
    with pytest.raises(SystemExit):
        main(["--out", str(tmp_path / "new")])
    assert capsys.readouterr().err.splitlines()[-1].endswith(": the stop is NOT confirmed")


def test_a_run_whose_last_stop_was_not_confirmed_does_not_end_as_done(monkeypatch):
    def run(*given):
        arm_log.error("the stop is NOT confirmed")
        return [GoalResult(np.zeros(3), [], np.zeros(3), 0.001, np.zeros(3), steps=20)]

    monkeypatch.setattr(run_real, "run", run)
    done = command(*GOOD)
    assert done.returncode == run_real.EXIT_STOPPED
    assert done.stderr.splitlines()[-1] == "pipelines.run_real: the stop is NOT confirmed"


def test_random_goals_are_the_seeds_and_reachable(rig):
    fence = make_fence(rig, ArmParams.load())

    def goals(*arguments):
        return choose_goals(parser().parse_args(arguments), DeviceNames(), rig, fence)

    np.testing.assert_array_equal(goals("--random", "3", "--seed", "7"), goals("--random", "3", "--seed", "7"))
    assert not np.allclose(goals("--random", "1", "--seed", "7"), goals("--random", "1", "--seed", "8"))
    assert len(goals()) == 1
    assert len(goals(*GOOD)) == 1
    assert len(goals(*GOOD, "--random", "2")) == 3
    check_goals(goals("--random", "5"), rig)


@pytest.mark.parametrize(
    ("reason", "code"), [(None, 0), (StopReason.ARM, 3), (StopReason.STALE_FRAME, 3), (StopReason.OPERATOR, 130)]
)
def test_exit_codes(reason, code):
    stop = None if reason is None else Stop(reason, "for a test")
    assert exit_code([GoalResult(np.zeros(3), [], np.zeros(3), 0.0, None, stop)]) == code
