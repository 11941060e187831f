"""What the command lines refuse before anything is opened: one line, exit code 2, and no work lost at the end."""

import importlib
import sys

import pytest

from datasets.common.cli import require_writable
from datasets.common.errors import ConfigError, DeviceError
from perception.estimator.estimator import PositionEstimator
from pipelines.calibrate import __main__ as calibrate
from pipelines.rehearse import __main__ as rehearse
from pipelines.setup import assemble as run
from pipelines.setup.assemble import RunOptions
from pipelines.setup.devices import DeviceNames
from pipelines.twin.settings import TwinParams
from soak import run as soak

REAL = ("--arm", "192.168.1.203", "--camera", "realsense", "--yes")


@pytest.fixture
def closed(monkeypatch):
    """No device may be opened, no model read."""

    def never(*given, **named):
        raise AssertionError("opened before it was refused")

    for module in (calibrate, rehearse, run, soak):
        monkeypatch.setattr(module, "open_devices", never)
    monkeypatch.setattr(PositionEstimator, "load", lambda folder, rig: None)


def refusal(capsys, module, *arguments):
    elsewhere = {"soak": "soak.run", "calibrate": "pipelines.calibrate.__main__"}
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(elsewhere.get(module, f"pipelines.{module}")).main(arguments)
    assert ended.value.code == 2
    told = capsys.readouterr()
    assert told.out == ""
    return told.err.strip().splitlines()[-1]


@pytest.fixture
def places(tmp_path):
    """Where no file can be written, by how."""
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder").mkdir()
    return {
        "a folder": tmp_path / "folder",
        "below a file": tmp_path / "file" / "new" / "calibration.yaml",
        "read only": "/proc/calibration.yaml",
    }


@pytest.mark.parametrize("kind", ["a folder", "below a file", "read only"])
def test_calibration_asks_for_its_file_before_the_arm_moves(closed, places, capsys, kind):
    told = refusal(capsys, "calibrate", *REAL, "--out", str(places[kind]))
    assert f"--out {places[kind]}" in told


@pytest.mark.parametrize("module", ["soak", "rehearse.__main__"])
def test_where_results_cannot_be_kept_nothing_is_run(closed, places, capsys, module):
    for folder in (places["below a file"], "/proc/results"):
        assert "--out" in refusal(capsys, module, "--out", str(folder))
    taken = places["a folder"] / "metrics.json"
    taken.mkdir()
    assert "is a folder" in refusal(capsys, module, "--out", str(taken.parent))


def test_recordings_and_the_live_view_are_refused_before_connecting(closed, knowing_setup, places, monkeypatch):
    def begin(**options):
        run.run(knowing_setup, DeviceNames(), [], TwinParams(), RunOptions(**options))

    with pytest.raises(ConfigError, match="--record"):
        begin(record=places["below a file"])
    pytest.importorskip("rerun")
    for file in (places["a folder"] / "missing/x.rrd", places["a folder"]):
        with pytest.raises(ConfigError, match=f"--live {file}"):
            begin(live=True, live_file=str(file))
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(ConfigError, match="rerun-sdk"):
        begin(live=True)


def test_what_can_be_written_leaves_no_trace_of_having_been_asked(tmp_path):
    require_writable(tmp_path / "new" / "folder" / "file", "--out")
    (tmp_path / "old").write_text("kept")
    require_writable(tmp_path / "old", "--out")
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert (tmp_path / "old").read_text() == "kept"


@pytest.mark.parametrize(
    ("module", "more"), [("run_real", ()), ("soak", ()), ("calibrate", ("--out", "calibration.yaml"))]
)
@pytest.mark.parametrize("seed", ["-1", "two", "1.5"])
def test_a_seed_is_a_whole_number(closed, capsys, module, more, seed):
    assert f"a whole number of 0 or more, got {seed}" in refusal(capsys, module, *more, f"--seed={seed}")


def test_calibration_without_an_arm_names_the_option_it_has(closed, tmp_path, capsys):
    told = refusal(capsys, "calibrate", "--camera", "realsense", "--out", str(tmp_path / "c.yaml"))
    assert "name --arm IP" in told
    assert "--shadow" not in told


def test_calibration_keeps_to_the_box_of_the_site(tmp_path, monkeypatch, capsys):
    seen = []

    def note(names, setup, twin):
        seen.append(setup)
        raise DeviceError("not in a test")

    monkeypatch.setattr(calibrate, "open_devices", note)
    monkeypatch.setattr(PositionEstimator, "load", lambda folder, rig: None)
    box = "{x_m: [0.30, 0.50], y_m: [-0.20, 0.08], z_m: [0.12, 0.45]}"
    site = tmp_path / "site.yaml"
    site.write_text(f"keep_within: {box}")
    told = refusal(capsys, "calibrate", "--site", str(site), "--out", str(tmp_path / "c.yaml"))
    assert "not in a test" in told
    (setup,) = seen
    assert list(setup.fence.high_m) == [0.50, 0.08, 0.45]
