"""The table's height in the base frame: measured, written, read, and used by the run."""

from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from control.arms.params import ArmParams
from control.arms.site import SiteParams
from datasets.arm.kinematics import Kinematics
from datasets.common.errors import ConfigError, DataError, SafetyStop
from datasets.rig.frame import Frame
from datasets.rig.rig import Rig
from datasets.scene.photographer import Photographer
from perception.calibration.calibration import Calibration
from perception.calibration.table_height import measure_table
from perception.estimator.estimator import PositionEstimator
from pipelines import run_real
from pipelines.calibrate import __main__ as calibrate
from pipelines.calibrate import networks
from pipelines.calibrate.networks import Sighting, choose_places, locate_camera_and_table, measured
from pipelines.setup.check import check
from pipelines.setup.devices import DeviceNames
from pipelines.setup.settings import RuntimeParams
from pipelines.setup.setup import PROPORTIONAL, Setup, check_clearance, make_fence, with_table
from pipelines.twin.settings import TwinParams
from pipelines.twin.world import TwinWorld

PLATES_M = [0.0, 0.01, 0.03, 0.2]
RIG = Rig.load()


def plane_seen(height_m: float, slope: float = 0.0, noise_m: float = 0.003, seed: int = 0) -> Frame:
    """A frame of the plane z = height + slope * (x - 0.4) in the base frame, from where the rig's camera stands."""
    camera, pose = RIG.camera, RIG.t_base_camera
    u, v = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    rays = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(u.shape)], axis=-1)
    directions = rays @ pose[:3, :3].T
    normal = np.array([-slope, 0.0, 1.0])
    depth = (height_m - slope * 0.4 - pose[:3, 3] @ normal) / (directions @ normal)
    depth = np.where((depth > 0) & (depth < 4), depth, 0)
    depth += (depth > 0) * np.random.default_rng(seed).normal(0, noise_m, depth.shape)
    return Frame(np.zeros((camera.height, camera.width, 3), np.uint8), depth.astype(np.float32), 0.0)


@settings(max_examples=15)
@given(st.floats(-0.25, 0.25), st.floats(-0.01, 0.01))
def test_the_height_of_a_plane_is_found_wherever_it_lies(height_m, slope):
    found = measure_table(
        [plane_seen(height_m, slope, seed=seed) for seed in (0, 1)], RIG.t_base_camera, RIG.camera, RIG
    )
    assert found.z_m == pytest.approx(height_m, abs=0.001)
    assert found.frames == 2


def test_a_frame_that_shows_something_else_has_no_say():
    frames = [plane_seen(-0.02), plane_seen(-0.02, seed=1), plane_seen(0.1)]
    assert measure_table(frames, RIG.t_base_camera, RIG.camera, RIG).z_m == pytest.approx(-0.02, abs=0.001)


@pytest.mark.parametrize(
    ("frames", "word"),
    [
        ([plane_seen(-0.6)], "no table is seen within 0.3 m"),
        ([plane_seen(0.0, slope=0.3)], "0 of 1 frames"),
        ([Frame(np.zeros((480, 640, 3), np.uint8), np.zeros((480, 640), np.float32), 0.0)], "no table is seen"),
        ([plane_seen(0.0), plane_seen(0.02)], "apart in different frames"),
    ],
)
def test_what_is_no_table_is_refused(frames, word):
    with pytest.raises(DataError, match=word):
        measure_table(frames, RIG.t_base_camera, RIG.camera, RIG)


@pytest.fixture(scope="module")
def looks() -> list[Sighting]:
    """A calibration's looks into the twin's world, whose table is at z = 0."""
    kinematics, fence = Kinematics(), make_fence(RIG, ArmParams.load())
    joints = [kinematics.solve(place, RIG.home_joints_rad) for place in choose_places(RIG, fence, 12, 0)]
    world = TwinWorld(RIG, TwinParams(), lambda time_s: joints[int(time_s)])
    photographer = Photographer(RIG)
    scenes = [world.scene_at(float(index)) for index in range(len(joints))]
    seen = [
        Sighting(Frame(*photographer.photograph_native(scene, index), float(index)), np.array(scene.tcp))
        for index, scene in enumerate(scenes)
    ]
    photographer.close()
    return seen


def raised(looks: list[Sighting], plate_m: float) -> list[Sighting]:
    """The same with the base on a plate: the encoders count from higher up."""
    return [Sighting(each.frame, each.tcp - [0.0, 0.0, plate_m]) for each in looks]


def setup_of(path) -> Setup:
    return Setup.load(RIG, RuntimeParams.load(), policy=PROPORTIONAL, calibration=path)


@pytest.mark.parametrize("plate_m", PLATES_M)
def test_a_plate_is_measured_and_leaves_no_error_in_the_run(looks, plate_m, tmp_path):
    estimator = PositionEstimator.load("models/estimator", RIG)
    pose, residuals, table_z_m, said = locate_camera_and_table(raised(looks, plate_m), estimator, RIG.camera)
    assert table_z_m == pytest.approx(-plate_m, abs=0.003)
    assert "12 frames" in said
    measured(pose, residuals, 12, "today", table_z_m).save(tmp_path / "c.yaml")
    setup = setup_of(tmp_path / "c.yaml")
    estimator = setup.bound_estimator(RIG.camera)
    misses = [estimator.estimate(each.frame).xyz - each.tcp for each in raised(looks, plate_m)]
    assert np.abs(np.median(misses, axis=0)[2]) < 0.003


def test_calibrate_prints_and_writes_the_height(looks, tmp_path, monkeypatch, capsys):
    @contextmanager
    def no_devices(*_):
        yield SimpleNamespace(
            arm=SimpleNamespace(home=lambda: None, stop=lambda: None),
            camera=SimpleNamespace(intrinsics=RIG.camera),
            twin=None,
        )

    monkeypatch.setattr(calibrate, "open_devices", no_devices)
    monkeypatch.setattr(calibrate, "look_around", lambda *_: raised(looks, 0.03))
    calibrate.main(["--poses", "12", "--out", str(tmp_path / "c.yaml")])
    height = Calibration.load(tmp_path / "c.yaml").table_z_m
    assert height == pytest.approx(-0.03, abs=0.003)
    assert f"table: z = {1e3 * height:.1f} mm in the base frame" in capsys.readouterr().out


def test_a_table_that_is_not_seen_is_said_and_left_at_zero(looks, monkeypatch):
    def blind(*_):
        raise DataError("no table is seen")

    monkeypatch.setattr(networks, "measure_table", blind)
    estimator = PositionEstimator.load("models/estimator", RIG)
    pose, _, table_z_m, said = locate_camera_and_table(raised(looks, 0.01), estimator, RIG.camera)
    assert table_z_m is None
    assert said == "not measured, the site file's height or z = 0 is kept: no table is seen"
    assert np.all(np.isfinite(pose))


def written(tmp_path, **values) -> str:
    path = tmp_path / "c.yaml"
    measured(RIG.t_base_camera, np.full((4, 3), 0.001), 20, "today", 0.0).save(path)
    content = yaml.safe_load(path.read_text())
    del content["table_z_m"]
    path.write_text(yaml.safe_dump(content | values))
    return str(path)


def test_in_a_file_of_before_the_table_is_at_zero(looks, tmp_path):
    setup = setup_of(written(tmp_path))
    assert setup.calibration.table_z_m == 0.0
    frame, plain = looks[0].frame, PositionEstimator.load("models/estimator", RIG)
    here = setup.bound_estimator(RIG.camera).estimate(frame)
    np.testing.assert_array_equal(here.xyz, plain.bound(setup.calibration.pose, RIG.camera).estimate(frame).xyz)
    raised = setup_of(written(tmp_path, table_z_m=-0.01)).bound_estimator(RIG.camera).estimate(frame)
    assert not np.array_equal(raised.xyz, here.xyz)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.31, 10.0, "10 mm", None, [0.01]])
def test_a_height_that_cannot_be_is_refused_in_one_line(tmp_path, capsys, value):
    with pytest.raises(SystemExit) as exit_:
        run_real.main(["--check", "--calibration", written(tmp_path, table_z_m=value)])
    assert exit_.value.code == 2
    said = capsys.readouterr().err.strip()
    assert len(said.splitlines()) == 1
    assert "table_z_m" in said


def test_a_height_given_in_code_is_checked_as_well():
    rows = tuple(tuple(row) for row in RIG.t_base_camera.tolist())
    with pytest.raises(ConfigError, match="table_z_m is nan"):
        Calibration(rows, 10, 1.0, "edited", float("nan"))


def test_a_fence_at_a_raised_table_is_refused(tmp_path):
    fence = make_fence(RIG, ArmParams.load())
    check_clearance(fence, -0.3)
    check_clearance(fence, 0.05)
    told = r"table lies at 0\.150 m; raise keep_within\.z_m in params/site\.yaml to 0\.190 m"
    with pytest.raises(SafetyStop, match=told):
        setup_of(written(tmp_path, table_z_m=0.15))


def test_what_a_tool_holds_must_clear_the_table_too():
    fence = make_fence(RIG, ArmParams.load())
    check_clearance(fence, 0.0, 0.06)
    with pytest.raises(SafetyStop, match=r"reaches 0\.061 m below the TCP; raise .* to 0\.101 m"):
        check_clearance(fence, 0.0, 0.061)


def test_the_site_s_table_counts_until_it_is_measured_and_must_agree_then():
    guessed, found = Calibration.of_rig(RIG), Calibration.of_pose(RIG.t_base_camera, "today", table_z_m=-0.01)
    assert with_table(guessed, SiteParams(table_z_m=0.03)).table_z_m == 0.03
    assert with_table(guessed, SiteParams()) == guessed
    assert with_table(found, SiteParams(table_z_m=0.005)) == found
    unseen = Calibration.of_pose(RIG.t_base_camera, "today", table_seen=False)
    assert with_table(unseen, SiteParams(table_z_m=0.03)).table_z_m == 0.03
    assert with_table(unseen, SiteParams()) == unseen
    with pytest.raises(ConfigError, match=r"0\.050 m in the site file, and was measured at -0\.010 m"):
        with_table(found, SiteParams(table_z_m=0.05))


@pytest.mark.parametrize("table_z_m", [None, 0.0, -0.02])
def test_whether_the_table_was_seen_is_kept_in_the_file(tmp_path, table_z_m):
    found = measured(RIG.t_base_camera, np.full((4, 3), 0.001), 20, "today", table_z_m)
    found.save(tmp_path / "c.yaml")
    read = Calibration.load(tmp_path / "c.yaml")
    assert (read.table_seen, read.table_z_m) == (table_z_m is not None, table_z_m or 0.0)
    assert ("not measured" in str(read)) == (table_z_m is None)


def test_the_check_tells_the_height(tmp_path):
    verdicts = check(setup_of(written(tmp_path, table_z_m=-0.01)), DeviceNames(), TwinParams())
    assert any("table at z = -10.0 mm" in str(next(verdicts)) for _ in range(6))
