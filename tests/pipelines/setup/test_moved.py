"""Commands that move the arm about read the same files, and load no trained policy for it."""

import argparse
from pathlib import Path

import pytest

from control.arms.site import SITE_EXAMPLE_PATH, write_measured
from control.policies.shipped import ProportionalPolicy
from datasets.common.errors import ConfigError, SafetyStop
from datasets.rig.rig import Rig
from perception.calibration.calibration import Calibration
from perception.estimator.estimator import PositionEstimator
from pipelines.setup.devices import DeviceNames
from pipelines.setup.moved import add_files, load_setup
from pipelines.setup.settings import RuntimeParams
from pipelines.twin.settings import TwinParams


@pytest.fixture
def loaded(monkeypatch):
    """The setup that a command line names, and the folders of the estimators that were loaded for it."""
    folders = []
    monkeypatch.setattr(PositionEstimator, "load", lambda folder, rig: folders.append(folder))

    def load(*arguments, names=DeviceNames(), **more):  # noqa: B008  (frozen)
        parser = argparse.ArgumentParser()
        add_files(parser)
        options = argparse.Namespace(**{"max_speed": None, **vars(parser.parse_args(arguments)), **more})
        return (*load_setup(options, names), folders)

    return load


def test_without_options_the_shipped_files_are_read(loaded, rig):
    setup, twin, folders = loaded()
    assert (setup.rig, twin) == (rig, TwinParams.load())
    assert folders == [RuntimeParams.load().estimator]


def test_no_trained_policy_is_loaded(loaded):
    assert isinstance(loaded()[0].policy, ProportionalPolicy)


def test_the_files_that_are_named_take_the_place_of_the_shipped(loaded, tmp_path):
    rig = (tmp_path / "rig.yaml", "params/rig.yaml", "fovea_width_m: 0.1728", "fovea_width_m: 0.15")
    twin = (tmp_path / "twin.yaml", "params/twin.yaml", "[0.0, 0.0, 0.0]", "[0.01, 0.0, 0.0]")
    for path, shipped, old, new in (rig, twin):
        text = Path(shipped).read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))
    setup, settings, _ = loaded("--rig", str(rig[0]), "--twin", str(twin[0]))
    assert setup.rig == Rig.load(rig[0])
    assert setup.rig.fovea_width_m == 0.15
    assert settings == TwinParams.load(twin[0])
    assert settings != TwinParams.load()


def test_another_estimator_and_a_slower_speed_are_the_command_s(loaded):
    setup, _, folders = loaded(max_speed=0.05, estimator="models/other")
    assert folders == ["models/other"]
    assert setup.max_speed_m_s == 0.05
    assert setup.fence.max_displacement_m == pytest.approx(0.05 / setup.rig.rate_hz)


def test_the_site_that_is_named_narrows_the_box(loaded, tmp_path):
    site = tmp_path / "site.yaml"
    site.write_text("keep_within: {x_m: [0.30, 0.50], y_m: [-0.20, 0.08], z_m: [0.12, 0.45]}")
    assert list(loaded("--site", str(site))[0].fence.high_m) == [0.50, 0.08, 0.45]
    assert loaded("--site", str(SITE_EXAMPLE_PATH))[0].site is not None


def test_a_real_arm_is_moved_above_the_table_that_was_measured(loaded, rig, tmp_path):
    site = tmp_path / "site.yaml"
    write_measured(site, Calibration.of_pose(rig.t_base_camera, "today", table_z_m=0.07))
    real = DeviceNames.of("realsense", "192.168.1.9")
    with pytest.raises(SafetyStop, match=r"table lies at 0\.070 m; raise keep_within"):
        loaded("--site", str(site), names=real)
    assert loaded("--site", str(site))[0].clearance.table_z_m == 0.0, "the twin has its own table"
    write_measured(site, Calibration.of_pose(rig.t_base_camera, "today", table_z_m=0.015))
    assert loaded("--site", str(site), names=real)[0].clearance.table_z_m == 0.015


def test_a_file_that_is_not_there_is_refused_by_name(loaded):
    for option in ("--rig", "--runtime", "--twin", "--site"):
        with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
            loaded(option, "nowhere.yaml")
