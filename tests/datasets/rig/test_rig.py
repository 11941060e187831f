"""The rig file: complete, plausible, and refused with the key's name when it is not."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.arm.kinematics import Kinematics
from datasets.common.config import load_params
from datasets.common.errors import ConfigError
from datasets.rig.envelope import CameraEnvelope
from datasets.rig.projection import Intrinsics, invert, project, transform
from datasets.rig.rig import BASE_TARGET_M, RIG_PATH, Rig
from datasets.scene.randomization import CameraRandomization
from datasets.scene.scene import sample_camera

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


def test_a_rig_file_of_version_0_1_is_the_same_rig(tmp_path, rig):
    path = tmp_path / "rig.yaml"
    path.write_text(GOOD.replace("fovea_width_m: 0.1728", "fovea_side_px: 96"))
    assert Rig.load(path) == rig


@given(st.integers(0, 10_000))
def test_what_an_image_shows_of_the_workspace_is_in_the_glances_window(seed):
    rig, rng = Rig.load(), np.random.default_rng(seed)
    tcp = rng.uniform(rig.workspace.low, rig.workspace.high)
    _, told, k = sample_camera(rng, rig, CameraRandomization(envelope=CameraEnvelope()), tcp)
    window = rig.glance_window(told, k)
    points = transform(invert(told), [tcp, BASE_TARGET_M, *rng.uniform(rig.workspace.low, rig.workspace.high, (50, 3))])
    uv = project(points[points[:, 2] > 0.2], k)
    shown = uv[((uv > 0) & (uv < [k.width - 1, k.height - 1])).all(axis=1)]
    assert len(shown) > 0
    assert ((shown > [window.left, window.top]) & (shown < np.add([window.left, window.top], window.width))).all()
    assert window.width == window.height <= k.width


def test_the_foveas_window_is_as_wide_as_the_rig_says_in_every_camera(rig):
    for k in (Intrinsics(640, 480, 380, 380, 320, 240), Intrinsics(1280, 720, 1400, 1400, 640, 360)):
        for distance in (0.7, 1.2, 1.8):
            window = rig.fovea_window([0.02, -0.01, distance], k)
            assert window.width * distance / k.fx == pytest.approx(rig.fovea_width_m, abs=0.5 * distance / k.fx)


def test_a_workspace_never_contains_what_is_not_finite(rig):
    assert not rig.workspace.contains([np.nan, 0, 0.2])
    assert not rig.workspace.contains([0.4, np.inf, 0.2])
    assert rig.workspace.contains(rig.workspace.low)
