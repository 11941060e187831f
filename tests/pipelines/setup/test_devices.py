"""Devices by their names: no camera goes with an arm that it cannot see, and no arm moves that was not named."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.arms.absent import AbsentArm
from control.arms.joint_band import JointBand
from control.arms.xarm.driver import XArm
from control.arms.xarm.shadow import ShadowArm
from datasets.common.errors import ConfigError
from datasets.store.recording import FRAMES
from perception.calibration.calibration import Calibration
from perception.cameras.playback import PlaybackCamera
from perception.cameras.realsense.camera import RealSenseCamera
from pipelines.setup.devices import NO_ARM, REALSENSE, TWIN, DeviceNames, make_arm, make_camera

ADDRESS = "192.168.1.203"
CAMERAS = st.sampled_from([None, TWIN, REALSENSE, f"{REALSENSE}:1234", "runs/of_today"])
ARMS = st.sampled_from([None, TWIN, NO_ARM, ADDRESS, "arm.local", "192.168.1", "", "::1"])


def is_address(arm):
    return arm == ADDRESS


@given(camera=CAMERAS, arm=ARMS, shadow=st.booleans())
def test_what_is_accepted_sees_the_arm_that_moves(camera, arm, shadow):
    try:
        names = DeviceNames.of(camera, arm, shadow)
    except ConfigError:
        return
    if names.is_twin:
        assert {camera, arm} <= {None, TWIN, ""}
        assert names.has_no_real_arm
    elif is_address(names.arm):
        assert names.is_live
        assert not names.has_no_real_arm
    else:
        assert (names.arm, shadow) == (NO_ARM, True), "without an arm nothing is driven"
        assert names.camera != TWIN


@pytest.mark.parametrize(
    ("camera", "arm", "words"),
    [
        (None, ADDRESS, "give --camera realsense"),
        (REALSENSE, TWIN, "name --arm IP"),
        (REALSENSE, None, "give --shadow too"),
        ("runs/of_today", ADDRESS, "leave out --arm"),
        (REALSENSE, "arm.local", "such as 192.168.1.203"),
        (REALSENSE, "192.168.1", "such as 192.168.1.203"),
    ],
)
def test_a_pair_that_does_not_belong_together_is_refused_with_what_to_give(camera, arm, words):
    with pytest.raises(ConfigError, match=words):
        DeviceNames.of(camera, arm)


def test_nothing_named_is_the_twin():
    assert DeviceNames.of(None, None) == DeviceNames()
    assert DeviceNames().is_twin


def test_a_recording_is_found_in_a_run_s_folder_or_at_its_path(tmp_path):
    names = DeviceNames(str(tmp_path), NO_ARM, shadow=True)
    assert names.recording == tmp_path
    (tmp_path / FRAMES).mkdir()
    assert names.recording == tmp_path / FRAMES


def test_only_a_real_camera_stands_where_the_site_measured_it(rig):
    measured = Calibration.of_pose(rig.t_base_camera, "measured", poses=9, residual_mm=1.0)
    site = SimpleNamespace(camera=measured)
    assert DeviceNames(REALSENSE, ADDRESS).known_calibration(rig, site) is measured
    for names in (DeviceNames(), DeviceNames("runs/none", NO_ARM, shadow=True)):
        assert names.known_calibration(rig, site) == Calibration.of_rig(rig)
    assert DeviceNames(REALSENSE, ADDRESS).known_calibration(rig) == Calibration.of_rig(rig)


@pytest.mark.parametrize(
    ("host", "shadow", "kind"),
    [(NO_ARM, True, AbsentArm), (ADDRESS, True, ShadowArm), (ADDRESS, False, XArm)],
)
def test_an_arm_is_driven_only_where_that_was_asked_for(knowing_setup, host, shadow, kind):
    arm = make_arm(host, knowing_setup, DeviceNames(REALSENSE, host, shadow))
    assert type(arm) is kind
    assert arm.is_connected == (kind is AbsentArm), "nothing was opened, and there is nothing to open of none"
    assert arm.is_passive == (kind is not XArm)


def test_the_limits_of_the_setup_reach_the_arm(knowing_setup):
    names, band = DeviceNames(REALSENSE, ADDRESS), JointBand(np.full(7, -0.5), np.full(7, 0.5))
    arm = make_arm(ADDRESS, replace(knowing_setup, max_speed_m_s=0.05, joint_band=band), names)
    assert arm.fence.max_displacement_m == pytest.approx(0.05 / knowing_setup.rig.rate_hz)
    assert make_arm(ADDRESS, knowing_setup, names).fence.max_displacement_m > arm.fence.max_displacement_m
    assert arm.joint_band is band


@pytest.mark.parametrize(("camera", "kind"), [(f"{REALSENSE}:1234", RealSenseCamera), ("runs/x", PlaybackCamera)])
def test_a_camera_is_made_by_its_name_and_not_opened_yet(knowing_setup, camera, kind):
    made = make_camera(DeviceNames(camera, NO_ARM, shadow=True), knowing_setup)
    assert type(made) is kind
    assert not made.is_connected
