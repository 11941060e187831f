"""Exports a trained actor to the files that the runtime loads without the trainer's packages."""

import json
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch as th
from stable_baselines3.td3.policies import Actor
from torch import nn

from control.learning.ddpg import BottleneckDDPG
from control.policies.features import SIZE
from control.policies.image_locator import KIND as IMAGE_KIND
from control.policies.image_locator import LOCATOR
from control.policies.picture import CAMERA_SIZE, PictureParams
from control.policies.shipped import DESCRIPTION, GRAPH, KIND, describe
from datasets.common.files import write_whole
from datasets.rig.rig import Rig


class _Graph(nn.Module):
    """The actor as a function of named inputs; ``observation`` ``(1, 16)``, ``desired_goal`` ``(1, 3)`` m."""

    def __init__(self, actor: Actor) -> None:
        super().__init__()
        self._actor = actor

    def forward(self, observation: th.Tensor, desired_goal: th.Tensor) -> th.Tensor:
        return self._actor({"observation": observation, "desired_goal": desired_goal})


def export_actor(actor: Actor, folder: Path, rig: Rig, kind: str = KIND, **more: Any) -> None:
    """Write ``actor.onnx`` and ``policy.json``: two inputs that follow from a camera, and a normalised action.

    ``more`` holds further entries for ``policy.json``.
    """
    examples = {"observation": th.zeros(1, SIZE), "desired_goal": th.zeros(1, 3)}
    write_whole(folder / GRAPH, _graph_bytes(_Graph(actor), examples, ["action"]))
    versions = {name: version(name) for name in ("torch", "stable-baselines3", "sim2real-reach")}
    description = {**describe(rig, kind), **more, "versions": versions}
    write_whole(folder / DESCRIPTION, json.dumps(description, indent=2) + "\n")


def _graph_bytes(network: nn.Module, examples: dict[str, th.Tensor], outputs: list[str]) -> bytes:
    """Returns a network as ONNX, with the weights inside the graph and no information about this machine."""
    exported = th.onnx.export(
        network.cpu().eval(),
        tuple(examples.values()),
        input_names=list(examples),
        output_names=outputs,
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    assert exported is not None
    graph = exported.model_proto
    # The exporter notes source files and call stacks of the machine it ran on.
    for node in graph.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*graph.graph.value_info, *graph.graph.input, *graph.graph.output):
        del value.metadata_props[:]
    del graph.graph.metadata_props[:]
    del graph.metadata_props[:]
    content: bytes = graph.SerializeToString()
    return content


def export_image_actor(agent: BottleneckDDPG, folder: Path, rig: Rig, picture: PictureParams, sigma_m: float) -> None:
    """Write an end-to-end network in two parts: ``locator.onnx``, and the files of :func:`export_actor`.

    The locator's inputs are ``image`` ``(1, C, S, S)`` and ``camera`` ``(1, 16)``.
    """
    locator = agent.locator
    assert locator is not None
    locator.bf16 = False
    size = rig.input_px
    examples = {"image": th.zeros(1, picture.channels, size, size, dtype=th.uint8), "camera": th.ones(1, CAMERA_SIZE)}
    write_whole(folder / LOCATOR, _graph_bytes(locator, examples, ["position"]))
    export_actor(agent.actor, folder, rig, IMAGE_KIND, locator={"picture": asdict(picture), "sigma_m": sigma_m})
