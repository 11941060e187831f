"""A graph from elsewhere is looked at before it runs: no other files, no operators of its own, no absurd memory."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from datasets.common.errors import ModelError
from perception.estimator.graphs import open_graph_file

FLOAT = TensorProto.FLOAT


def write(path, nodes, initializers=(), out=(1, 3), into=(1, 3), functions=(), domains=("",)):
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", FLOAT, into)],
        [helper.make_tensor_value_info("y", FLOAT, out)],
        list(initializers),
    )
    opsets = [helper.make_opsetid(domain, 18 if not domain else 1) for domain in domains]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9, functions=list(functions))
    path.write_bytes(model.SerializeToString())
    return path


def named(name, values):
    return numpy_helper.from_array(np.asarray(values), name)


def test_a_plain_network_opens_and_runs(tmp_path):
    path = write(tmp_path / "a.onnx", [helper.make_node("Add", ["x", "x"], ["y"])])
    (y,) = open_graph_file(path, "train it").run(None, {"x": np.ones((1, 3), np.float32)})
    np.testing.assert_array_equal(y, 2)


def grown(size):
    """A value of ``size`` numbers, computed out of a few bytes."""
    return (
        [
            helper.make_node("ConstantOfShape", ["size"], ["huge"]),
            helper.make_node("ReduceSum", ["huge"], ["sum"], keepdims=0),
            helper.make_node("Add", ["x", "sum"], ["y"]),
        ],
        [named("size", np.array(size, np.int64))],
    )


def squared(size):
    return (
        [
            helper.make_node("Expand", ["x", "size"], ["wide"]),
            helper.make_node("ReduceSum", ["wide"], ["sum"], keepdims=0),
            helper.make_node("Add", ["x", "sum"], ["y"]),
        ],
        [named("size", np.array(size, np.int64))],
    )


@pytest.mark.parametrize("make", [grown, squared])
def test_a_graph_that_asks_for_absurd_memory_is_refused_in_a_sentence(tmp_path, make):
    nodes, initializers = make([2**33, 3])
    with pytest.raises(ModelError, match=r"asks for \d+.\d GB of memory, limit 1 GB; train it"):
        open_graph_file(write(tmp_path / "a.onnx", nodes, initializers), "train it")


def test_a_size_that_cannot_be_told_is_refused(tmp_path):
    nodes = [
        helper.make_node("Cast", ["x"], ["size"], to=TensorProto.INT64),
        helper.make_node("Squeeze", ["size"], ["flat"]),
        helper.make_node("ConstantOfShape", ["flat"], ["huge"]),
        helper.make_node("ReduceSum", ["huge"], ["sum"], keepdims=0),
        helper.make_node("Add", ["x", "sum"], ["y"]),
    ]
    with pytest.raises(ModelError, match="size of huge is unknown"):
        open_graph_file(write(tmp_path / "a.onnx", nodes), "train it")


def test_what_a_graph_says_of_its_own_sizes_does_not_count(tmp_path):
    nodes, initializers = grown([2**33])
    path = write(tmp_path / "a.onnx", nodes, initializers)
    model = onnx.load(path)
    model.graph.value_info.append(helper.make_tensor_value_info("huge", FLOAT, [1]))
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="GB of memory"):
        open_graph_file(path, "train it")


@pytest.mark.parametrize("location", ["data.bin", "/etc/passwd", "../elsewhere.bin"])
def test_data_in_other_files_is_refused(tmp_path, location):
    tensor = named("w", np.ones((1, 3), np.float32))
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    (tmp_path / "data.bin").write_bytes(bytes(12))
    path = write(tmp_path / "a.onnx", [helper.make_node("Add", ["x", "w"], ["y"])], [tensor])
    with pytest.raises(ModelError, match="data in other files"):
        open_graph_file(path, "train it")


def test_operators_and_graphs_of_its_own_are_refused(tmp_path):
    node = helper.make_node("Own", ["x"], ["y"], domain="somebody")
    with pytest.raises(ModelError, match=r"operators that ONNX does not define \(somebody\)"):
        open_graph_file(write(tmp_path / "a.onnx", [node], domains=("", "somebody")), "train it")
    branch = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["z"])], "b", [], [helper.make_tensor_value_info("z", FLOAT, (1, 3))]
    )
    node = helper.make_node("If", ["yes"], ["y"], then_branch=branch, else_branch=branch)
    path = write(tmp_path / "b.onnx", [node], [named("yes", np.array(True))])
    with pytest.raises(ModelError, match="nested graphs"):
        open_graph_file(path, "train it")


@pytest.mark.parametrize("content", [b"", b"no network", bytes(1000)])
def test_what_is_no_network_is_refused(tmp_path, content):
    path = tmp_path / "a.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"a\.onnx: "):
        open_graph_file(path, "train it")


def test_a_file_of_absurd_size_is_refused_unread(tmp_path):
    path = tmp_path / "a.onnx"
    with path.open("wb") as file:
        file.truncate(2**34)
    with pytest.raises(ModelError, match="16384 MB"):
        open_graph_file(path, "train it")


@pytest.mark.parametrize("path", sorted(Path("models").glob("*/*.onnx")), ids=str)
def test_the_shipped_graphs_open(path):
    open_graph_file(path, "train it")
