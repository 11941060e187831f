"""The intrinsics that a camera reports: adopted when close to the rig's, refused when not."""

import logging
from types import SimpleNamespace

import pytest

from datasets.common.errors import DeviceError
from datasets.rig.rig import Rig
from perception.cameras.realsense.intrinsics import adopt_intrinsics
from perception.cameras.realsense.settings import CameraParams

SETTINGS = CameraParams()


def reported(**changes: object) -> SimpleNamespace:
    """What librealsense says of a D435's colour stream."""
    values = {
        "width": 640, "height": 480, "fx": 615.0, "fy": 615.0, "ppx": 320.0, "ppy": 240.0,
        "model": "Inverse Brown Conrady", "coeffs": [0.0] * 5,
    }  # fmt: skip
    return SimpleNamespace(**(values | changes))


def test_equal_intrinsics_are_adopted_silently(rig: Rig, caplog) -> None:
    with caplog.at_level(logging.INFO):
        assert adopt_intrinsics(reported(), rig.camera, SETTINGS) == rig.camera
    assert not caplog.records


def test_close_intrinsics_are_adopted_with_a_sentence(rig: Rig, caplog) -> None:
    with caplog.at_level(logging.INFO):
        adopted = adopt_intrinsics(reported(fx=609.1, ppx=325.5), rig.camera, SETTINGS)
    assert (adopted.fx, adopted.cx) == (609.1, 325.5)
    assert "the camera's own intrinsics are used: fx 609.1" in caplog.text


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"width": 600}, "images are 600x480 px, the rig's 640x480"),
        ({"coeffs": [-0.055, 0.066, 0, 0, -0.02]}, "lens distortion .*largest coefficient 0.066"),
        ({"fx": 1000.0}, "focal lengths .* differ by 62.6% .* at most 55.0%"),
        ({"fy": float("nan")}, "focal lengths .*nan.* not numbers"),
        ({"ppy": 280.0}, "principal point .* 40.0 px from"),
    ],
)
def test_unlike_intrinsics_are_refused_with_a_sentence(rig: Rig, changes: dict, sentence: str) -> None:
    with pytest.raises(DeviceError, match=sentence) as error:
        adopt_intrinsics(reported(**changes), rig.camera, SETTINGS)
    assert "\n" not in str(error.value)
