"""An estimator of small, untrained networks, and scenes that it looks at."""

from pathlib import Path

import pytest
import torch

from datasets.rig.envelope import CameraEnvelope
from datasets.rig.rig import Rig
from datasets.scene.randomization import CameraRandomization, LookRandomization, Randomization
from datasets.scene.scene import Scene, SceneSampler
from perception.estimator.estimator import GRAPHS
from perception.evaluation.package import pack
from perception.networks.locator import Locator, LookSettings


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An estimator of small, untrained networks."""
    torch.manual_seed(0)
    rig = Rig.load()
    folder = tmp_path_factory.mktemp("estimator")
    looks = {
        name: Locator(LookSettings.for_rig(name, "voting:8x1", "rgbd", rig))  # type: ignore[arg-type]
        for name in GRAPHS
    }
    pack(looks, rig, CameraEnvelope(), folder)
    return folder


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    plain = LookRandomization(wild_arm=0, occluder=0)
    sampler = SceneSampler(Rig.load(), Randomization(camera=CameraRandomization(), look=plain, depth_noise=(1, 1)))
    return [sampler.sample(seed) for seed in range(100, 112)]
