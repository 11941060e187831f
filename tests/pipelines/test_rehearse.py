"""Rehearsal and demo with the shipped models, through both vendors' libraries, as a user starts them."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.common.errors import ConfigError
from pipelines.demo import __main__ as demo
from pipelines.observers.console import result_table, step_line
from pipelines.rehearse.__main__ import RehearsalParams
from pipelines.rehearse.scores import scores, timings
from pipelines.runtime.stops import Stop, StopReason
from pipelines.runtime.tick import GoalResult
from ticks import make_tick

ROOT = Path(__file__).parents[2]
KEYS = {"n", "success_5mm", "success_10mm", "success_20mm", "success_50mm", "median_mm", "p95_mm"}


def start(module, *arguments, cwd):
    line = [sys.executable, "-m", module, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(line, cwd=cwd, env=environment, capture_output=True, text=True, timeout=200)


@pytest.fixture
def folder(patient_folder):
    return patient_folder


@pytest.mark.realtime
@pytest.mark.slow
def test_a_rehearsal_writes_the_documented_keys_and_a_picture(folder):
    path = folder / "params" / "rehearsal.yaml"
    path.write_text(path.read_text().replace("baseline_goals: 10", "baseline_goals: 1"))
    runtime = folder / "params" / "runtime.yaml"
    runtime.write_text(runtime.read_text().replace("horizon_steps: 50", "horizon_steps: 20"))
    done = start("pipelines.rehearse", "--goals", "1", cwd=folder)
    assert done.returncode == 0, done.stderr
    found = json.loads((folder / "results/rehearsal/metrics.json").read_text())
    assert set(found["default"]) >= KEYS
    assert set(found["baselines"]["proportional"]) >= KEYS
    assert (found["default"]["n"], found["baselines"]["proportional"]["n"]) == (1, 1)
    assert found["outside_fence"] == 0
    assert found["ticks"] == 20
    assert found["stops"] == []
    assert found["timings"]["frame_to_command"]["p50_ms"] > 0
    with Image.open(folder / "results/rehearsal/trajectories.png") as picture:
        assert picture.width > 1000
    assert "goal" in done.stderr  # progress


@pytest.mark.realtime
@pytest.mark.slow
def test_the_demo_tells_each_step_and_leaves_an_animation(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(demo, "GOALS", demo.GOALS[:1])
    with pytest.raises(SystemExit) as ended:
        demo.main(["--policy", "p", "--out", "shown"])
    told = capsys.readouterr()
    assert ended.value.code == 0, told.err
    steps = [line for line in told.out.splitlines() if " step " in line]
    assert len(steps) == demo.STEPS
    for word in ("TCP", "to goal", "sent", "ms to command"):
        assert word in steps[0]
    assert "shown/demo.gif" in told.out
    with Image.open(folder / "shown/demo.gif") as film:
        assert film.n_frames > 5
    assert (folder / "shown/demo.png").is_file()


@pytest.mark.realtime
@pytest.mark.slow
def test_a_fault_asked_for_stops_with_code_3_and_one_line_of_reason(folder):
    done = start(
        "pipelines.run_real", "--goal", "0.45", "0.1", "0.3", "--fault", "estop@0.3", "--record", "runs", cwd=folder
    )
    assert done.returncode == 3, done.stderr
    (reason,) = (line for line in done.stderr.splitlines() if line.startswith("pipelines.run_real: "))
    assert reason.startswith("pipelines.run_real: stopped: ")
    assert "emergency" in reason
    (recording,) = (folder / "runs").iterdir()
    played = start(
        "pipelines.run_real", "--shadow", "--camera", str(recording), "--goal", "0.45", "0.1", "0.3", cwd=folder
    )
    assert played.returncode == 0, played.stderr
    assert "would send" in played.stdout


@pytest.mark.parametrize("change", [{"goals": 0}, {"baseline_goals": 99}, {"seed": -1}, {"radius_m": 200.0}])
def test_settings_that_make_no_rehearsal_are_refused(change):
    good = RehearsalParams(20, 1, 0.2, 0.25, 10, "results/rehearsal")
    with pytest.raises(ConfigError, match=next(iter(change))):
        replace(good, **change)


def test_a_step_is_told_in_one_line(rig):
    line = step_line(make_tick(), 3)
    for word in ("goal 1/3", "step  3", "3.0 mm", "91.1 mm", "+10.0", "130 ms old", "8.0 ms"):
        assert word in line, line
    assert "(cut)" in step_line(make_tick(sent=np.zeros(3)), 3)
    assert "would send" in step_line(make_tick(), 3, shadow=True)
    assert "holding still" in step_line(make_tick(held=True), 3)


def test_the_table_says_how_each_goal_ended(rig):
    ticks = [make_tick()]
    good = GoalResult(ticks[0].goal, ticks, ticks[0].goal + 0.001, 0.0017)
    stop = Stop(StopReason.JUMP, "by 100 mm")
    bad = GoalResult(ticks[0].goal, ticks, ticks[0].tcp, np.inf, None, stop)
    table = result_table([good, bad], 3)
    for word in ("1.7 mm", "estimate jumped: by 100 mm", "1 of 3 goals were not begun", "median 1.7 mm"):
        assert word in table
    assert result_table([good.without_ticks(), bad.without_ticks()], 3) == table
    found = scores([good, bad])
    assert (found["success_5mm"], found["stopped"], found["n"]) == (0.5, 1, 2)
    assert found["worst_mm"] > 50


def test_reaction_is_told_apart_where_the_controller_stalled(rig):
    ticks = [make_tick(1.0 + 0.1 * step, move_s=0.030 if step == 4 else 0.001) for step in range(10)]
    result = GoalResult(ticks[0].goal, ticks, ticks[0].goal, 0.0)
    assert "frame_to_command_outside_stalls" not in timings([result])
    found = timings([result], [(0.2, 0.39), (1.33, 1.52)])  # the second meets the steps at 1.4 and 1.5 s
    assert found["frame_to_command"]["max_ms"] == pytest.approx(37)
    assert found["frame_to_command_outside_stalls"]["max_ms"] == pytest.approx(8)
    assert timings([result], [(0.0, 9.0)]).keys() == timings([result]).keys(), "nothing is left to tell"


@pytest.mark.realtime
@pytest.mark.slow
def test_a_camera_that_stands_elsewhere_is_calibrated_and_used(folder):
    path = folder / "params" / "twin.yaml"
    moved = path.read_text().replace("camera_offset_m: [0.0, 0.0, 0.0]", "camera_offset_m: [0.03, -0.03, 0.02]")
    path.write_text(moved)
    done = start("pipelines.calibrate", "--poses", "8", "--out", "measured.yaml", cwd=folder)
    assert done.returncode == 0, done.stderr
    (truth,) = (line for line in done.stdout.splitlines() if "truly is" in line)
    assert float(truth.split(": ")[1].split(" mm")[0]) < 20  # of 47 mm; eight places instead of twenty
    used = start("pipelines.run_real", "--check", "--calibration", "measured.yaml", cwd=folder)
    assert "8 poses" in used.stdout
    assert "FAIL  their average" not in used.stdout
