"""Checks ONNX graphs before they run, so that a file from elsewhere gets no more memory than a network needs."""

import math
from pathlib import Path

import onnx
import onnxruntime

from datasets.common.errors import ModelError

_MOST_FILE_BYTES = 256 * 2**20
_MOST_BYTES = 2**30
"""Largest size of everything that a graph computes, if it were all kept; the shipped ones take 14 MB."""
_BYTES_EACH = 8
_LISTED = 5


def open_graph_file(path: Path, remedy: str) -> onnxruntime.InferenceSession:
    """A session of one thread on a graph that was checked; ``remedy`` is the advice of the error message.

    Raises:
        ModelError: not a network, or one that needs other files, computes values of unknown size or of a size that
            is absurd, or brings operators of its own.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        if path.stat().st_size > _MOST_FILE_BYTES:
            raise ModelError(
                f"{path}: {path.stat().st_size / 2**20:.0f} MB, which is not a network of this project; {remedy}"
            )
        content = path.read_bytes()
        model = onnx.load_model_from_string(content)
        if fault := _fault_of(model):
            raise ModelError(f"{path}: {fault}; {remedy}")
        # From memory, so that exactly the checked content is opened, and no other file.
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except ModelError:
        raise
    except Exception as error:  # both libraries raise their own, undocumented types; each one means an unusable file
        raise ModelError(f"{path}: not a network that ONNX Runtime can open ({error}); {remedy}") from error


def _fault_of(model: onnx.ModelProto) -> str | None:
    """Why a graph is refused, in words; None for one that is accepted."""
    graph = model.graph
    attributes = [attribute for node in graph.node for attribute in node.attribute]
    domains = {each.domain for each in (*model.opset_import, *graph.node)} - {"", "ai.onnx"}
    if domains:
        return f"it needs operators that ONNX does not define ({', '.join(sorted(domains))})"
    if model.functions or any(attribute.HasField("g") or attribute.graphs for attribute in attributes):
        return "it contains nested graphs, whose memory is unknown before they run"
    tensors = [
        *graph.initializer,
        *(each.t for each in attributes if each.HasField("t")),
        *(tensor for each in attributes for tensor in each.tensors),
        *(part for sparse in graph.sparse_initializer for part in (sparse.values, sparse.indices)),
    ]
    if any(tensor.external_data or tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in tensors):
        return "it asks for data in other files"
    del graph.value_info[:]  # the graph's own statements; only what follows from its inputs counts
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    sizes = {each.name: _elements(each) for each in (*inferred.input, *inferred.value_info, *inferred.output)}
    names = {name for node in graph.node for name in node.output if name} | {each.name for each in graph.input}
    unknown = sorted(name for name in names if sizes.get(name) is None)
    if unknown:
        return f"the size of {', '.join(unknown[:_LISTED])} is unknown before it runs"
    elements = sum(sizes[name] or 0 for name in names) + sum(math.prod(tensor.dims) for tensor in tensors)
    if _BYTES_EACH * elements > _MOST_BYTES:
        return f"it asks for {_BYTES_EACH * elements / 2**30:.1f} GB of memory, limit {_MOST_BYTES / 2**30:.0f} GB"
    return None


def _elements(value: onnx.ValueInfoProto) -> int | None:
    """How many numbers a value holds; None where that depends on what it is given."""
    tensor = value.type.tensor_type
    if not tensor.HasField("shape") or not all(dim.HasField("dim_value") for dim in tensor.shape.dim):
        return None
    return math.prod(dim.dim_value for dim in tensor.shape.dim)
