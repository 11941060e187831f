"""The summary is a table of DVC's: a file for each row, read from what the stages wrote."""

import json
from pathlib import Path

import pytest
import yaml

from datasets.common.errors import DataError
from pipelines.report import __main__ as report
from pipelines.report.tables import HEADLINES, summary


def test_each_row_is_that_of_its_stage():
    found = summary()
    for stage, name in HEADLINES:
        metrics = json.loads(Path(f"results/{stage}/metrics.json").read_text())
        row = {**metrics["default"], **metrics.get("baselines", {}), "default": metrics["default"]}[name]
        assert found[f"{stage}_{name}"].items() <= row.items()
        assert found[f"{stage}_{name}"]["median_mm"] > 0


def test_dvc_shows_these_rows_and_no_other():
    stages = yaml.safe_load(Path("dvc.yaml").read_text())["stages"]
    metrics = {next(iter(each)) for stage in stages.values() for each in stage.get("do", stage).get("metrics", [])}
    assert metrics == {f"results/summary/{stage}_{name}.json" for stage, name in HEADLINES}


def test_the_files_are_those_of_today(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(report, "SUMMARY", tmp_path)
    report.main(["--summary"])
    for path in tmp_path.iterdir():
        assert path.read_text() == (Path("results/summary") / path.name).read_text()
    assert len(list(tmp_path.iterdir())) == len(HEADLINES)


def test_a_missing_stage_is_named(tmp_path):
    with pytest.raises(DataError, match=r"perception/metrics.json: no such file; run `dvc repro locate` first"):
        summary(tmp_path)
