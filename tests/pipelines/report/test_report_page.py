"""The page that tells the results: what it says, and what it refuses."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from control.task.episodes import Episode
from datasets.common.errors import DataError
from pipelines.gauntlet.pictures import draw_camera_maps, draw_gaps, draw_heat_map
from pipelines.gauntlet.reading import camera_tolerance
from pipelines.gauntlet.scores import cell_metrics
from pipelines.report import __main__ as report
from pipelines.report.page import write_page


def test_the_page_says_what_is_not_there_yet(tmp_path):
    write_page(tmp_path / "report.html", results=tmp_path)
    text = (tmp_path / "report.html").read_text()
    for stage in ("gauntlet", "perception", "rehearsal"):
        assert f"the stage {stage} has left no metrics" in text


def test_the_command_writes_the_page_beside_the_results(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    report.main(["--page"])
    assert capsys.readouterr().out == "results/report.html: open it in a browser\n"
    assert "Not measured yet" in (tmp_path / "results/report.html").read_text()


def test_a_folder_without_a_gauntlet_is_refused_and_not_made(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        report.main(["--page", "--gauntlet", str(tmp_path / "typo")])
    assert stopped.value.code == 2
    assert "typo: holds no metrics.json; name a folder that `python -m pipelines.gauntlet` wrote" in (
        capsys.readouterr().err
    )
    assert not list(tmp_path.iterdir())


def test_figures_and_page_are_both_written_where_both_are_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(report, "summary", lambda: {"control_default": {"n": 1}})
    report.main(["--summary", "--page"])
    assert (tmp_path / "results/report.html").is_file()
    assert json.loads((tmp_path / "results/summary/control_default.json").read_text()) == {"n": 1}


def test_what_is_missing_is_told_with_a_stage_that_exists(tmp_path):
    write_page(tmp_path / "report.html", results=tmp_path)
    named = set(re.findall(r"`dvc repro (\w+)`", (tmp_path / "report.html").read_text()))
    assert named == {"locate", "control", "rehearsal"}
    assert named <= set(yaml.safe_load(Path("dvc.yaml").read_text())["stages"])


def test_damaged_metrics_are_an_error_that_names_them(tmp_path):
    (tmp_path / "gauntlet").mkdir()
    (tmp_path / "gauntlet" / "metrics.json").write_text("{")
    with pytest.raises(DataError, match=r"gauntlet/metrics\.json: not what `python -m pipelines\.gauntlet` writes"):
        write_page(tmp_path / "report.html", results=tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_the_page_tells_who_is_ahead_and_how_far_the_camera_may_be_off(tmp_path):
    def cell(final_mm):
        return cell_metrics([Episode(i, (final_mm + 0.01 * i) / 1000, 0.8, -1.0) for i in range(10)])

    ours = {"nominal": cell(2.0), "camera_30mm": cell(25.0), "latency_200ms": cell(2.0)}
    rival = {"nominal": cell(2.1), "camera_30mm": cell(25.0), "latency_200ms": cell(9.0)}
    level = {"n": 10, "median_difference": 0.0, "better": 5, "worse": 5, "p": 1.0, "p_holm": 1.0, "verdict": "level"}
    by_end = {"nominal": level, "camera_30mm": level | {"verdict": "behind"}, "latency_200ms": level}
    by_time = {"nominal": level, "camera_30mm": level, "latency_200ms": level | {"verdict": "ahead"}}
    metrics = {
        "default": ours,
        "proportional": rival,
        "comparison": {"default_minus_proportional": {"final_mm": by_end, "arrival_s": by_time}},
        "about": {
            "episodes": 10,
            "seed": 0,
            "methods": {"default": "Default <1>", "proportional": "Proportional"},
            "gaps": {
                "nominal": {"title": "Nominal", "group": "nominal", "camera_off": [0.0, 0.0]},
                "camera_30mm": {"title": "Camera moved 30 mm", "group": "camera", "camera_off": [30.0, 0.0]},
                "latency_200ms": {"title": "Latency 200 ms", "group": "dynamics"},
            },
        },
    }
    assert camera_tolerance(metrics, "default", 0) == pytest.approx(3.0)
    draw_heat_map(metrics, tmp_path / "gauntlet" / "heatmap.png")
    draw_camera_maps(metrics, tmp_path / "gauntlet" / "camera.png")
    (tmp_path / "gauntlet" / "metrics.json").write_text(json.dumps(metrics))
    write_page(tmp_path / "report.html", results=tmp_path)
    text = (tmp_path / "report.html").read_text()
    assert "0 ahead, 1 behind" in text
    assert "by time to the goal 1 ahead, 0 behind" in text
    assert "Default &lt;1&gt;" in text
    assert "<1>" not in text
    assert "1 of 2 gaps held" in text
    assert "Default &lt;1&gt; 100 %, there after 0.8 s" in text


def test_a_picture_of_an_earlier_run_does_not_stay_beside_new_figures(tmp_path, rig):
    for name in ("camera.png", "gaps.png"):
        (tmp_path / name).write_bytes(b"old")
    draw_camera_maps({"about": {"gaps": {"nominal": {"camera_off": [0.0, 0.0]}}}}, tmp_path / "camera.png")
    draw_gaps([], 0, rig, tmp_path / "gaps.png")
    assert not list(tmp_path.iterdir())
    draw_gaps([], 0, rig, tmp_path / "gaps.png")


def test_a_time_to_the_goal_is_told_only_where_most_settle_there(tmp_path):
    metrics = {
        "default": {"nominal": cell_metrics([Episode(i, 0.03, 4.9 if i < 2 else np.nan, -1.0) for i in range(10)])},
        "comparison": {},
        "about": {
            "episodes": 10,
            "seed": 0,
            "methods": {"default": "Default"},
            "gaps": {"nominal": {"title": "Nominal", "group": "nominal", "camera_off": [0.0, 0.0]}},
        },
    }
    (tmp_path / "gauntlet").mkdir()
    (tmp_path / "gauntlet" / "metrics.json").write_text(json.dumps(metrics))
    write_page(tmp_path / "report.html", results=tmp_path)
    text = (tmp_path / "report.html").read_text()
    assert "Default 100 %, settled within 10 mm in 20 %" in text
    assert "4.9 s" not in text


def test_the_page_tells_what_each_part_of_control_is_worth(tmp_path):
    worlds = {world: {"median_mm": i, "p95_mm": 2.0 * i} for i, world in enumerate(("0.0", "0.3", "ideal_arm"), 1)}
    worlds["0.0"] |= {"mean_reward": -5.25, "seeds": 3}
    (tmp_path / "control").mkdir()
    (tmp_path / "control" / "ablation.json").write_text(
        json.dumps({"baselines": {"proportional": worlds}, "summary": {"no_controller_beneath": worlds}})
    )
    write_page(tmp_path / "report.html", results=tmp_path)
    row = "<td>no controller beneath</td><td>3</td><td>1.0 / 2.0</td><td>2.0 / 4.0</td><td>3.0 / 6.0</td><td>-5.25</td>"
    assert row in (tmp_path / "report.html").read_text()


def test_the_payload_is_told_against_the_same_joints_without_it(tmp_path):
    cell = cell_metrics([Episode(i, 0.002, 0.8, -1.0) for i in range(10)])
    gaps = {name: {"title": name.title(), "group": "dynamics"} for name in ("physics", "payload")}
    metrics = {
        "default": {name: cell for name in gaps},
        "comparison": {},
        "about": {"episodes": 10, "seed": 0, "methods": {"default": "Default"}, "gaps": gaps},
    }
    (tmp_path / "gauntlet").mkdir()
    (tmp_path / "gauntlet" / "metrics.json").write_text(json.dumps(metrics))
    write_page(tmp_path / "report.html", results=tmp_path)
    text = (tmp_path / "report.html").read_text()
    assert "“Payload” alone differs in two ways" in text
    assert "its difference from “Physics”" in text
