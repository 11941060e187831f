import json
from pathlib import Path

import pytest
import yaml

from control import repeat
from control.learning.end_to_end import given_digest
from control.learning.params import EndToEndParams
from control.repeat import METHODS, SUMMARIZED, end_to_end, true_state
from control.train import read_params
from datasets.common.config import load_params
from datasets.common.errors import DataError

ROW = dict.fromkeys(SUMMARIZED, 1.0)
SMALL = """
agent: {steps: 200, warm_up: 60, actor_starts: 20, batch_size: 16, hidden: 16, residual_gain: 1.0}
true_state_steps: 200
evaluation: {episodes: 2, validation_episodes: 1, interval: 100}
"""


@pytest.fixture
def table(tmp_path, monkeypatch):
    """The table of a study of two methods in a folder of its own, where only pretended learning takes place."""
    monkeypatch.setattr(repeat, "TABLE", tmp_path / "seeds.json")
    monkeypatch.setattr(repeat, "RUNS", tmp_path / "runs")

    def learns(file, seed, folder, rig):
        folder.mkdir(parents=True, exist_ok=True)
        return ROW | {"median_mm": float(seed), "file": file}

    monkeypatch.setattr(repeat, "METHODS", {"one": (learns, "one.yaml"), "other": (learns, "other.yaml")})
    monkeypatch.setattr(repeat, "given", lambda name: f"{name}'s parameters")
    return tmp_path / "seeds.json"


@pytest.mark.slow
def test_true_state_learns_and_is_tested_without_an_estimator(tmp_path, rig):
    (tmp_path / "control.yaml").write_text(SMALL)
    row = true_state(str(tmp_path / "control.yaml"), 1, tmp_path / "runs", rig)
    assert row["n"] == 2
    assert row["train_s"] > 0
    assert set(SUMMARIZED) < set(row)
    assert [path.name for path in tmp_path.iterdir()] == ["control.yaml"], "no checkpoints are left"


def test_every_method_learns_with_every_seed_and_stands_with_its_interval(table, capsys):
    repeat.main(["--seeds", "0", "1", "3"])
    found = json.loads(table.read_text())
    assert {name: set(part["seeds"]) for name, part in found.items()} == {"one": {*"013"}, "other": {*"013"}}
    assert found["other"]["seeds"]["3"]["file"] == "other.yaml"
    # Student's t of 2 degrees of freedom, 4.303, times the standard error of 0, 1, 3.
    interval = {"mean": pytest.approx(4 / 3, abs=1e-3), "half_width": pytest.approx(3.795, abs=1e-3)}
    assert found["one"]["summary"]["median_mm"] == interval
    assert "one (3)" in capsys.readouterr().out
    assert not [path for path in (table.parent / "runs").iterdir() if path.is_dir()], "no checkpoints are left"


def test_rows_learnt_one_by_one_are_gathered_into_the_same_table(table):
    repeat.main(["--seeds", "0", "1"])
    at_once = table.read_text()
    table.unlink()
    for name in ("one", "other"):
        for seed in ("0", "1"):
            repeat.main(["--only", name, "--seed", seed])
    assert not table.exists()
    repeat.main(["--gather", "--seeds", "0", "1"])
    assert table.read_text() == at_once


def test_a_row_that_was_not_learnt_is_named(table, capsys):
    repeat.main(["--only", "one", "--seed", "0"])
    with pytest.raises(SystemExit) as stopped:
        repeat.main(["--gather", "--only", "one", "--seeds", "0", "1"])
    assert stopped.value.code == 2
    assert "learn it with --only one --seed 1" in capsys.readouterr().err
    assert not table.exists()


def test_rows_that_are_not_chosen_stay_as_they_are(table):
    repeat.main(["--seeds", "0", "5"])
    before = json.loads(table.read_text())
    repeat.main(["--only", "other", "--seeds", "1"])
    after = json.loads(table.read_text())
    assert after["one"] == before["one"]
    assert list(after["other"]["seeds"]) == ["0", "1", "5"]
    assert {seed: after["other"]["seeds"][seed] for seed in "05"} == before["other"]["seeds"]
    assert after["other"]["summary"]["median_mm"]["mean"] == pytest.approx(2.0), "over all of its seeds"


def test_a_row_of_other_parameters_leaves_and_the_others_of_its_method_stay(table, capsys):
    repeat.main(["--seeds", "0", "1"])
    former = json.loads(table.read_text())
    former["one"]["seeds"]["1"]["given"] = "old"
    table.write_text(json.dumps(former))
    repeat.main(["--only", "other", "--seeds", "0"])
    assert set(json.loads(table.read_text())["one"]["seeds"]) == {"0"}
    assert "one (1) leaves the table: learnt with other parameters" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--seed", "--seeds"])
@pytest.mark.parametrize("seed", ["-1", "1999", "many"])
def test_a_seed_whose_episodes_are_no_training_episodes_is_refused(table, capsys, option, seed):
    with pytest.raises(SystemExit) as stopped:
        repeat.main([option, seed])
    assert stopped.value.code == 2
    assert f"give a whole number of 0..1998, got {seed}" in capsys.readouterr().err


def test_rows_of_other_parameters_are_neither_kept_nor_gathered(table, monkeypatch, capsys):
    repeat.main(["--seeds", "0"])
    monkeypatch.setattr(repeat, "given", {"one": "new", "other": "other's parameters"}.__getitem__)
    repeat.main(["--gather", "--only", "other", "--seeds", "0"])
    assert set(json.loads(table.read_text())) == {"other"}
    assert "one (0) leaves the table: learnt with other parameters" in capsys.readouterr().err
    before = table.read_text()
    with pytest.raises(SystemExit):
        repeat.main(["--gather", "--seeds", "0"])
    assert "one_0.json: learnt with other parameters" in capsys.readouterr().err
    assert table.read_text() == before


@pytest.mark.parametrize("method", METHODS)
def test_what_a_row_depends_on_follows_the_parameters(method, monkeypatch, tmp_path):
    job, file = METHODS[method]
    before = repeat.given(method)
    assert repeat.given(method) == before
    changed = yaml.safe_load(Path(file).read_text())
    changed["agent"]["gamma"] = 0.123
    (tmp_path / "changed.yaml").write_text(yaml.safe_dump(changed))
    monkeypatch.setitem(METHODS, method, (job, str(tmp_path / "changed.yaml")))
    assert repeat.given(method) != before


def test_a_variants_own_stage_is_its_seeds_row(tmp_path, rig, monkeypatch):
    file = tmp_path / "variant.yaml"
    places = {key: str(tmp_path / key) for key in ("policy", "results")}
    file.write_text(yaml.safe_dump({"kind": "end_to_end", **places, "seed": 3}))
    given = given_digest(load_params(file, EndToEndParams), rig)
    written = {"default": ROW, "replay_mb": {"kept": 1.0}, "train_s": 9.0, "given": given}
    monkeypatch.setattr("control.learning.end_to_end.run", lambda params, _: written | {"train_s": float(params.seed)})
    with pytest.raises(DataError, match=r"results/metrics\.json: no such file; run `python -m control\.train"):
        end_to_end(str(file), 3, tmp_path, rig)
    (tmp_path / "results").mkdir()
    (tmp_path / "results/metrics.json").write_text(json.dumps(written))
    assert end_to_end(str(file), 3, tmp_path, rig)["train_s"] == 9.0
    assert end_to_end(str(file), 4, tmp_path, rig)["train_s"] == 4.0, "another seed"


def test_a_stage_that_was_not_given_todays_parameters_is_no_row(tmp_path, rig):
    file = tmp_path / "variant.yaml"
    places = {key: str(tmp_path / key) for key in ("policy", "results")}
    file.write_text(yaml.safe_dump({"kind": "end_to_end", **places}))
    (tmp_path / "results").mkdir()
    written = {"default": ROW, "replay_mb": {"kept": 1.0}, "train_s": 9.0}
    (tmp_path / "results/metrics.json").write_text(json.dumps(written))
    assert end_to_end(str(file), 0, tmp_path, rig)["train_s"] == 9.0, "metrics of before do not name theirs"
    (tmp_path / "results/metrics.json").write_text(json.dumps(written | {"given": "other"}))
    with pytest.raises(
        DataError, match=r"of other parameters.*run `python -m control\.train --config .*variant\.yaml`"
    ):
        end_to_end(str(file), 0, tmp_path, rig)


def test_every_method_of_the_repository_has_parameters():
    assert len(METHODS) == 5
    for _, file in METHODS.values():
        read_params(file)
