"""No command writes over, or deletes, what somebody else has put where its results go."""

import importlib
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from control.learning.trainer import Curve, save_checkpoint
from datasets.common.errors import ConfigError, DataError
from datasets.common.files import MARK
from perception.calibration.calibration import Calibration
from perception.estimator.estimator import PositionEstimator
from perception.evaluation import measure
from perception.evaluation.params import LocateParams
from pipelines.calibrate import __main__ as calibrate
from pipelines.observers.live import require_live

ROOT = Path(__file__).parents[2]
FIT = ["fit", "--config", str(ROOT / "params/perception_glance.yaml"), "--data.store=nowhere"]


def refusal(capsys, module, *arguments):
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(module).main(list(arguments))
    assert ended.value.code == 2
    return capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.parametrize("name", ["best.ckpt", "last.ckpt", "training.json", "log/config.yaml", "log/metrics.csv"])
def test_a_training_takes_no_folder_that_holds_another_s_files(tmp_path, capsys, name):
    (tmp_path / "log").mkdir()
    (tmp_path / name).write_text("mine: 1")
    told = refusal(capsys, "perception.train", *FIT, f"--output={tmp_path}")
    assert f"holds files that this project did not write ({name})" in told
    assert (tmp_path / name).read_text() == "mine: 1"


def test_a_training_takes_its_own_folder_and_one_of_other_files(tmp_path, capsys):
    (tmp_path / "letter.txt").write_text("mine")
    assert "nowhere/train: no frames there" in refusal(capsys, "perception.train", *FIT, f"--output={tmp_path}")
    (tmp_path / "log").mkdir()
    (tmp_path / "log/config.yaml").write_text("{model: {}, data: {}, output: x}")
    (tmp_path / "best.ckpt").touch()
    assert "nowhere/train: no frames there" in refusal(capsys, "perception.train", *FIT, f"--output={tmp_path}")
    assert (tmp_path / "letter.txt").read_text() == "mine"


@pytest.mark.parametrize("content", ["mine: 1", "", "a letter", Path("params/rig.yaml")])
def test_a_calibration_takes_the_place_of_nothing_else(tmp_path, monkeypatch, capsys, content):
    def never(*given, **named):
        raise AssertionError("opened before it was refused")

    monkeypatch.setattr(calibrate, "open_devices", never)
    path = tmp_path / "camera.yaml"
    path.write_text(content if isinstance(content, str) else (ROOT / content).read_text())
    before = path.read_text()
    assert f"--out {path}: is there and is no calibration" in refusal(
        capsys, "pipelines.calibrate.__main__", "--out", str(path)
    )
    assert path.read_text() == before


def test_an_earlier_calibration_is_kept_beside_the_new_one(rig, tmp_path, monkeypatch, capsys):
    path = tmp_path / "camera.yaml"
    Calibration.of_pose(rig.t_base_camera, "yesterday", poses=20).save(path)
    yesterday = path.read_text()
    monkeypatch.setattr(calibrate, "look_around", lambda *given: [])
    found = (rig.t_base_camera, rig.t_base_camera[:1, :3], 0.0, "")
    monkeypatch.setattr(calibrate, "locate_camera_and_table", lambda *given: found)
    monkeypatch.setattr(PositionEstimator, "load", lambda folder, rig: None)
    devices = SimpleNamespace(
        twin=None,
        camera=SimpleNamespace(intrinsics=None),
        arm=SimpleNamespace(home=lambda: None, stop=lambda: True),
    )
    monkeypatch.setattr(calibrate, "open_devices", lambda *given: nullcontext(devices))
    calibrate.main(["--out", str(path)])
    assert f"the previous calibration is kept as {tmp_path / 'camera.1.yaml'}" in capsys.readouterr().out
    assert (tmp_path / "camera.1.yaml").read_text() == yesterday
    assert Calibration.load(path).measured != "yesterday"


def test_a_view_is_not_written_over_an_earlier_one(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rerun", sys)
    (tmp_path / "run.rrd").write_text("mine")
    with pytest.raises(ConfigError, match="exists already"):
        require_live(str(tmp_path / "run.rrd"))


def test_an_estimator_is_not_packed_over_another_s_folder(tmp_path, monkeypatch, rig):
    part = tmp_path / "estimator.part"
    part.mkdir()
    (part / "letter.txt").write_text("mine")
    monkeypatch.setattr(measure, "load_look", lambda *given: SimpleNamespace(locator=None))
    monkeypatch.setattr(measure.TrainingSummary, "read", lambda folder: None)
    params = LocateParams(
        *("glance", "fovea", "base", str(ROOT / "params/frames.yaml"), "val", ("nominal",), "nominal"),
        estimator=str(tmp_path / "estimator"),
        results=str(tmp_path / "results"),
        rig=str(ROOT / "params/rig.yaml"),
    )
    with pytest.raises(DataError, match=r"estimator\.part holds files that this project did not write \(letter\.txt\)"):
        measure.evaluate(params)
    assert (part / "letter.txt").read_text() == "mine"
    assert MARK not in [path.name for path in part.iterdir()]


def test_only_checkpoints_of_its_own_are_replaced(tmp_path):
    class Agent:
        num_timesteps = 7
        action_noise = None

        def save(self, path):
            path.touch()

        save_replay_buffer = save

    theirs = ["agent_notes.txt", "agent_of_mine.zip", "buffer_notes.pkl"]
    for name in [*theirs, "agent_3.zip", "buffer_3.pkl"]:
        (tmp_path / name).touch()
    save_checkpoint(tmp_path, Agent(), Curve(), 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [*theirs, "agent_7.zip", "buffer_7.pkl", "state.pkl"]
    )
