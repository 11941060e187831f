"""A look that sees a single cell: its votes have no spread, and its sigma must be a number all the same."""

import numpy as np
import onnxruntime
import torch

from datasets.rig.rig import Rig
from perception.networks.export import export_look
from perception.networks.locator import Locator, LookSettings, graph, zero_inputs


def test_sigma_is_a_number_when_one_cell_alone_votes(tmp_path):
    torch.manual_seed(0)
    settings = LookSettings.for_rig("fovea", "voting:16x1", "rgbd", Rig.load())
    locator = Locator(settings).eval()
    inputs = zero_inputs(settings)
    inputs["depth"] = torch.zeros_like(inputs["depth"])
    inputs["depth"][:, 40:44, 40:44] = 1.0
    inputs["columns"], inputs["rows"] = inputs["columns"] + 278, inputs["rows"] + 198
    with torch.no_grad():
        _, sigma = graph(locator)(*inputs.values())
    export_look(locator, tmp_path / "fovea.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "fovea.onnx", providers=["CPUExecutionProvider"])
    (exported,) = session.run(["sigma"], {name: value.numpy() for name, value in inputs.items()})
    assert torch.isfinite(sigma).all()
    assert np.isfinite(exported).all()
    assert np.allclose(exported, sigma.numpy(), rtol=1e-3)
