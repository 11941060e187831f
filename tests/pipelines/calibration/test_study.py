"""The study's figures: of what was measured, and the reason where nothing was."""

import json
from dataclasses import replace

import numpy as np
import pytest

from pipelines.calibrate import study
from pipelines.calibrate.study import metrics
from pipelines.twin.hidden.captures import hidden_captures

_BLIND = {"tcp": {"reason": "x"}, "deg": 0.03}
ROWS = {
    "hidden 1": {**_BLIND, "mm": 0.4, "deviation_mm": 0.4, "seconds": 9.0, "scale_percent": 0.1},
    "hidden 2": {**_BLIND, "mm": 1.2, "deviation_mm": 0.5, "seconds": 11.0, "scale_percent": 0.2},
    "hidden 3": {"reason": "the camera moved"},
    "spoiled tool 1": {"cause": "TOOL"},
    "spoiled tool 2": {"cause": None},
}


def test_the_figures_are_those_of_the_rows():
    found = metrics(ROWS)
    assert found["hidden"]["n"] == 2
    assert found["hidden"]["refused"] == 1
    assert found["hidden"]["median_mm"] == pytest.approx(0.8)
    assert found["hidden"]["worst_deg"] == pytest.approx(0.03)
    assert found["hidden"]["seconds"] == pytest.approx(10)
    assert found["hidden"]["within_two_deviations"] == pytest.approx(0.5)
    assert found["spoiled"] == {"n": 2, "refused": 1}
    assert found["scale_percent"] == pytest.approx(0.2)


def test_what_was_not_measured_says_why():
    found = metrics(ROWS)
    assert found["real"]["n"] == 0
    assert "REAL_FRAMES" in found["real"]["reason"]
    assert found["hidden_with_joint_offsets"] == {
        "n": 0,
        "reason": "not run",
        "offsets_fitted": {"n": 0, "reason": "not run"},
    }
    assert found["peers"]["tcp_point_by_the_networks"] == {"n": 0, "reason": "x"}
    assert found["latency_ms"] is None
    json.dumps(metrics({}), allow_nan=False)


def test_a_second_run_measures_what_is_left(tmp_path, monkeypatch, capsys):
    measured = []

    class Two:
        def __init__(self, twins):
            pass

        def cases(self):
            for name in ("hidden 1", "hidden 2"):
                yield name, lambda name=name: measured.append(name) or {"mm": 1.0, "deg": 0.1}

    monkeypatch.setattr(study, "Study", Two)
    study.main(["--out", str(tmp_path), "--only", "hidden 2"])
    study.main(["--out", str(tmp_path)])
    assert measured == ["hidden 2", "hidden 1"]
    assert json.loads((tmp_path / "metrics.json").read_text())["hidden"]["n"] == 2
    assert len((tmp_path / "cases.jsonl").read_text().splitlines()) == 2


def test_the_share_in_the_masks_is_told(rig):
    captures, truth = hidden_captures(3, np.array([rig.home_joints_rad]), rig=rig, frames=1)
    masked = replace(captures, masks=np.ones(captures.depth.shape, bool))
    assert study.inside_masks(masked, truth.pose) == pytest.approx(1)
