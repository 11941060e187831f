"""A recording says what it was made with, wherever that was named."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from control.policies.policy import Observation
from datasets.store.recording import Recording
from perception.estimator.estimate import PositionEstimate
from perception.estimator.estimator import PositionEstimator
from pipelines.observers.recorder import FRAMES
from pipelines.setup import setup as setting_up
from pipelines.setup.assemble import _recorder  # what a run records with, without the run
from pipelines.setup.devices import DeviceNames
from pipelines.setup.settings import RuntimeParams
from pipelines.setup.setup import Setup

GOAL = np.array([0.45, 0.08, 0.30])


def told_by(setup, world, folder, **more):
    opened = SimpleNamespace(arm=world.arm, camera=SimpleNamespace(intrinsics=world.rig.camera))
    with _recorder(folder, setup, DeviceNames(), [GOAL], opened, **more) as recorder:
        pass
    return Recording(str(recorder.path), FRAMES).attributes


@pytest.mark.parametrize("named", [{}, {"estimator": "models/other", "policy": "p"}])
def test_the_models_that_were_loaded_are_the_ones_it_names(world, tmp_path, monkeypatch, named):
    loaded = {}
    monkeypatch.setattr(PositionEstimator, "load", lambda folder, rig: loaded.update(estimator=folder))
    monkeypatch.setattr(setting_up, "make_policy", lambda name, rig, settings: loaded.update(policy=name))
    shipped = RuntimeParams.load()
    told = told_by(Setup.load(world.rig, shipped, **named), world, tmp_path)["settings"]
    wanted = {"estimator": shipped.estimator, "policy": shipped.policy} | named
    assert loaded == wanted
    assert {name: told[name] for name in wanted} == wanted


@pytest.mark.parametrize("name", ["proportional", "p"])
def test_the_proportional_controller_has_two_names(rig, settings, name):
    policy = setting_up.make_policy(name, rig, settings)
    estimate = PositionEstimate(GOAL - [0.01, 0.0, 0.0], np.full(3, 0.002))
    step = policy.act(Observation(estimate, GOAL, np.zeros(3)))
    np.testing.assert_allclose(step, [0.01 * settings.proportional_gain, 0.0, 0.0], atol=1e-12)


def test_speed_drive_mode_and_the_way_it_was_begun_are_told(world, knowing_setup, tmp_path):
    told = told_by(replace(knowing_setup, max_speed_m_s=0.05), world, tmp_path / "slow", step=True)
    assert (told["max_speed_m_s"], told["step"], told["shadow"]) == (0.05, True, False)
    assert told["arm_params"]["mode"] == knowing_setup.arm.mode
    told = told_by(knowing_setup, world, tmp_path / "fast")
    assert (told["max_speed_m_s"], told["step"]) == (world.rig.max_speed_m_s, False)
