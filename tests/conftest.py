"""What every test shares: off-screen rendering, quiet libraries, the rig of the repository."""

import os

os.environ.setdefault("MUJOCO_GL", "egl")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import pytest
import torch  # noqa: F401  (imported before any GL context exists: torch's lazy import crashes after one)

from datasets.rig import Rig


@pytest.fixture(scope="session")
def rig() -> Rig:
    """The repository's own rig."""
    return Rig.load()
