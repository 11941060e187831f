"""The camera is calibrated by the arm it sees, or the captures are refused with the cause."""

from dataclasses import replace

import numpy as np
import pytest

from datasets.arm.kinematics import Kinematics
from perception.calibration.registration.doubts import camera_motion_px
from perception.calibration.registration.fit import UNKNOWNS, Model
from perception.calibration.registration.motion import displacement, moved, places, standard_deviation
from perception.calibration.registration.posture import Posture
from perception.calibration.registration.register import register
from perception.calibration.registration.result import CalibrationError, Cause
from pipelines.twin.hidden.captures import Spoil, hidden_captures, spoiled

SEED = 7


@pytest.fixture(scope="module")
def plan(rig):
    """Six postures over the table."""
    rng, kinematics, found = np.random.default_rng(3), Kinematics(), []
    while len(found) < 8:
        joints = rng.normal(rig.home_joints_rad, [0.6, 0.4, 0.6, 0.5, 0.8, 0.6, 1.0])
        x, y, z = kinematics.tcp(joints)
        if 0.15 < x < 0.7 and abs(y) < 0.45 and 0.08 < z < 0.7:
            found.append(joints)
    return np.delete(found, [3, 4], axis=0)  # near others: each posture costs as much as the next


@pytest.fixture(scope="module")
def fine(rig, plan):
    return hidden_captures(SEED, plan, rig=rig, frames=1)


@pytest.fixture(scope="module")
def near(fine):
    """A start a centimetre and half a degree off."""
    return moved(fine[1].pose, [0.006, -0.006, 0.006, 0.006, -0.006, 0.006])


@pytest.fixture(scope="module")
def found(fine, near):
    return register(fine[0], start=near)


def test_the_pose_is_found_to_a_millimetre(found, fine, rig):
    far, turned = displacement(found.t_base_camera, fine[1].pose, places(rig.workspace))
    assert (far < 0.001, np.degrees(turned) < 0.05) == (True, True)


def test_scale_and_warp_of_depth_are_taken_out(found, fine):
    truth = fine[1]
    clean = np.full((480, 640), 0.8, np.float32)
    middle = (slice(160, 320), slice(213, 427))
    before = np.abs(truth.as_read(clean) - clean)[middle].max()
    after = np.abs(found.true_depth(truth.as_read(clean)) - clean)[middle].max()
    assert after < 0.003 < before


def test_no_posture_of_captures_that_are_fine_disagrees(found):
    assert found.disagreeing == ()
    assert found.inside > 0.95
    assert np.nanmax(np.abs(found.residuals_mm)) < 10


def test_the_covariance_is_one(found):
    np.testing.assert_allclose(found.covariance, found.covariance.T, atol=1e-12)
    assert np.linalg.eigvalsh(found.covariance).min() > 0


def test_the_pose_lies_within_three_of_its_deviations(found, fine, rig):
    far, _ = displacement(found.t_base_camera, fine[1].pose, places(rig.workspace))
    assert far < 3 * standard_deviation(found.covariance, places(rig.workspace))


def test_the_table_is_found_where_it_lies(found, fine):
    assert found.table is not None
    assert np.linalg.norm(found.table[:3]) == pytest.approx(1)
    assert found.table[2] > 0.999
    assert found.table[3] == pytest.approx(fine[1].table_z_m, abs=0.005)


def test_a_focal_length_that_is_told_wrong_is_found(rig, plan):
    captures, truth = hidden_captures(SEED, plan, rig=rig, frames=1, intrinsics_error=0.02)
    assert abs(captures.intrinsics.fx / truth.camera.fx - 1) > 0.003
    found = register(captures, start=truth.pose, fit_intrinsics=True)
    assert found.intrinsics.fx == pytest.approx(truth.camera.fx, rel=0.003)
    assert displacement(found.t_base_camera, truth.pose, places(rig.workspace))[0] < 0.003


def test_joint_1_is_a_gauge_and_stays(fine, near):
    offsets = register(fine[0], start=near, fit_joints=True).joint_offsets_rad
    assert offsets[0] == 0
    assert np.abs(offsets[1:]).max() < 0.003


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        (Spoil.TOO_FEW, Cause.TOO_FEW),
        (Spoil.NO_DEPTH, Cause.NO_DEPTH),
        (Spoil.TCP, Cause.TCP),
        (Spoil.MOVED, Cause.MOVED),
        (Spoil.HIDDEN, Cause.HIDDEN),
        (Spoil.ONE_SIDE, Cause.ONE_SIDE),
    ],
)
def test_spoiled_captures_are_refused_with_their_cause(rig, plan, kind, cause):
    with pytest.raises(CalibrationError) as refused:
        register(spoiled(kind, SEED, plan, rig=rig, frames=1))
    assert refused.value.cause is cause


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Spoil.MIRRORED, Spoil.SWAPPED, Spoil.OTHER_ROBOT])
def test_another_arm_than_the_one_told_is_refused(rig, plan, kind):
    with pytest.raises(CalibrationError) as refused:
        register(spoiled(kind, SEED, plan, rig=rig, frames=1))
    assert refused.value.cause in {Cause.JOINTS, Cause.OTHER_ARM}


@pytest.mark.slow
def test_captures_that_are_fine_need_no_start(fine, rig):
    found = register(fine[0])
    assert displacement(found.t_base_camera, fine[1].pose, places(rig.workspace))[0] < 0.002


def test_motion_of_the_camera_is_told_in_pixels(fine):
    frame = fine[0].frames[0]
    shifted = replace(frame, rgb=np.roll(frame.rgb, 2, axis=1))
    postures = [Posture(each, np.zeros(7)) for each in (frame, frame, shifted)]
    np.testing.assert_allclose(camera_motion_px(postures), [0, 0, 2], atol=0.1)


def test_a_step_of_nothing_changes_nothing(fine):
    model = Model.of_pose(fine[1].pose, fine[0].intrinsics)
    np.testing.assert_allclose(model.stepped(np.zeros(UNKNOWNS)).pose, model.pose, atol=1e-12)
