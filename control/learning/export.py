"""A trained actor into the files that the runtime loads, without its trainer."""

import json
from importlib.metadata import version
from pathlib import Path

import torch as th
from stable_baselines3.td3.policies import Actor
from torch import nn

from control.learning.extractors import BottleneckExtractor
from control.policies.features import SIZE
from control.policies.image_policy import KIND as IMAGE_KIND
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


def export_actor(actor: Actor, folder: Path, rig: Rig) -> None:
    """Write ``actor.onnx`` and ``policy.json``: two inputs that a camera can tell, and a normalised action."""
    examples = {"observation": th.zeros(1, SIZE), "desired_goal": th.zeros(1, 3)}
    write_graph(_Graph(actor), examples, ["action"], folder, rig, KIND)


def write_graph(
    network: nn.Module, examples: dict[str, th.Tensor], outputs: list[str], folder: Path, rig: Rig, kind: str
) -> None:
    """Write a network and its description; the weights lie inside the graph, and nothing tells of this machine."""
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
    write_whole(folder / GRAPH, graph.SerializeToString())
    versions = {name: version(name) for name in ("torch", "stable-baselines3", "sim2real-reach")}
    write_whole(folder / DESCRIPTION, json.dumps({**describe(rig, kind), "versions": versions}, indent=2) + "\n")


class _ImageGraph(nn.Module):
    def __init__(self, actor: Actor, extractor: BottleneckExtractor) -> None:
        super().__init__()
        self._extractor, self._mu = extractor, actor.mu

    def forward(self, image: th.Tensor, command: th.Tensor, desired_goal: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        seen = {"image": image, "command": command, "desired_goal": desired_goal}
        features = self._extractor(seen)
        return self._mu(features), features[:, :3]


def export_image_actor(actor: Actor, folder: Path, rig: Rig) -> None:
    """Write ``actor.onnx`` and ``policy.json`` of an actor on a :class:`BottleneckExtractor`."""
    extractor = actor.features_extractor
    assert isinstance(extractor, BottleneckExtractor)
    extractor.bf16 = False
    size = rig.input_px
    examples = {
        "image": th.zeros(1, 3, size, size, dtype=th.uint8),
        "command": th.zeros(1, 3),
        "desired_goal": th.zeros(1, 3),
    }
    write_graph(_ImageGraph(actor, extractor), examples, ["action", "position"], folder, rig, IMAGE_KIND)
