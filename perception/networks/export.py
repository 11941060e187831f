"""Trained looks as ONNX graphs: weights inside, no trace of the building machine, same bytes for same weights."""

import tempfile
import warnings
from pathlib import Path

import onnx
import torch

from datasets.common.files import write_whole
from perception.networks.locator import Locator, graph, zero_inputs

OPSET = 20


def export_look(locator: Locator, path: Path) -> None:
    """Write one look to ``path``, whole or not at all; its inputs are :func:`perception.networks.locator.graph`'s."""
    locator = locator.eval().to(memory_format=torch.contiguous_format)
    module = graph(locator).eval()
    inputs = zero_inputs(locator.settings)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        raw = Path(folder) / "look.onnx"
        torch.onnx.export(
            module,
            tuple(inputs.values()),
            raw,
            input_names=list(inputs),
            output_names=["xyz", "sigma"],
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        model = onnx.load(raw)
    _strip(model)
    onnx.checker.check_model(model)
    write_whole(path, model.SerializeToString(deterministic=True))


def _strip(model: onnx.ModelProto) -> None:
    """Remove source paths, stack traces and docstrings that the exporter leaves."""
    del model.metadata_props[:]
    model.doc_string = ""
    graph_proto = model.graph
    graph_proto.doc_string = ""
    del graph_proto.metadata_props[:]
    for item in (*graph_proto.node, *graph_proto.value_info, *graph_proto.input, *graph_proto.output):
        item.doc_string = ""
        del item.metadata_props[:]
    for tensor in graph_proto.initializer:
        tensor.doc_string = ""
        del tensor.metadata_props[:]
    for function in model.functions:
        function.doc_string = ""
        del function.metadata_props[:]
        for node in function.node:
            node.doc_string = ""
            del node.metadata_props[:]
