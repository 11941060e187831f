"""``calibrate --frames``: what registration finds is told, drawn and written; what it refuses is not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from control.arms.site import LatencyParams, NoiseParams, SiteParams
from datasets.common.errors import ConfigError
from perception.calibration.calibration import Calibration
from perception.calibration.registration.result import WARP_ORDERS, CalibrationError, Cause, Registration
from perception.calibration.report import registered, told
from pipelines.calibrate import __main__ as calibrate
from pipelines.setup.devices import DeviceNames
from pipelines.setup.settings import RuntimeParams
from pipelines.setup.setup import PROPORTIONAL, Setup
from pipelines.twin.hidden.captures import hidden_captures
from pipelines.twin.settings import TwinParams

POST = "keep_out: {post: {x_m: [0.7, 0.8], y_m: [0.3, 0.4], z_m: [0.0, 1.2]}}  # ours\n"


@pytest.fixture(scope="module")
def hidden(rig):
    postures = np.array(rig.home_joints_rad) + np.random.default_rng(0).normal(0, 0.25, (5, 7))
    captures, truth = hidden_captures(3, postures, rig=rig, frames=1)
    residuals = np.full((5, 9), 0.4)
    residuals[:, 0] = np.nan
    found = Registration(
        truth.pose,
        np.diag([1e-6] * 3 + [1e-8] * 3),
        truth.camera,
        truth.depth_scale,
        0.002,
        np.full(len(WARP_ORDERS), 1e-4),
        np.array([0, 0, 1, truth.table_z_m]),
        np.zeros(7),
        np.arange(5),
        residuals,
        residuals,
        (3,),
        0.98,
    )
    return replace(captures, setting=replace(captures.setting, camera="D435, USB 3.2")), found


@pytest.fixture
def folder(hidden, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    hidden[0].save("captures")
    monkeypatch.setattr(calibrate, "register", lambda captures, **_: hidden[1])
    return tmp_path


def line(rig_file, *arguments):
    return ["--frames", "captures", "--rig", rig_file, *arguments]


@pytest.fixture
def rig_file(tmp_path):
    path = tmp_path / "rig.yaml"
    path.write_text((Path(__file__).parents[2] / "params" / "rig.yaml").read_text())
    return str(path)


def test_the_site_file_gets_the_camera_and_the_pictures_lie_beside_the_frames(folder, rig_file, hidden, capsys):
    (folder / "params").mkdir()
    (folder / "params/site.yaml").write_text(POST)
    calibrate.main(line(rig_file))
    site, found = SiteParams.load("params/site.yaml"), hidden[1]
    assert list(site.keep_out) == ["post"]
    assert "# ours" in (folder / "params/site.yaml").read_text()
    np.testing.assert_allclose(site.camera.pose, found.t_base_camera, atol=1e-8)
    assert site.camera.intrinsics == found.intrinsics
    assert site.camera.depth_scale == pytest.approx(found.depth_scale, abs=1e-6)
    assert (folder / "params/site.1.yaml").read_text() == POST
    for name in ("captures.outline.png", "captures.residuals.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
    out = capsys.readouterr().out
    for words in ("standard deviation", "scale", "table: z =", "link7 +0.4", "do not fit: 3", "site.1.yaml"):
        assert words in out
    assert "base +" not in out


def test_a_file_of_its_own_may_be_named(folder, rig_file, capsys):
    calibrate.main(line(rig_file, "--out", "camera.yaml"))
    assert Calibration.load("camera.yaml").poses == 5
    assert not (folder / "params").exists()
    assert "--calibration camera.yaml" in capsys.readouterr().out


def refused(capsys, arguments):
    with pytest.raises(SystemExit) as exit_:
        calibrate.main(arguments)
    assert exit_.value.code == 2
    return capsys.readouterr().err


def test_what_registration_refuses_writes_nothing(folder, rig_file, monkeypatch, capsys):
    def refuse(captures, **_):
        raise CalibrationError(Cause.MOVED, "by 5 mm at posture 4")

    monkeypatch.setattr(calibrate, "register", refuse)
    before = sorted(folder.iterdir())
    assert "the camera moved: by 5 mm" in refused(capsys, line(rig_file))
    assert sorted(folder.iterdir()) == before


def test_captures_of_the_twin_do_not_become_the_site_s_camera(folder, rig_file, hidden, capsys):
    captures = hidden[0]
    replace(captures, setting=replace(captures.setting, camera="Twin of a D435")).save("of_twin")
    arguments = ["--frames", "of_twin", "--rig", rig_file]
    assert "give --out FILE" in refused(capsys, arguments)
    calibrate.main([*arguments, "--out", "camera.yaml"])
    assert (folder / "camera.yaml").is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--frames", "captures", "--arm", "twin"], "leave out --arm"),
        (["--frames", "none"], "no such folder"),
        (["--frames", "captures", "--site", "bad.yaml"], "screws"),
        (["--frames", "captures", "--out", "bad.yaml"], "is no calibration"),
        (["--fit-joints", "--out", "c.yaml"], "give --frames"),
        ([], "--out FILE is missing"),
    ],
)
def test_bad_input_is_refused_before_the_work(folder, rig_file, monkeypatch, capsys, arguments, words):
    (folder / "bad.yaml").write_text("screws: 4\n")
    monkeypatch.setattr(calibrate, "register", lambda *_, **__: pytest.fail("registered"))
    monkeypatch.setattr(calibrate, "open_devices", lambda *_, **__: pytest.fail("opened"))
    assert words in refused(capsys, [*arguments, "--rig", rig_file])
    assert (folder / "bad.yaml").read_text() == "screws: 4\n"


def test_what_was_not_seen_is_said(hidden, rig):
    found = replace(hidden[1], table=None, joint_offsets_rad=np.array([0, 1e-3, 0, 0, 0, 0, 0]), disagreeing=())
    words = told(found, registered(found, rig, "today"), rig)
    assert "table: not seen, the site file's height or z = 0 is kept" in words
    assert "+0.057" in words
    assert "do not fit" not in words
    assert "factory" not in words
    lines = told(replace(found, by_joints=np.diag([4e-6] * 3 + [0.0] * 3)), registered(found, rig, "today"), rig)
    assert "would add 2.0 mm" in lines


@pytest.mark.parametrize("picture", ["captures.outline.png", "captures.residuals.png"])
def test_pictures_that_cannot_be_written_are_told_before_the_work(folder, rig_file, monkeypatch, capsys, picture):
    monkeypatch.setattr(calibrate, "register", lambda *_, **__: pytest.fail("registered"))
    (folder / picture).mkdir()
    assert "is a folder" in refused(capsys, line(rig_file))


def test_a_leaning_table_s_height_is_told_below_the_workspace(hidden, rig):
    x, y, _ = (rig.workspace.low + rig.workspace.high) / 2
    normal = np.array([0.03, -0.02, 1]) / np.linalg.norm([0.03, -0.02, 1])
    found = replace(hidden[1], table=np.array([*normal, normal @ [x, y, -0.03]]))
    assert registered(found, rig, "today").table_z_m == pytest.approx(-0.03)


def test_a_real_camera_is_where_the_site_says_and_the_twin_s_is_not(hidden, rig):
    site = SiteParams(camera=registered(hidden[1], rig, "today"))
    assert DeviceNames.of("realsense", "192.168.1.9").known_calibration(rig, site) == site.camera
    assert DeviceNames().known_calibration(rig, site) == Calibration.of_rig(rig)


def test_the_estimator_sees_true_depth_through_the_measured_camera(hidden, rig):
    captures, found = hidden
    camera = registered(found, rig, "today")
    setup = Setup.load(rig, RuntimeParams.load(), policy=PROPORTIONAL, calibration=camera)
    seen = captures.frames[0]
    plain = setup.estimator.bound(camera.pose, found.intrinsics, camera.table_z_m)
    there = plain.estimate(replace(seen, depth=found.true_depth(seen.depth)))
    np.testing.assert_allclose(setup.bound_estimator(rig.camera).estimate(seen).xyz, there.xyz, atol=1e-4)


def test_a_camera_that_gives_another_size_than_it_was_calibrated_with_is_refused(hidden, rig):
    camera = registered(hidden[1], rig, "today")
    setup = Setup.load(rig, RuntimeParams.load(), policy=PROPORTIONAL, calibration=camera)
    with pytest.raises(ConfigError, match="calibrate it as it is used"):
        setup.bound_estimator(replace(rig.camera, width=1280, height=720))


@pytest.fixture(scope="module")
def noisy(rig):
    """Two frames of each of three postures."""
    postures = np.array(rig.home_joints_rad) + np.random.default_rng(0).normal(0, 0.25, (3, 7))
    captures, truth = hidden_captures(3, postures, rig=rig, frames=2)
    return replace(captures, setting=replace(captures.setting, camera="D435, USB 3.2")), truth


def test_the_noise_of_a_real_camera_goes_into_the_site_file(noisy, tmp_path, monkeypatch, capsys):
    captures, truth = noisy
    monkeypatch.chdir(tmp_path)
    captures.save("captures")
    (tmp_path / "params").mkdir()
    (tmp_path / "params/site.yaml").write_text(POST)
    calibrate.main(["--depth", "--frames", "captures"])
    noise = SiteParams.load("params/site.yaml").noise
    assert np.mean(noise.level) == pytest.approx(truth.depth_noise, rel=0.15)
    assert "D435" in noise.measured
    assert "# ours" in (tmp_path / "params/site.yaml").read_text()
    assert "measured and model" in capsys.readouterr().out


def test_two_pairs_of_frames_are_too_few_for_the_site_file(noisy, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    noisy[0].select([0, 1, 2, 3]).save("captures")
    assert "2 pairs of frames say nothing" in refused(capsys, ["--depth", "--frames", "captures"])
    assert not (tmp_path / "params").exists()


def test_the_noise_of_a_twin_is_told_and_written_nowhere(noisy, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    replace(noisy[0], setting=replace(noisy[0].setting, camera="hidden twin")).save("captures")
    calibrate.main(["--depth", "--frames", "captures"])
    assert "nothing is written" in capsys.readouterr().out
    assert not (tmp_path / "params").exists()


@pytest.mark.parametrize("arguments", [["--depth"], ["--depth", "--frames", "captures", "--out", "c.yaml"]])
def test_noise_needs_captures_and_the_site_file(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert "--depth: give --frames DIR" in refused(capsys, arguments)


def test_the_twin_has_the_delay_and_the_noise_of_the_site(rig):
    latency = LatencyParams((0.13, 0.15), (0.02, 0.03), (0.0, 0.1), "today")
    site = SiteParams(latency=latency, noise=NoiseParams((0.6, 0.8), 1.0, "today"))
    twin = TwinParams().at_site(site)
    assert twin.camera.latency_s == pytest.approx(0.14)
    assert twin.depth_noise == pytest.approx(0.7)
    assert TwinParams().at_site(SiteParams()) == TwinParams()


def test_pictures_that_are_stamped_late_are_allowed_less_age(rig):
    setup = Setup.load(rig, RuntimeParams.load(), policy=PROPORTIONAL)
    assert setup.with_measured_latency() == setup
    site = SiteParams(latency=LatencyParams((0.13, 0.15), (0.02, 0.03), (0.0, 0.1), "today"))
    limit_s = replace(setup, site=site).with_measured_latency().settings.limits.max_frame_age_s
    assert limit_s == pytest.approx(setup.settings.limits.max_frame_age_s - 0.03)
    slow = SiteParams(latency=LatencyParams((0.5, 0.6), (0.0, 0.0), (0.0, 0.1), "today"))
    with pytest.raises(ConfigError, match="max_frame_age_s"):
        replace(setup, site=slow).with_measured_latency()
