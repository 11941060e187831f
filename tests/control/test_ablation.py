import json
from dataclasses import replace

import pytest
import yaml

from control import ablation
from control.ablation import CONDITIONS
from control.train import ControlParams
from datasets.common.config import load_params

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
    "agent": {"steps": 200, "warm_up": 60, "actor_starts": 20, "batch_size": 16, "hidden": 16, "residual_gain": 1.0},
    "true_state_steps": 200,
    "evaluation": {"episodes": 2, "validation_episodes": 1, "tuning_episodes": 1, "gains": [0.1, 0.3], "interval": 100},
}


@pytest.fixture
def config(tmp_path):
    file = tmp_path / "control.yaml"
    file.write_text(yaml.safe_dump({**SMALL, "results": str(tmp_path), "runs": str(tmp_path / "runs")}))
    return file


def test_variants_and_seeds_are_added_to_one_table_and_never_run_twice(config, tmp_path, monkeypatch):
    (tmp_path / "metrics.json").write_text(json.dumps(METRICS))
    for seeds in (["0"], ["0", "1"]):
        ablation.main(["--config", str(config), "--only", "ddpg", "--seeds", *seeds])
    table = json.loads((tmp_path / "ablation.json").read_text())
    assert set(table["baselines"]) == {"proportional", "proportional_fused", "proportional_retuned"}
    assert set(table["variants"]["ddpg"]) == {"0", "1"}
    assert set(table["baselines"]["proportional"]) == set(CONDITIONS)
    assert set(table["summary"]["ddpg"]) == set(CONDITIONS)
    assert table["summary"]["ddpg"]["0.3"]["seeds"] == 2
    monkeypatch.setattr(ablation, "learn", None)
    ablation.main(["--config", str(config), "--only", "ddpg", "--seeds", "0", "1"])


def test_the_table_is_named_by_what_is_learnt_and_tested(config, tmp_path, rig, monkeypatch):
    (tmp_path / "metrics.json").write_text(json.dumps(METRICS))
    params = load_params(config, ControlParams)
    digests = {ablation.table_digest(params, rig)}
    assert digests == {ablation.table_digest(params, rig)}
    known = ablation.variants
    with monkeypatch.context() as other:
        other.setattr(ablation, "variants", lambda agent: known(agent) | {"ddpg": (agent, "true_state")})
        digests.add(ablation.table_digest(params, rig))
    with monkeypatch.context() as other:
        other.setattr(ablation, "LATENCIES_S", (0.0, 0.1, 0.2, 0.4))
        digests.add(ablation.table_digest(params, rig))
    digests.add(ablation.table_digest(replace(params, env=replace(params.env, goal_radius_m=0.1)), rig))
    (tmp_path / "metrics.json").write_text(json.dumps(METRICS).replace("0.05", "0.06"))
    digests.add(ablation.table_digest(params, rig))
    assert len(digests) == 5


def test_it_needs_the_stage_to_have_run(config, capsys):
    with pytest.raises(SystemExit) as stopped:
        ablation.main(["--config", str(config)])
    assert stopped.value.code == 2
    assert "run `python -m control.train` first" in capsys.readouterr().err
