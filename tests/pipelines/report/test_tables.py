"""The table of results: read from the metrics files, never typed."""

import json

import pytest

from datasets.common.config import load_params
from datasets.common.errors import DataError
from pipelines.gauntlet.plan import GauntletParams
from pipelines.report import tables as report

REACH = {"n": 20, "success_5mm": 0.5, "success_10mm": 0.95, "success_20mm": 1.0, "median_mm": 4.25, "p95_mm": 9.0}


@pytest.fixture
def results(tmp_path):
    perception = {
        "default": {"nominal": {"n": 9, "median_mm": 2.34, "p95_mm": 5}, "menagerie": {"n": 0, "reason": "gone"}}
    }
    reaching = {"default": REACH, "baselines": {"proportional": {**REACH, "median_mm": 6.5}}}
    for stage, content in (("perception", perception), ("control", reaching), ("rehearsal", reaching)):
        (tmp_path / stage).mkdir()
        (tmp_path / stage / "metrics.json").write_text(json.dumps(content))
    return tmp_path


def test_the_tables_show_what_the_files_say(results):
    text = report.tables(results)
    assert "| nominal   | 9      | 2.3" in text
    assert "gone" in text
    assert "| proportional | 20    | 50 %        | 95 % " in text
    assert "6.5" in text


def test_variants_are_told_with_their_time_and_memory_once_they_are_trained(results):
    assert report.VARIANTS not in report.tables(results)
    folder = results / "end_to_end_rgb"
    folder.mkdir()
    (results / "gauntlet").mkdir()
    quoted = {"end_to_end_rgb": {"nominal": {"n": 50, "success_20mm": 0.44, "success_50mm": 0.88}}}
    (results / "gauntlet/metrics.json").write_text(json.dumps(quoted))
    metrics = {
        "default": REACH | {"success_50mm": 0.92},
        "replay_mb": {"kept": 156.2, "dict_replay_buffer": 850.2},
        "train_processor_s": 500.0,
    }
    (folder / "metrics.json").write_text(json.dumps(metrics))
    text = report.tables(results)
    assert report.VARIANTS in text
    assert all(part in text for part in ("end_to_end_rgb", "92 %", "156 (850)", "| 8 "))
    assert text.endswith("on which nothing was chosen: end_to_end_rgb 44 % within 20 mm, 88 % within 50 mm.")
    (results / "gauntlet/metrics.json").write_text('{"end_to_end_rgb": {}}')
    with pytest.raises(DataError, match=r"gauntlet/metrics\.json: not what `python -m pipelines\.gauntlet` writes"):
        report.tables(results)
    (results / "gauntlet/metrics.json").unlink()
    (folder / "metrics.json").write_text(json.dumps({"default": REACH}))
    with pytest.raises(DataError, match=r"end_to_end_rgb/metrics\.json"):
        report.tables(results)


def test_the_path_tracer_s_split_is_told_after_the_others_once_it_is_measured(results):
    assert "path tracer" not in report.tables(results)
    (results / "unlike").mkdir()
    figures = {
        "default": {"unlike": {"n": 500, "median_mm": 2.71, "p95_mm": 6.04}},
        "sigma": {"unlike": {"within_1_sigma": 0.663, "within_2_sigma": 0.951}},
    }
    (results / "unlike/metrics.json").write_text(json.dumps(figures))
    (row,) = (line for line in report.tables(results).splitlines() if line.startswith("| unlike"))
    assert [cell.strip() for cell in row.split("|")[1:-1]] == ["unlike", "500", "2.7", "6.0", "66 %", "95 %"]
    (results / "unlike/metrics.json").write_text("{}")
    with pytest.raises(DataError, match=r"unlike/metrics\.json: not what `python -m perception\.unlike` writes"):
        report.tables(results)


def test_seeds_are_told_with_their_intervals_once_they_are_learnt(results):
    assert report.SEEDS not in report.tables(results)
    share, distance = {"mean": 0.905, "half_width": 0.021}, {"mean": 17.31, "half_width": 7.74}
    summary = {f"success_{bound}mm": share for bound in (5, 20, 50)} | {"median_mm": distance, "p95_mm": {"mean": 58.7}}
    (results / "control/seeds.json").write_text(
        json.dumps({"method": {"seeds": {"0": {}, "3": {}}, "summary": summary}})
    )
    row = report.tables(results).splitlines()[-1]
    assert [cell.strip() for cell in row.split("|")[1:-1]] == [
        "method", "2", *["90 ± 2 %"] * 3, "17.3 ± 7.7", "58.7",
    ]  # fmt: skip
    (results / "control/seeds.json").write_text("[]")
    with pytest.raises(DataError, match=r"seeds\.json: not what `python -m control\.repeat` writes"):
        report.tables(results)


def test_the_readmes_figures_are_those_of_the_metrics_files():
    part = report.README.read_text().partition(report.BEGIN)[2].partition(report.END)[0]
    assert part.strip() == report.readme_tables(), "run: python -m pipelines.report --readme"
    assert part.count("**\n") == 3


def test_the_calibration_is_told_with_what_it_refused(results):
    pose = {"n": 9, "refused": 1, "median_mm": 0.33, "worst_mm": 1.25, "median_deg": 0.02, "worst_deg": 0.08}
    none = {"n": 0, "reason": "not run"}
    metrics = {
        "hidden": pose,
        "hidden_with_joint_offsets": {**none, "offsets_fitted": none},
        "spoiled": {"n": 20, "refused": 19},
        "real": {"n": 5, "halves_mm": 7.25, "halves_worst_mm": 9.0, "halves_deg": 0.5},
        "peers": {"tcp_point_by_the_networks": none},
    }
    (results / "calibration").mkdir()
    (results / "calibration/metrics.json").write_text(json.dumps(metrics))
    text = report.tables(results)
    row = next(line for line in text.splitlines() if line.startswith("| hidden twins"))
    assert [cell.strip() for cell in row.split("|")[2:7]] == ["9 of 10", "0.33", "1.2", "0.02", "0.08"]
    assert "two halves of the real frames" in text
    assert "joints off" not in text
    assert "Of 20 spoiled captures 19 were refused." in text
    (results / "calibration/metrics.json").write_text("{}")
    with pytest.raises(DataError, match=r"not what `python -m pipelines\.calibrate\.study` writes"):
        report.tables(results)


def test_peers_are_told_with_both_figures_once_they_are_measured(results):
    assert report.PEERS not in report.tables(results)
    (results / "peers").mkdir()
    sides = {"ours": {"what": "own", "value": 12.345}, "theirs": {"what": "other", "value": 24.69}}
    row = {"what": "Memory", "unit": "kB", "better": "less", "times_better": 2.0, "note": "", **sides}
    (results / "peers/metrics.json").write_text(json.dumps({"rows": {"replay": [row]}}))
    line = next(line for line in report.tables(results).splitlines() if "Memory" in line)
    assert [cell.strip() for cell in line.split("|")[1:-1]] == ["Memory, kB", "12.3 (own)", "24.7 (other)", "2"]
    (results / "peers/metrics.json").write_text("{}")
    with pytest.raises(DataError, match=r"peers/metrics\.json: not what `python -m studies\.peers` writes"):
        report.tables(results)


def test_the_readme_counts_the_gaps():
    gaps = load_params("params/gauntlet.yaml", GauntletParams).gaps.values()
    count = sum(gap.group != "nominal" for gap in gaps)
    assert f"Every method in {count} gaps" in report.README.read_text()


def test_the_readme_is_rewritten_between_its_markers_only(results, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.update_readme(readme, results)
    text = readme.read_text()
    assert text.startswith(f"before\n{report.BEGIN}\n**")
    assert report.readme_tables(results) in text
    assert text.endswith(f"{report.END}\nafter\n")
    assert "old" not in text


def test_a_readme_without_markers_is_left_alone(results, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("nothing here\n")
    with pytest.raises(DataError, match="markers"):
        report.update_readme(readme, results)
    assert readme.read_text() == "nothing here\n"


def test_missing_and_foreign_metrics_are_refused_by_name(results):
    (results / "control" / "metrics.json").write_text("{}")
    with pytest.raises(DataError, match=r"control/metrics\.json"):
        report.tables(results)
    (results / "perception" / "metrics.json").unlink()
    with pytest.raises(DataError, match=r"perception/metrics\.json: no such file"):
        report.tables(results)


def test_a_real_arm_s_figures_are_told_with_what_they_are_worth(results):
    title = "A real arm in a room"
    assert title not in report.tables(results)
    way = {"median_mm": 598.26, "worst_mm": 761.5, "within_1_sigma": 0.333, "within_2_sigma": 0.8}
    metrics = {
        "flange": {"n": 5, "given": way, "fitted": {"n": 0, "reason": "too few"}},
        "semi_real": {"n": 40, "median_mm": 21.0, "p95_mm": 90.0},
        "likeness": {"iou": 0.919, "depth_median_mm": None},
        "estimator": {"tool": "xarm_gripper", "frames_show": "none"},
    }
    (results / "real").mkdir()
    (results / "real/metrics.json").write_text(json.dumps(metrics))
    text = report.tables(results)
    for part in (title, "| flange, pose given ", "598.3", "33 %", "| simulated hand", "worth 5 to 9 mm", "IoU 0.919"):
        assert part in text
    assert "pose fitted" not in text
    (results / "real/metrics.json").write_text("{}")
    with pytest.raises(DataError, match=r"not what `python -m perception\.real` writes"):
        report.tables(results)
