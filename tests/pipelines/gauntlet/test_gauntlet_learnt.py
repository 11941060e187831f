"""What learning adds in the gaps of arm and goal, measured in a few short episodes."""

import json
import re
from pathlib import Path

import pytest
import yaml

from control.task.episodes import Episode
from datasets.common.config import load_params
from datasets.common.errors import DataError
from datasets.common.files import write_whole
from datasets.rig.rig import Rig
from pipelines.gauntlet import learnt
from pipelines.gauntlet.learnt import (
    BOUNDED,
    FUSED,
    GAPS,
    NAMES,
    PROPORTIONAL,
    SHIPPED,
    TEST_SEED,
    TUNED,
    Bench,
    make_table,
)
from pipelines.gauntlet.plan import GauntletParams
from small_agent import SMALL_AGENT

RIVALS = (PROPORTIONAL, f"{PROPORTIONAL}{TUNED}", FUSED, f"{FUSED}{TUNED}")
SMALL = {
    "agent": SMALL_AGENT,
    "true_state_steps": 200,
    "evaluation": {"episodes": 3, "validation_episodes": 1, "tuning_episodes": 1, "gains": [0.1, 0.3], "interval": 100},
}


@pytest.fixture
def config(tmp_path):
    """The gauntlet's file with a stage of few episodes, whose results lie in the test's folder."""
    control = {**SMALL, "results": str(tmp_path), "runs": str(tmp_path / "runs")}
    (tmp_path / "control.yaml").write_text(yaml.safe_dump(control))
    (tmp_path / "metrics.json").write_text(Path("results/control/metrics.json").read_text())
    gauntlet = yaml.safe_load(Path("params/gauntlet.yaml").read_text())
    file = tmp_path / "gauntlet.yaml"
    file.write_text(yaml.safe_dump(gauntlet | {"control": str(tmp_path / "control.yaml")}))
    return str(file)


def test_rows_are_learnt_one_by_one_and_part_of_them_never_passes_for_the_whole(config, tmp_path, capsys):
    name = f"{GAPS[0]}-{BOUNDED}"
    learnt.main(["--config", config, "--only", name, "--seed", "0"])
    row = json.loads((tmp_path / f"runs/gaps/{name}_0.json").read_text())
    assert [one[0] for one in row["episodes"]] == [TEST_SEED, TEST_SEED + 1, TEST_SEED + 2]
    learnt.main(["--config", config, "--only", name, "--seeds", "0", "--gather"])
    assert not (tmp_path / "gaps.json").exists()
    table = json.loads((tmp_path / "runs/gaps/selection/gaps.json").read_text())
    assert set(table) == {GAPS[0]}
    assert set(table[GAPS[0]]) == {SHIPPED, *RIVALS, BOUNDED, "comparison"}
    assert f"{GAPS[0]:16}{BOUNDED}" in capsys.readouterr().out

    gauntlet = yaml.safe_load(Path(config).read_text())
    gauntlet["gaps"][GAPS[0]] = gauntlet["gaps"][GAPS[1]]
    Path(config).write_text(yaml.safe_dump(gauntlet))
    with pytest.raises(SystemExit):
        learnt.main(["--config", config, "--only", name, "--seeds", "0", "--gather"])
    assert f"{name}_0.json: learnt with other parameters" in capsys.readouterr().err
    with pytest.raises(DataError, match=f"{GAPS[0]}.json: measured with other parameters"):
        Bench(load_params(config, GauntletParams), Rig.load()).others(GAPS[0])


@pytest.mark.parametrize(
    ("arguments", "whole"),
    [([], True), (["--seeds", "2", "0", "1"], True), (["--seeds", "0"], False), (["--only", NAMES[0]], False)],
)
def test_only_all_rows_of_all_seeds_make_the_whole_table(config, tmp_path, monkeypatch, arguments, whole):
    monkeypatch.setattr(learnt, "run_rows", lambda *_: {})
    (tmp_path / "gaps.json").write_text("before")
    learnt.main(["--config", config, "--gather", *arguments])
    assert ((tmp_path / "gaps.json").read_text() != "before") == whole
    assert (tmp_path / "runs/gaps/selection/gaps.json").is_file() != whole


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda gaps: gaps.pop("slow_arm"), "gaps lacks slow_arm, which this study needs"),
        (lambda gaps: gaps["slow_arm"]["dynamics"].update(lag_s=0.2), "dynamics: .*lag_s"),
    ],
)
def test_gaps_of_no_use_are_refused_before_anything_is_learnt(config, capsys, change, message):
    gauntlet = yaml.safe_load(Path(config).read_text())
    change(gauntlet["gaps"])
    Path(config).write_text(yaml.safe_dump(gauntlet))
    with pytest.raises(SystemExit) as stopped:
        learnt.main(["--config", config])
    assert stopped.value.code == 2
    assert re.search(message, capsys.readouterr().err)


def test_a_method_that_ends_nearer_in_every_episode_is_ahead_in_the_table(config):
    bench = Bench(load_params(config, GauntletParams), Rig.load())
    far = [list(vars(Episode(TEST_SEED + i, 0.01 + 0.001 * i, 2.0, -9.0)).values()) for i in range(3)]
    for gap in GAPS:
        others = {name: {"episodes": far, "gain": 0.2} for name in (SHIPPED, *RIVALS)}
        write_whole(bench.folder / f"{gap}.json", json.dumps({"given": bench.given(gap), "methods": others}))
    near = [list(vars(Episode(TEST_SEED + i, 0.0, 0.1, -1.0)).values()) for i in range(3)]
    rows = {name: {"0": {"episodes": near, "train_s": 1.0}} for name in NAMES if name.endswith(BOUNDED)}
    table = make_table(bench, rows)
    assert set(table) == {*GAPS}
    for gap in GAPS:
        against = table[gap]["comparison"][f"{BOUNDED} 0 against {PROPORTIONAL}"]
        assert set(against) == {"final_mm", "arrival_s"}
        assert against["final_mm"]["better"] == against["final_mm"]["n"] == 3
        assert table[gap][BOUNDED]["0"]["median_mm"] == 0.0
        assert table[gap][PROPORTIONAL]["median_mm"] == 11.0


def test_what_was_not_measured_is_asked_for_by_name(config):
    bench = Bench(load_params(config, GauntletParams), Rig.load())
    with pytest.raises(DataError, match=f"{GAPS[1]}.json: no such file; learn in the gap first, with --only"):
        make_table(bench, {f"{GAPS[1]}-{BOUNDED}": {}})


def test_every_gap_of_the_study_is_one_of_the_gauntlet_s():
    assert set(GAPS) <= set(load_params("params/gauntlet.yaml", GauntletParams).gaps)
