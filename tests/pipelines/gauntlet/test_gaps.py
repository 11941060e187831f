"""The gaps fit what they change, and one of no use is refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from control.learning.params import ControlParams
from control.task.dynamics import DynamicsParams
from control.task.env import EnvParams
from datasets.common.config import load_params
from datasets.common.errors import ConfigError
from datasets.scene.randomization import CameraRandomization
from pipelines.gauntlet.gaps import Gap, MotionChange, changed
from pipelines.gauntlet.plan import GauntletParams

PARAMS = Path("params/gauntlet.yaml")


@pytest.fixture
def params():
    return load_params(PARAMS, GauntletParams)


def test_every_gap_of_the_parameter_file_fits_what_it_changes(params):
    env = load_params(params.control, ControlParams).env
    for gap in (params.gaps | params.camera_map.gaps()).values():
        gap.check(env)


def test_the_issue_s_gaps_are_all_there(params):
    wanted = (
        "nominal camera_10mm camera_30mm camera_50mm camera_1deg camera_3deg camera_5deg focal_2percent light "
        "colour_texture clutter official_arm depth_noise_x2 depth_holes occluder latency_0ms latency_100ms "
        "latency_200ms latency_300ms action_noise physics payload dropped_frames backlash_3mm curved_arm slow_arm "
        "goal_5cm_per_s start_at_speed"
    )
    assert set(wanted.split()) <= set(params.gaps)


def test_the_payload_differs_from_the_joints_without_it_by_its_mass_alone(params):
    env = load_params(params.control, ControlParams).env
    bare, loaded = (params.gaps[name].env_params(env) for name in ("physics", "payload"))
    assert bare.dynamics.payload_kg == (0.0, 0.0)
    assert loaded.dynamics.payload_kg[0] >= 1.0
    assert replace(loaded, dynamics=replace(loaded.dynamics, payload_kg=(0.0, 0.0))) == bare


def test_a_gap_that_changes_what_there_is_not_is_refused():
    with pytest.raises(ConfigError, match="look has no key 'colour'"):
        Gap("x", "picture", look={"colour": 1}).check(EnvParams())
    with pytest.raises(ConfigError, match="camera_delay_s"):
        Gap("x", "dynamics", dynamics={"camera_delay_s": [3.0, 1.0]}).check(EnvParams())
    with pytest.raises(ConfigError, match="depth_holes"):
        Gap("x", "picture", depth_holes=1.0)


@pytest.mark.parametrize(
    ("part", "values", "message"),
    [
        ("dynamics", {"model": "respons"}, r"dynamics: .*model.*kinematic.*respons"),
        ("dynamics", {"lag_s": 0.2}, r"dynamics: .*lag_s"),
        ("dynamics", {"lag_s": None}, r"dynamics: lag_s is empty"),
        ("dynamics", {"lag_s": [0.2, 0.2, 0.2]}, r"dynamics: .*lag_s"),
        ("camera", {"told_rig": "nope"}, r"camera: .*told_rig"),
        ("camera", {"offset_m": True}, r"camera: .*offset_m"),
        ("look", {"clutter": [0.5, 2]}, r"look: .*clutter"),
        ("look", {"wild_arm": 1.5}, r"^look\.wild_arm must lie in 0\.\.1, got 1\.5"),
    ],
)
def test_a_value_of_another_type_is_refused_before_anything_runs(part, values, message):
    with pytest.raises(ConfigError, match=message) as refused:
        Gap("x", "dynamics", **{part: values}).check(EnvParams())
    assert "\n" not in str(refused.value)


def test_a_gap_is_read_as_a_file_of_parameters_is():
    read = changed(CameraRandomization(), {"told_rig": "no", "offset_m": "0.02"}, "camera")
    assert read == CameraRandomization(told_rig=False, offset_m=0.02)
    assert changed(DynamicsParams(servo_gain=(0.5, 0.5)), {"lag_s": [0.1, 0.2]}, "dynamics") == DynamicsParams(
        servo_gain=(0.5, 0.5), lag_s=(0.1, 0.2)
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"backlash_m": -0.001}, r"motion\.backlash_m must lie in 0\.\.0\.05 m, got -0\.001"),
        ({"gain_xyz": (1.0, 0.0, 1.0)}, r"motion\.gain_xyz must lie in 0\.5\.\.2, got \[1\.0, 0\.0, 1\.0\]"),
        ({"bend_per_m": 6.0}, r"motion\.bend_per_m must lie in 0\.\.5 1/m, got 6\.0"),
        ({"start_speed_m_s": 1.0}, r"motion\.start_speed_m_s must lie in 0\.\.0\.25 m/s, got 1\.0"),
        ({"goal_speed_m_s": float("nan")}, r"motion\.goal_speed_m_s must lie in 0\.\.0\.25 m/s, got nan"),
    ],
)
def test_a_motion_of_no_use_is_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        MotionChange(**wrong)


@pytest.mark.parametrize("wrong", [{"depth_scale_fraction": 0.3}, {"depth_warp_m": -0.001}])
def test_a_depth_camera_of_no_use_is_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Gap("x", "picture", **wrong)
