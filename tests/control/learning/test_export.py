"""A trained actor as a file tells nothing but itself."""

import dataclasses

import pytest
import torch as th

from control.learning.export import export_actor
from control.learning.pretrained import ControlParams
from control.learning.trainer import make_agent
from control.task.env import ReachEnv
from datasets.common.config import load_params

AGENT = dataclasses.replace(load_params("params/control.yaml", ControlParams).agent, hidden=16, residual_scale=0.3)


@pytest.fixture(scope="module")
def actor(rig):
    agent = make_agent(ReachEnv(rig=rig), AGENT, seed=0)
    with th.no_grad():
        agent.actor.mu[-2].weight.normal_()
    return agent.actor


@pytest.fixture(scope="module")
def folder(actor, rig, tmp_path_factory):
    folder = tmp_path_factory.mktemp("policy")
    export_actor(actor, folder, rig)
    return folder


def test_the_graph_tells_nothing_of_the_machine_it_was_made_on(folder):
    content = (folder / "actor.onnx").read_bytes()
    for trace in (b"site-packages", b".py", b"/home", b"/work"):
        assert trace not in content
