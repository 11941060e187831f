"""The rig file: complete, plausible, and refused with the key's name when it is not."""

from pathlib import Path

import numpy as np
import pytest

from datasets.arm.kinematics import Kinematics
from datasets.common.config import load_params
from datasets.common.errors import ConfigError
from datasets.rig.projection import invert, project, transform
from datasets.rig.rig import RIG_PATH, Rig

GOOD = Path(RIG_PATH).read_text()


@pytest.mark.parametrize(
    ("line", "broken", "named"),
    [
        ("rate_hz: 10.0", "rate_hzz: 10.0", "rate_hzz"),
        ("  fy: 615.0\n", "", "camera.fy"),
        ("fx: 615.0", "fx: wide", "camera.fx"),
        ("fx: 615.0", "fx: -615.0", "fx=-615"),
        ("[0.25, 0.60]", "[0.60, 0.25]", "workspace.x_m is empty"),
        ("[0.10, 0.50]", "[100, 500]", "metres, not millimetres"),
        ("[1.45, 0.0, 0.60]", "[1.45, 0.0]", "camera_position_m"),
        ("glance_side_px: 480", "glance_side_px: 481", "glance_side_px"),
        ("max_displacement_m: 0.025", "max_displacement_m: 25", "max_displacement_m"),
        ("rate_hz: 10.0", "rate_hz: 0", "rate_hz"),
    ],
)
def test_a_wrong_value_is_refused_by_name_in_one_line(tmp_path, line, broken, named):
    assert line in GOOD
    path = tmp_path / "rig.yaml"
    path.write_text(GOOD.replace(line, broken))
    with pytest.raises(ConfigError, match=named) as refusal:
        Rig.load(path)
    assert "\n" not in str(refusal.value)
    assert "rig.yaml" in str(refusal.value)


def test_an_unknown_key_of_which_nothing_is_said_is_refused_too(tmp_path):
    path = tmp_path / "rig.yaml"
    path.write_text(GOOD + "\nwrkspace: {}\nnotes: {mine: {}}\n")
    with pytest.raises(ConfigError, match=r"rig\.yaml: unknown key wrkspace, notes"):
        Rig.load(path)


@pytest.mark.parametrize("content", ["", "- 1\n- 2\n", "a: [", "just words"])
def test_a_file_that_is_not_a_mapping_is_refused(tmp_path, content):
    path = tmp_path / "rig.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError):
        load_params(path, Rig)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no such parameter file"):
        Rig.load(tmp_path / "rig.yaml")


def test_home_is_where_the_rig_file_says(rig):
    assert np.allclose(Kinematics().tcp(rig.home_joints_rad), [0.400, 0, 0.228], atol=5e-4)


def test_workspace_and_base_are_in_the_glances_view(rig):
    corners = np.stack(np.meshgrid(*np.stack([rig.workspace.low, rig.workspace.high], 1)), -1).reshape(-1, 3)
    uv = project(transform(invert(rig.t_base_camera), [*corners, [0, 0, 0]]), rig.camera)
    window = rig.glance_window
    assert (uv[:, 0] > window.left).all()
    assert (uv[:, 0] < window.left + window.width).all()
    assert (uv[:-1, 1] > window.top - 40).all()  # the corner nearest to the camera and highest is just outside
    assert (uv[:, 1] < window.top + window.height).all()


def test_a_workspace_never_contains_what_is_not_finite(rig):
    assert not rig.workspace.contains([np.nan, 0, 0.2])
    assert not rig.workspace.contains([0.4, np.inf, 0.2])
    assert rig.workspace.contains(rig.workspace.low)
