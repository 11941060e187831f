"""Cameras of the envelope for the rehearsal: they see every goal, and the twin films from where they are told to be."""

import json

import numpy as np
import pytest

from control.task.goals import GoalSampler
from datasets.common.errors import ConfigError
from datasets.rig.projection import invert, project, transform
from pipelines.rehearse import __main__ as rehearsal
from pipelines.rehearse.cameras import draw_cameras
from pipelines.twin.settings import TwinParams
from pipelines.twin.world import TwinWorld


@pytest.fixture
def goals(shipped_setup):
    sampler, rng = GoalSampler(shipped_setup.rig, shipped_setup.fence, 0.2), np.random.default_rng(3)
    return [np.asarray(sampler.sample(rng)) for _ in range(8)]


def test_drawn_cameras_are_served_and_see_every_goal_and_a_seed_names_them(shipped_setup, goals):
    drawn = draw_cameras(shipped_setup, 3, goals, seed=5)
    assert len({camera.described(goals[0])["distance_m"] for camera in drawn}) == 3
    for camera in drawn:
        uv = project(transform(invert(camera.t_base_camera), np.array(goals)), camera.intrinsics)
        assert np.all((uv > 0) & (uv < [640, 480]))
        envelope = shipped_setup.estimator.envelope
        assert not any(envelope.faults(camera.t_base_camera, camera.intrinsics, goal) for goal in goals)
    again = draw_cameras(shipped_setup, 2, goals, seed=5)
    assert all(np.array_equal(a.t_base_camera, b.t_base_camera) for a, b in zip(again, drawn, strict=False))


def test_the_twin_films_from_there_but_for_its_own_error_of_calibration(shipped_setup, goals):
    (camera,) = draw_cameras(shipped_setup, 1, goals, seed=6)
    setup, exact = camera.placed(shipped_setup, TwinParams(calibration_m=0.0, calibration_deg=0.0))
    assert np.array_equal(setup.calibration.pose, camera.t_base_camera)
    assert setup.calibration.table_z_m == shipped_setup.calibration.table_z_m

    def scene(settings):
        joints = np.array(shipped_setup.rig.home_joints_rad)
        return TwinWorld(shipped_setup.rig, settings, lambda _: joints).scene_at(0.0)

    assert np.allclose(scene(exact).t_base_camera, camera.t_base_camera, atol=1e-6)
    assert np.allclose(scene(exact).intrinsics.as_array(), camera.intrinsics.as_array())
    off = scene(camera.placed(shipped_setup, TwinParams())[1]).t_base_camera - camera.t_base_camera
    assert 0 < np.linalg.norm(off[:3, 3]) <= 0.002


def test_goals_that_no_camera_sees_together_are_refused(shipped_setup):
    with pytest.raises(ConfigError, match="0 of 2000 cameras of the envelope see all 2 goals, 1 are wanted"):
        draw_cameras(shipped_setup, 1, [np.array([0.4, -3.0, 0.2]), np.array([0.4, 3.0, 0.2])], seed=1)


def test_focal_lengths_of_no_use_are_refused(rig):
    with pytest.raises(ConfigError, match="focal lengths must be positive"):
        TwinParams(camera_fxfycxcy_px=(0.0, 600.0, 320.0, 240.0)).films(rig)


@pytest.mark.realtime
@pytest.mark.slow
def test_every_camera_runs_all_goals_and_is_told_by_itself(patient_folder, monkeypatch, capsys):
    monkeypatch.chdir(patient_folder)
    runtime = patient_folder / "params" / "runtime.yaml"
    runtime.write_text(runtime.read_text().replace("horizon_steps: 50", "horizon_steps: 20"))
    config = patient_folder / "params" / "rehearsal_cameras.yaml"
    config.write_text(config.read_text().replace("cameras: 3", "cameras: 2"))
    rehearsal.main(["--config", str(config), "--goals", "1", "--out", "found", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert [each["default"]["n"] for each in found["cameras"]] == [1, 1]
    whole = json.loads((patient_folder / "found/metrics.json").read_text())
    assert (whole["default"]["n"], whole["baselines"], len(whole["cameras"])) == (2, {}, 2)
