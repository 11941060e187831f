"""The gauntlet through its command line and its parts, in cells of a few short episodes."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from control.arms.xarm.wire.sdk import wait_until
from pipelines.gauntlet import __main__ as gauntlet
from pipelines.gauntlet.cells import Cell
from pipelines.gauntlet.gaps import Gap
from pipelines.report import __main__ as report

PARAMS = Path("params/gauntlet.yaml")
NOMINAL = Gap("Nominal", "nominal")
has_models = pytest.mark.skipif(
    not all(Path(f"models/{name}").is_dir() for name in ("estimator", "policy")), reason="no trained models here"
)


@pytest.fixture
def small(tmp_path):
    return write_small(tmp_path)


def write_small(folder):
    """A gauntlet of two gaps and three methods, one of them not trained, in a folder of its own."""
    control = yaml.safe_load(Path("params/control.yaml").read_text())
    control["env"]["horizon"] = 4
    control["evaluation"]["interval"] = 1000
    (folder / "control.yaml").write_text(yaml.safe_dump(control))
    gains = {"baselines": {"proportional": {"gain": 0.2}, "proportional_fused": {"gain": 0.7}}}
    (folder / "gains.json").write_text(json.dumps(gains))
    whole = yaml.safe_load(PARAMS.read_text())
    whole["methods"] = {name: whole["methods"][name] for name in ("end_to_end_rgb", "default", "proportional")}
    whole["methods"]["end_to_end_rgb"]["model"] = str(folder / "none")
    whole["gaps"] = {name: whole["gaps"][name] for name in ("nominal", "camera_30mm")}
    whole["camera_map"] = {"offsets_mm": [30], "rotations_deg": [3], "methods": ["default"]}
    whole |= {
        "episodes": 2,
        "workers": 1,
        "control": str(folder / "control.yaml"),
        "gains": str(folder / "gains.json"),
        "results": str(folder / "results"),
        "runs": str(folder / "runs"),
    }
    (folder / "gauntlet.yaml").write_text(yaml.safe_dump(whole))
    return folder


class Sources(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found += [value for key, value in attributes if key in ("src", "href")]


@has_models
@pytest.mark.slow
def test_a_whole_gauntlet_leaves_its_files_and_the_second_time_runs_nothing(small, capsys, monkeypatch):
    gauntlet.main(["--config", str(small / "gauntlet.yaml")])
    said = capsys.readouterr().out
    assert "skipped" in said
    assert f"`python -m pipelines.report --page --gauntlet {small / 'results'}` shows it" in said
    text = (small / "results/metrics.json").read_text()
    metrics = json.loads(text)
    assert metrics["default"]["camera_30mm"]["n"] == 2
    assert metrics["default"]["camera_30mm_3deg"]["n"] == 2
    assert "camera_30mm_3deg" not in metrics["proportional"]
    assert metrics["end_to_end_rgb"]["nominal"]["n"] == 0
    assert "no such model" in metrics["end_to_end_rgb"]["nominal"]["reason"]
    assert set(metrics["comparison"]["default_minus_proportional"]["arrival_s"]) == {"nominal", "camera_30mm"}
    with (small / "results/episodes.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 2 * (2 + 2 + 1)
    assert {row["seed"] for row in rows if row["method"] == "default"} == {
        row["seed"] for row in rows if row["method"] == "proportional"
    }
    report.main(["--page", "--gauntlet", str(small / "results")])
    page = (small / "results/report.html").read_text()
    sources = Sources()
    sources.feed(page)
    assert sources.found
    assert all(source.startswith("data:image/png;base64,") for source in sources.found)
    assert not re.search(r"(?:src|href|url)\s*[=(]\s*[\"']?https?:", page)

    monkeypatch.setattr(Cell, "run", lambda *_: pytest.fail("a finished cell was run again"))
    gauntlet.main(["--config", str(small / "gauntlet.yaml")])
    assert (small / "results/metrics.json").read_text() == text


@pytest.fixture(scope="module")
def selection(tmp_path_factory):
    """What one worker leaves of a selection, and where."""
    folder = write_small(tmp_path_factory.mktemp("selection"))
    gauntlet.main(["--config", str(folder / "gauntlet.yaml"), "--methods", "proportional"])
    return folder


@has_models
@pytest.mark.slow
def test_a_selection_is_kept_apart(selection):
    assert not (selection / "results").exists()
    assert {path.name for path in (selection / "runs/selection").iterdir()} >= {"metrics.json", "episodes.csv"}


@has_models
@pytest.mark.slow
@pytest.mark.parametrize("where", [[], ["--backend", "ray"]], ids=["local", "ray"])
def test_two_workers_give_the_bytes_of_one(small, selection, where):
    pytest.importorskip("ray", reason="the project's extra 'ray' is not installed")
    more = ["--methods", "proportional", "--workers", "2", *where, "--output", str(small / "two")]
    gauntlet.main(["--config", str(small / "gauntlet.yaml"), *more])
    for name in ("metrics.json", "episodes.csv"):
        assert (small / "two" / name).read_bytes() == (selection / "runs/selection" / name).read_bytes()


@has_models
@pytest.mark.slow
def test_an_interrupted_gauntlet_ends_quietly_and_keeps_its_cells(small):
    whole = yaml.safe_load((small / "gauntlet.yaml").read_text())
    (small / "gauntlet.yaml").write_text(yaml.safe_dump(whole | {"episodes": 20, "workers": 2}))
    command = [sys.executable, "-m", "pipelines.gauntlet", "--config", str(small / "gauntlet.yaml")]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True
    )
    wait_until(lambda: any((small / "runs").glob("*.json")) or process.poll() is not None, 120.0, 0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert list((small / "runs").glob("*.json"))
    assert not (small / "results").exists()


@pytest.mark.parametrize(
    ("change", "arguments", "words"),
    [
        ({"episode": 3}, [], "episode"),
        ({"episodes": 0}, [], "episodes must be at least 1"),
        ({}, ["--cells", "camera_31mm"], "camera_31mm"),
        ({}, ["--methods", "ddpg"], "ddpg"),
        ({}, ["--methods", "end_to_end_rgb"], "nothing to run"),
        ({}, ["--episodes", "0"], "episodes must be at least 1"),
        ({"gains": "none.json"}, [], "none.json"),
        ({"control": "none.yaml"}, [], "none.yaml"),
        ({"methods": {}}, [], "methods is empty"),
        ({"gaps": {"nominal": {"group": "nominal", "title": "N", "dynamics": {"lags": [0, 1]}}}}, [], "lags"),
        ({"methods": {"default": {"kind": "actor", "title": "D", "model": "nowhere"}}}, [], "nowhere"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(small, capsys, change, arguments, words):
    whole = yaml.safe_load((small / "gauntlet.yaml").read_text()) | {"camera_map": {}} | change
    (small / "gauntlet.yaml").write_text(yaml.safe_dump(whole))
    with pytest.raises(SystemExit) as stop:
        gauntlet.main(["--config", str(small / "gauntlet.yaml"), *arguments])
    assert stop.value.code == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("pipelines.gauntlet: error:")
    assert words in last
    assert not (small / "results").exists()
    assert not (small / "runs" / "selection").exists()
