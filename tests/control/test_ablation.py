import json

import pytest
import yaml

from control import ablation
from control.ablation import CONDITIONS
from control.learning.params import ControlParams
from datasets.common.config import load_params
from small_agent import SMALL_AGENT

METRICS = {
    "baselines": {"proportional": {"gain": 0.2}, "proportional_fused": {"gain": 1.0}},
    "error_model": {
        "bias_m": [0.001] * 3,
        "field_m": [0.001] * 3,
        "noise_m": [0.001] * 3,
        "length_m": 0.05,
        "severity": 0.3,
    },
}
SMALL = {
    "agent": SMALL_AGENT,
    "true_state_steps": 200,
    "evaluation": {"episodes": 2, "validation_episodes": 1, "tuning_episodes": 1, "gains": [0.1, 0.3], "interval": 100},
}


@pytest.fixture
def config(tmp_path):
    file = tmp_path / "control.yaml"
    file.write_text(yaml.safe_dump({**SMALL, "results": str(tmp_path), "runs": str(tmp_path / "runs")}))
    return file


def test_variants_are_learnt_row_by_row_and_gathered_with_the_baselines(config, tmp_path, capsys):
    (tmp_path / "metrics.json").write_text(json.dumps(METRICS))
    arguments = ["--config", str(config), "--only", "ddpg"]
    for seed in ("0", "1"):
        ablation.main([*arguments, "--seed", seed])
    assert not (tmp_path / "ablation.json").exists()
    ablation.main([*arguments, "--gather", "--seeds", "0", "1"])
    table = json.loads((tmp_path / "ablation.json").read_text())
    assert set(table["baselines"]) == {"proportional", "proportional_fused", "proportional_retuned"}
    assert set(table["variants"]["ddpg"]) == {"0", "1"}
    assert set(table["baselines"]["proportional"]) == set(CONDITIONS)
    assert set(table["summary"]["ddpg"]) == set(CONDITIONS)
    assert table["summary"]["ddpg"]["0.3"]["seeds"] == 2
    assert "ddpg (2 seeds)" in capsys.readouterr().out
    ablation.main(["--config", str(config), "--only", "short_sighted", "--seeds", "0"])
    assert json.loads((tmp_path / "ablation.json").read_text())["variants"]["ddpg"] == table["variants"]["ddpg"]

    worse = {**METRICS, "error_model": {**METRICS["error_model"], "severity": 0.5}}
    (tmp_path / "metrics.json").write_text(json.dumps(worse))
    with pytest.raises(SystemExit):
        ablation.main([*arguments, "--gather", "--seeds", "0"])
    assert "ddpg_0.json: learnt with other parameters" in capsys.readouterr().err
    ablation.main(["--config", str(config), "--only", "short_sighted", "--seeds", "0"])
    assert set(json.loads((tmp_path / "ablation.json").read_text())["variants"]) == {"short_sighted"}


def test_seeds_that_are_not_chosen_stay_in_the_table(config, tmp_path):
    (tmp_path / "metrics.json").write_text(json.dumps(METRICS))
    arguments = ["--config", str(config), "--only", "ddpg", "--seeds"]
    ablation.main([*arguments, "0"])
    before = json.loads((tmp_path / "ablation.json").read_text())["variants"]["ddpg"]
    ablation.main([*arguments, "1"])
    table = json.loads((tmp_path / "ablation.json").read_text())
    assert set(table["variants"]["ddpg"]) == {"0", "1"}
    assert table["variants"]["ddpg"]["0"] == before["0"]
    assert table["summary"]["ddpg"]["0.0"]["seeds"] == 2


def test_a_row_is_the_same_whenever_it_is_learnt(rig, config, tmp_path):
    (tmp_path / "metrics.json").write_text(json.dumps(METRICS))
    params = load_params(config, ControlParams)
    rows = [ablation.learn_variant(params, rig, "ddpg", 0) for _ in range(2)]
    assert rows[0] | {"train_s": 0} == rows[1] | {"train_s": 0}


@pytest.mark.parametrize(
    "found", [None, "{", "{}", "[]", '{"error_model": []}', json.dumps({**METRICS, "baselines": {}})]
)
def test_it_needs_the_stage_to_have_run(config, tmp_path, capsys, found):
    if found is not None:
        (tmp_path / "metrics.json").write_text(found)
    with pytest.raises(SystemExit) as stopped:
        ablation.main(["--config", str(config)])
    assert stopped.value.code == 2
    assert "run `python -m control.train` first" in capsys.readouterr().err
