import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch as th
from torch import nn

from control.learning.ddpg import BottleneckDDPG
from control.learning.params import ControlParams
from control.learning.trainer import EvaluationCallback, learn
from control.task.env import ReachEnv
from control.task.sources import ErrorModel, Surrogate
from datasets.common.config import load_params
from datasets.common.errors import ConfigError, DataError

AGENT = load_params("params/control.yaml", ControlParams).agent
PARAMS = replace(AGENT, steps=400, warm_up=60, actor_starts=0, batch_size=32, hidden=16, buffer_size=300)


def make_env() -> ReachEnv:
    return ReachEnv(source=Surrogate(ErrorModel()))


def run(folder):
    return learn(make_env, PARAMS, 3, range(10**9, 10**9 + 2), 100, folder, "learning")


class Killed(Exception):
    pass


def test_a_killed_run_goes_on_as_if_nothing_had_happened(tmp_path, monkeypatch):
    whole = run(tmp_path / "whole")

    on_step = EvaluationCallback._on_step  # the method that SB3 has callbacks define

    def dies(self):
        if self.num_timesteps == 270:
            raise Killed
        return on_step(self)

    with monkeypatch.context() as patch:
        patch.setattr(EvaluationCallback, "_on_step", dies)
        with pytest.raises(Killed):
            run(tmp_path / "killed")
    resumed = run(tmp_path / "killed")

    assert [row["step"] for row in resumed.rows] == [0, 100, 200, 300, 400]
    assert resumed.rows == whole.rows
    assert (resumed.best, resumed.best_step) == (whole.best, whole.best_step)
    one, two = (BottleneckDDPG.load(tmp_path / name / "agent_400.zip", device="cpu") for name in ("whole", "killed"))
    vectors = [nn.utils.parameters_to_vector(agent.policy.parameters()) for agent in (one, two)]
    assert th.equal(*vectors)


def test_a_finished_run_is_not_learnt_again(tmp_path):
    curve = run(tmp_path)
    before = (tmp_path / "best.zip").stat().st_mtime_ns
    assert run(tmp_path).rows == curve.rows
    assert (tmp_path / "best.zip").stat().st_mtime_ns == before
    assert list((tmp_path / "tensorboard_1").iterdir()), "TensorBoard's log"
    assert len(list(tmp_path.glob("agent_*"))) == 1, "old checkpoints are removed"


@pytest.mark.parametrize("name", ["state.pkl", "agent_400.zip", "buffer_400.pkl"])
@pytest.mark.parametrize("damage", ["cut short", "emptied", "gone"])
def test_a_damaged_checkpoint_is_told_with_the_way_out(finished, tmp_path, name, damage):
    if (damage, name) == ("gone", "state.pkl"):
        pytest.skip("without it nothing was interrupted")
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    path = tmp_path / name
    content = path.read_bytes()
    path.unlink()
    if damage != "gone":
        path.write_bytes(content[: len(content) // 2] if damage == "cut short" else b"")
    with pytest.raises(DataError, match=r"checkpoint is damaged .* begin again with --fresh"):
        run(tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    run(folder)
    return folder


def test_environments_are_closed_when_the_learning_ends_however_it_ends(tmp_path, monkeypatch):
    """What is left to the garbage collector frees its GL objects in whichever context is current by then."""
    made, closed = [], []

    class Env(ReachEnv):
        def close(self) -> None:
            closed.append(self)

    def make():
        made.append(Env(source=Surrogate(ErrorModel())))
        return made[-1]

    learn(make, PARAMS, 3, range(10**9, 10**9 + 2), 100, tmp_path / "whole", "learning")
    assert len(made) == 2
    assert set(map(id, closed)) >= set(map(id, made))

    def dies(_):
        raise Killed

    monkeypatch.setattr(EvaluationCallback, "_on_step", dies)  # the method that SB3 has callbacks define
    with pytest.raises(Killed):
        learn(make, PARAMS, 3, range(10**9, 10**9 + 2), 100, tmp_path / "killed", "learning")
    assert len(made) == 4
    assert set(map(id, closed)) >= set(map(id, made))


def test_the_best_actor_is_one_that_was_updated(tmp_path):
    curve = run(tmp_path)
    assert curve.best_step >= 100
    assert curve.best == max(row["mean_reward"] for row in curve.rows if row["step"] >= 100)
    assert np.isfinite(curve.best)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"gamma": 1.0}, "gamma"),
        ({"noise": (0.3, 0.1)}, "noise"),
        ({"batch_size": 0}, "batch_size"),
        ({"steps": 500}, "steps"),
        ({"steps": 12_000, "train_freq": 12, "actor_starts": 1000}, "actor_starts"),
    ],
)
def test_bad_settings_are_refused_by_name(change, key):
    with pytest.raises(ConfigError, match=key):
        replace(AGENT, **{"steps": 1000, "warm_up": 500, "actor_starts": 0, **change})
