import json
from dataclasses import replace

import pytest

from control import end_to_end, repeat
from control.end_to_end import EndToEndParams
from control.repeat import SUMMARIZED, jobs
from control.repeat import repeat as repeat_all
from control.train import ControlParams
from datasets.common.config import load_params
from datasets.common.errors import ConfigError

ROW = dict.fromkeys(SUMMARIZED, 1.0)
SMALL = """
agent: {steps: 200, warm_up: 60, actor_starts: 20, batch_size: 16, hidden: 16, residual_gain: 1.0}
true_state_steps: 200
evaluation: {episodes: 2, validation_episodes: 1, interval: 100}
"""


@pytest.fixture
def files(tmp_path):
    (tmp_path / "control.yaml").write_text(SMALL)
    return {"true_state": str(tmp_path / "control.yaml")}


@pytest.mark.slow
def test_true_state_learns_and_is_tested_without_an_estimator(tmp_path, rig, files):
    found = repeat_all(files, [0, 1], rig, tmp_path / "seeds.json", tmp_path / "runs")["true_state"]
    assert set(found["seeds"]) == {"0", "1"}
    assert all(row["n"] == 2 and row["train_s"] > 0 for row in found["seeds"].values())
    assert set(found["summary"]) == set(SUMMARIZED)
    assert found["summary"]["median_mm"]["half_width"] >= 0
    assert not list((tmp_path / "runs").iterdir()), "no checkpoints are left"


def test_finished_seeds_are_kept_and_others_added(tmp_path, rig, files, monkeypatch):
    ran = []

    def learns(params, rig, seed, folder):
        ran.append(seed)
        if seed == 2:
            raise KeyboardInterrupt
        return ROW | {"median_mm": float(seed)}

    monkeypatch.setattr(repeat, "true_state", learns)
    table = tmp_path / "seeds.json"
    with pytest.raises(KeyboardInterrupt):
        repeat_all(files, [0, 1, 2], rig, table, tmp_path)
    assert set(json.loads(table.read_text())["true_state"]["seeds"]) == {"0", "1"}
    repeat_all(files, [0, 1, 3], rig, table, tmp_path)
    assert ran == [0, 1, 2, 3]
    summary = json.loads(table.read_text())["true_state"]["summary"]["median_mm"]
    # Student's t of 2 degrees of freedom, 4.303, times the standard error of 0, 1, 3.
    assert summary == {"mean": pytest.approx(4 / 3, abs=1e-3), "half_width": pytest.approx(3.795, abs=1e-3)}


def test_other_parameters_forget_what_was_learnt_with_the_old(tmp_path, rig, files, monkeypatch):
    monkeypatch.setattr(repeat, "true_state", lambda *_: dict(ROW))
    table = tmp_path / "seeds.json"
    repeat_all(files, [0, 1], rig, table, tmp_path)
    (tmp_path / "control.yaml").write_text(SMALL + "seed: 7\n")
    assert set(repeat_all(files, [5], rig, table, tmp_path)["true_state"]["seeds"]) == {"5"}


def test_a_variants_own_stage_is_its_seeds_row(tmp_path, rig, monkeypatch):
    params = EndToEndParams("end_to_end", str(tmp_path / "policy"), str(tmp_path / "results"), seed=3)
    written = {
        "default": ROW,
        "replay_mb": {"kept": 1.0},
        "train_s": 9.0,
        "parameters": end_to_end.run_digest(params, rig),
    }
    (tmp_path / "results").mkdir()
    (tmp_path / "results/metrics.json").write_text(json.dumps(written))
    learnt = {"default": ROW, "replay_mb": {"kept": 2.0}, "train_s": 8.0}
    monkeypatch.setattr(repeat, "run_end_to_end", lambda params, _: learnt | {"train_s": float(params.seed)})
    assert repeat.end_to_end(params, rig, 3, tmp_path)["train_s"] == 9.0
    assert repeat.end_to_end(params, rig, 4, tmp_path)["train_s"] == 4.0, "another seed"
    assert repeat.end_to_end(replace(params, hindsight=2), rig, 3, tmp_path)["train_s"] == 3.0, "other parameters"


def test_every_method_of_the_repository_has_parameters(rig):
    assert len(jobs(repeat.METHODS, rig)) == 4
    assert load_params(repeat.METHODS["true_state"], ControlParams).true_state_steps > 0
    with pytest.raises(ConfigError, match="no method 'ppo'"):
        jobs({"ppo": "params/control.yaml"}, rig)


def test_the_command_refuses_what_it_does_not_know(capsys):
    with pytest.raises(SystemExit) as stopped:
        repeat.main(["--only", "ppo"])
    assert stopped.value.code == 2
    assert "ppo" in capsys.readouterr().err
