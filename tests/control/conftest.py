"""A small actor, shipped; and the reach task seen through images, in the nominal room and in ever others."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch as th
from stable_baselines3.common.policies import BasePolicy

from control.learning.export import export_actor
from control.learning.params import ControlParams
from control.learning.trainer import make_agent
from control.policies.picture import PictureParams
from control.task.env import EnvParams, ReachEnv
from control.task.image_env import ImageReachEnv
from datasets.common.config import load_params
from datasets.rig.rig import Rig

AGENT = dataclasses.replace(load_params("params/control.yaml", ControlParams).agent, hidden=16, residual_scale=0.3)
FRAMES = "params/frames.yaml"


@pytest.fixture(scope="module")
def actor(rig: Rig) -> BasePolicy:
    agent = make_agent(ReachEnv(rig=rig), AGENT, seed=0)
    with th.no_grad():
        agent.actor.mu[-2].weight.normal_()
    return agent.actor


@pytest.fixture(scope="module")
def folder(actor: BasePolicy, rig: Rig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("policy")
    export_actor(actor, folder, rig)
    return folder


@pytest.fixture(scope="module")
def env(rig: Rig) -> Iterator[ImageReachEnv]:
    env = ImageReachEnv(EnvParams(), FRAMES, "nominal", rig=rig)
    yield env
    env.close()


@pytest.fixture(scope="module")
def elsewhere(rig: Rig) -> Iterator[ImageReachEnv]:
    """Every step in another scene, the camera moved and measured again, and depth seen too."""
    picture = PictureParams(depth=True, pose="told")
    env = ImageReachEnv(EnvParams(), FRAMES, "shifted", picture, learning=True, horizon=6, rig=rig)
    yield env
    env.close()
