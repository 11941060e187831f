import json
from pathlib import Path

import pytest
import yaml

from control import train
from control.learning import pretrained
from control.learning.params import ControlParams
from control.policies.shipped import load_policy
from control.task.sources import ErrorModel, Surrogate
from small_agent import SMALL_AGENT

SMALL = {
    "agent": SMALL_AGENT,
    "true_state_steps": 200,
    "evaluation": {
        "episodes": 6,
        "validation_episodes": 2,
        "tuning_episodes": 3,
        "gains": [0.2, 1.0],
        "interval": 100,
        "rooms": 5,
        "workers": 1,
    },
}


class StandIn(Surrogate):
    """Stands in for the rendered scenes, which need trained networks."""

    def __init__(self, params, rig) -> None:
        super().__init__(ErrorModel())

    def close(self) -> None:
        pass


def write(folder: Path, **changes) -> Path:
    values = {
        **SMALL,
        "policy": str(folder / "policy"),
        "results": str(folder / "results"),
        "runs": str(folder / "runs"),
    }
    file = folder / "control.yaml"
    file.write_text(yaml.safe_dump({**values, **changes}))
    return file


def without_times(metrics: dict) -> dict:
    return {key: value for key, value in metrics.items() if not key.endswith("_s")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What the stage leaves."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretrained, "RenderedSource", StandIn)
        train.main(["--config", str(write(folder))])
    return folder


@pytest.mark.slow
def test_the_stage_leaves_all_that_it_promises(whole, rig):
    metrics = json.loads((whole / "results/metrics.json").read_text())
    keys = {"n", "success_5mm", "success_10mm", "success_20mm", "success_50mm", "median_mm", "p95_mm"}
    assert metrics["default"].keys() >= keys
    assert set(metrics["baselines"]) == {"ddpg_true_state", "proportional", "proportional_fused"}
    assert all(entry.keys() >= keys and entry["n"] == 6 for entry in metrics["baselines"].values())
    assert {path.name for path in (whole / "results").iterdir()} == {
        "metrics.json",
        "curve.csv",
        "curve.png",
        "episodes.csv",
        "final.png",
    }
    load_policy(whole / "policy", rig)
    assert [path.name for path in (whole / "runs").iterdir()] == ["tensorboard"], "no checkpoints are left"


def test_the_shipped_parameters_fit():
    from datasets.common.config import load_params

    params = load_params("params/control.yaml", ControlParams)
    assert params.evaluation.interval % params.env.horizon == 0


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"sed": 1}, "sed"),
        ({"agent": {"gamma": 2.0}}, "gamma"),
        ({"evaluation": {"interval": 75}}, "interval"),
        ({"agent": SMALL_AGENT | {"train_freq": 3}}, "evaluation.interval must be a multiple of agent.train_freq, 3"),
        ({"seed": 1999}, "seed must lie in 0..1998, got 1999"),
        ({"env": {"dynamics": {"camera_delay_s": [0.3, 0.1]}}}, "camera_delay_s"),
        ({"rooms": {"estimator": "no/such/folder"}}, "no such model file"),
    ],
)
def test_bad_input_is_one_line_exit_code_2_and_nothing_written(tmp_path, changes, says, capsys):
    with pytest.raises(SystemExit) as stopped:
        train.main(["--config", str(write(tmp_path, **changes))])
    said = capsys.readouterr().err
    assert stopped.value.code == 2
    assert len(said.strip().splitlines()) == 1
    assert says in said
    assert {path.name for path in tmp_path.iterdir()} == {"control.yaml"}


@pytest.mark.slow
def test_an_interrupted_run_says_so_and_goes_on_later_to_the_same(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained, "RenderedSource", StandIn)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pretrained, "tune", interrupt)
        with pytest.raises(SystemExit) as stopped:
            train.main(["--config", str(write(tmp_path))])
    assert stopped.value.code == 130
    assert not (tmp_path / "results").exists()
    assert not (tmp_path / "policy").exists()

    def never(*_: object, **__: object) -> None:
        raise AssertionError("what was learnt or measured is not done again")

    monkeypatch.setattr(pretrained, "fit_error_model", never)
    monkeypatch.setattr("control.learning.trainer.make_agent", never)
    train.main(["--config", str(write(tmp_path))])
    once, again = (json.loads((folder / "results/metrics.json").read_text()) for folder in (whole, tmp_path))
    assert without_times(again) == without_times(once), "the same seed learns and measures the same"
