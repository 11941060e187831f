"""The command judges a folder from end to end, refuses what is bad, and writes pictures nowhere but in private."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from perception import evaluate
from perception.calibration.registration.fit import Model
from perception.real.__main__ import VARIABLE, _doubts, main
from perception.real.frames import RealFrames
from perception.real.likeness import compare, summary

ROOT = Path(__file__).parents[3]
REASON = f"{VARIABLE} names no folder of real frames"


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main([str(each) for each in arguments])
    told = capsys.readouterr()
    assert (ended.value.code, told.out) == (2, "")
    return told.err.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def metrics(folder, tmp_path_factory):
    """What the command writes of the drawn folder, with overlays beside it."""
    out = tmp_path_factory.mktemp("judged")
    main([f"--frames={folder}", f"--out={out / 'metrics.json'}", f"--overlays={out / 'look'}", "--rooms=1", "--quiet"])
    return json.loads((out / "metrics.json").read_text()), out


def test_a_folder_is_judged_from_end_to_end(metrics):
    found, _ = metrics
    assert set(found["tcp"]) == {"n", "given", "fitted"}
    assert set(found["tcp"]["given"]) == {"median_mm", "worst_mm", "within_1_sigma", "within_2_sigma"}
    assert (found["tcp"]["n"], len(found["frames"])) == (5, 5)
    assert found["tcp"]["given"]["median_mm"] < 8
    assert found["likeness"]["iou"] > 0.9
    assert found["likeness"]["depth_median_mm"] < 6
    assert {"base", "link4", "tool"} <= set(found["likeness"]["by_link"])
    assert 0 < found["simulated"]["n"] <= 5
    assert found["semi_real"] == {"n": 0, "reason": "drawn onto bare flanges with a known pose only"}
    assert "doubts" not in found


@pytest.mark.parametrize(
    ("iou", "share", "words"),
    [
        (0.92, 0.97, None),
        (None, 0.97, None),
        (0.34, 0.97, "masks share 34 %: joints, pose"),
        (0.92, 0.1, "near 10 % of the drawn arm: joints"),
        (None, 0.0, "near 0 % of the drawn arm"),
        (0.3, 0.3, "near 30 % of the drawn arm and the drawn arm and the masks share 30 %"),
    ],
)
def test_figures_of_frames_whose_description_cannot_be_true_are_not_the_estimators(iou, share, words):
    told = _doubts(iou, share)
    assert (told is None) == (words is None)
    assert words is None or (words in told and "say nothing of the estimator" in told)


def test_every_frame_has_its_overlay(metrics):
    assert sorted(path.name for path in (metrics[1] / "look").iterdir()) == [f"overlay_{i}.png" for i in range(5)]


def test_without_a_folder_results_stay_and_it_says_why(monkeypatch, capsys, tmp_path):
    monkeypatch.delenv(VARIABLE, raising=False)
    out = tmp_path / "metrics.json"
    out.write_text("as it was")
    main([f"--out={out}", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert (told["n"], REASON in told["reason"], out.read_text()) == (0, True, "as it was")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--frames=nowhere"], "nowhere: no such folder"),
        (["--frames=.", "--most=0"], "--most must be 1 or more"),
        (["--frames=.", "--max-sigma=0"], "--max-sigma"),
        (["--frames=.", "--rooms=-1"], "--draws and --rooms 0 or more"),
        (["--frames=.", "--out=/proc/here/metrics.json"], "--out"),
        (["--frames=.", "--calibration=nothing.yaml"], "nothing.yaml: no such parameter file"),
    ],
)
def test_bad_arguments_are_refused_in_one_sentence(capsys, monkeypatch, tmp_path, arguments, words):
    (tmp_path / "params").symlink_to(ROOT / "params")
    monkeypatch.chdir(tmp_path)
    assert words in refused(capsys, *arguments)


def test_an_estimator_that_is_not_there_is_refused(capsys, folder, tmp_path):
    assert "no such model file" in refused(capsys, f"--frames={folder}", f"--estimator={tmp_path}", "--quiet")


def test_the_project_s_own_repository_takes_no_overlays(capsys, folder):
    assert "does not ignore it" in refused(capsys, f"--frames={folder}", f"--overlays={ROOT / 'results/look'}")
    assert not (ROOT / "results/look").exists()


def test_evaluate_with_frames_is_this_command():
    line = [sys.executable, "-m", "perception.evaluate", "--frames", "nowhere"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr.strip()) == (
        2,
        "python -m perception.real: error: nowhere: no such folder; name one that holds frames.json, captures, or a "
        "recorded run",
    )
    with pytest.raises(SystemExit):
        evaluate.main(["--frames", "nowhere"])


@pytest.mark.skipif(VARIABLE not in os.environ, reason=REASON)
def test_our_arm_is_like_the_real_one(rig):
    frames = RealFrames.load(os.environ[VARIABLE], rig, 5)
    assert frames.is_bare
    model = Model.of_pose(frames.calibration.pose, frames.captures.intrinsics)
    found = summary(compare(frames.captures, model, bare=True))
    assert found["iou"] > 0.9
    assert found["depth_median_mm"] < 15  # the pose as published, the depth camera's own scale in it
    assert np.isfinite(frames.captures.joints).all()
