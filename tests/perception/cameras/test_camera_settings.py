"""The camera's parameter file, and the intrinsics it tolerates."""

from dataclasses import fields

import pytest

from datasets.common.errors import ConfigError
from perception.cameras.realsense.settings import CAMERA_PATH, CameraParams

SETTINGS = CameraParams()


def test_the_file_names_every_setting() -> None:
    text = CAMERA_PATH.read_text()
    assert all(f"\n{field.name}:" in text for field in fields(CameraParams))
    assert CameraParams.load() == SETTINGS


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("fsp: 30", "fsp"),
        ("fps: fast", "fps"),
        ("fps: 0", "fps"),
        ("max_gap_s: -1", "max_gap_s"),
        ("- 1", "list"),
        ("reopen_after_s: .inf", "reopen_after_s"),
    ],
)
def test_a_wrong_file_is_refused_by_key(tmp_path, line: str, named: str) -> None:
    path = tmp_path / "camera.yaml"
    path.write_text(line)
    with pytest.raises(ConfigError, match=named) as error:
        CameraParams.load(path)
    assert "\n" not in str(error.value)


def test_nan_is_no_setting() -> None:
    with pytest.raises(ConfigError, match="max_skew_s"):
        CameraParams(max_skew_s=float("nan"))


@pytest.mark.parametrize(("changes", "named"), [({"max_gap_s": 0.05}, "max_gap_s"), ({"fps": 6}, "max_gap_s")])
def test_patience_must_fit_the_frame_rate(changes: dict, named: str) -> None:
    with pytest.raises(ConfigError, match=f"{named} must be at least"):
        CameraParams(**changes)
