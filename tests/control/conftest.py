"""The reach task seen through images, in the nominal room and in ever others."""

from collections.abc import Iterator

import pytest

from control.policies.picture import PictureParams
from control.task.env import EnvParams
from control.task.image_env import ImageReachEnv
from datasets.rig.rig import Rig

FRAMES = "params/frames.yaml"


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
