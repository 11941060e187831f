"""What varies from scene to scene stays within ranges that can be."""

import pytest

from datasets.common.errors import ConfigError
from datasets.scene.randomization import CameraRandomization, LookRandomization, Randomization


@pytest.mark.parametrize(
    "bad",
    [
        lambda: CameraRandomization(offset_m=-1),
        lambda: CameraRandomization(offset_m=30),
        lambda: LookRandomization(textured=1.5),
        lambda: LookRandomization(clutter=(0, 99)),
        lambda: LookRandomization(key_light=(1, 0)),
        lambda: Randomization(depth_noise=(1, 0)),
        lambda: Randomization(tilt_deg=90),
    ],
)
def test_impossible_ranges_are_refused(bad):
    with pytest.raises(ConfigError):
        bad()
