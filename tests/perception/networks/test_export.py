"""Exported looks compute what was trained, and carry their weights and no trace of the machine."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from datasets.rig.envelope import CameraEnvelope
from datasets.rig.rig import Rig
from perception.estimator.estimator import DESCRIPTION, GRAPHS
from perception.evaluation.package import pack
from perception.networks.locator import Locator, LookSettings, graph, zero_inputs


@pytest.mark.parametrize("look", [*GRAPHS])
def test_the_exported_graph_computes_what_was_trained(look: str, packed: Path) -> None:
    torch.manual_seed(0)
    rig = Rig.load()
    looks = [
        Locator(LookSettings.for_rig(name, "voting:8x1", "rgbd", rig)).eval()  # type: ignore[arg-type]
        for name in GRAPHS
    ]
    locator = looks[[*GRAPHS].index(look)]
    rng = np.random.default_rng(0)
    inputs = zero_inputs(locator.settings)
    inputs["rgb"] = torch.tensor(rng.integers(0, 256, inputs["rgb"].shape, dtype=np.uint8))
    inputs["depth"] = torch.tensor(rng.uniform(0.9, 1.1, inputs["depth"].shape).astype(np.float32))
    session = onnxruntime.InferenceSession(str(packed / f"{look}.onnx"))
    found = session.run(["xyz", "sigma"], {name: tensor.numpy() for name, tensor in inputs.items()})
    with torch.no_grad():
        expected = graph(locator)(*inputs.values())
    np.testing.assert_allclose(found[0], expected[0], atol=1e-5)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-4)


def test_graphs_carry_their_weights_and_no_trace_of_the_machine(packed: Path) -> None:
    assert {path.name for path in packed.iterdir()} == {*GRAPHS.values(), DESCRIPTION}
    for path in packed.glob("*.onnx"):
        model = onnx.load(path, load_external_data=False)
        assert not any(tensor.external_data for tensor in model.graph.initializer)
        assert not model.metadata_props
        assert not any(node.metadata_props or node.doc_string for node in model.graph.node)
        assert b".py" not in path.read_bytes()


def test_the_same_weights_give_the_same_bytes(packed: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    rig = Rig.load()
    looks = {
        name: Locator(LookSettings.for_rig(name, "voting:8x1", "rgbd", rig))  # type: ignore[arg-type]
        for name in GRAPHS
    }
    pack(looks, rig, CameraEnvelope(), tmp_path)
    for name in (*GRAPHS.values(), DESCRIPTION):
        assert (tmp_path / name).read_bytes() == (packed / name).read_bytes()
