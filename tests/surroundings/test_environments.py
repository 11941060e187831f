"""What a machine, an account or a launcher may lack: one sentence, exit code 2, nothing half-written; or it works.

The tables tell (environment, command, sentence). Rows that need a process of their own are marked slow.
"""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from datasets.arm.official import menagerie_available
from pipelines.run_real import parser

ROOT = Path(__file__).parents[2]
ENTRY_POINTS = {
    "datasets.generate": "--config",
    "datasets.gallery": "--rig",
    "datasets.recorded_split": "--rig",
    "datasets.arm_fitting.fit_shapes": "--shapes",
    "perception.train": "--data.store",
    "perception.evaluate": "--config",
    "perception.real.__main__": "--rig",
    "perception.baseline": "--config",
    "perception.seeds": "--config",
    "control.train": "--config",
    "control.ablation": "--config",
    "pipelines.run_real": "--rig",
    "pipelines.calibrate.__main__": "--rig",
    "pipelines.rehearse.__main__": "--config",
    "pipelines.demo.__main__": "--policy",
    "pipelines.gauntlet.__main__": "--config",
}
"""Each with an option that names something to read."""
GIVEN = ("params", "models", "home")  # the last of which libraries make as they like
NEEDED = {
    "datasets.recorded_split": ["run", "--out=out", "--split=train"],
    "perception.train": ["fit", "--config=params/perception_glance.yaml", "--output=out"],
    "perception.baseline": ["glance"],
    "perception.real.__main__": ["--frames=."],
    "pipelines.calibrate.__main__": ["--out=camera.yaml"],
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A working folder with parameters and models of the repository, and nothing else."""
    for part in ("params", "models"):
        (tmp_path / part).symlink_to(ROOT / part)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(capsys, module, *arguments):
    """The one sentence with which a command refuses."""
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(module).main(list(arguments))
    told = capsys.readouterr()
    assert ended.value.code == 2, told.err
    assert "Traceback" not in told.err
    return told.err.strip().splitlines()[-1]


def written(folder):
    return sorted(path.name for path in folder.iterdir() if path.name not in GIVEN)


# --- places ---


@pytest.mark.parametrize("entry", ENTRY_POINTS)
def test_the_home_folder_is_meant_by_every_command(project, monkeypatch, capsys, entry):
    monkeypatch.setenv("HOME", str(project / "home"))
    told = refusal(capsys, entry, *NEEDED.get(entry, []), f"{ENTRY_POINTS[entry]}=~/nothing.yaml")
    assert f"{project}/home/nothing.yaml" in told
    assert written(project) == []


@pytest.mark.parametrize("entry", ENTRY_POINTS)
def test_without_a_home_folder_every_command_says_so(project, monkeypatch, capsys, entry):
    monkeypatch.setenv("HOME", "")
    told = refusal(capsys, entry, *NEEDED.get(entry, []), f"{ENTRY_POINTS[entry]}=~/nothing.yaml")
    assert "there is no home folder ~ here" in told
    assert written(project) == []


@pytest.mark.parametrize("given", [["--config=~/look.yaml"], ["--config", "~/look.yaml"]])
def test_a_training_s_file_and_what_it_names_may_lie_in_the_home_folder(project, monkeypatch, capsys, given):
    monkeypatch.setenv("HOME", str(project / "home"))
    (project / "home").mkdir()
    content = yaml.safe_load((ROOT / "params/perception_glance.yaml").read_text())
    content["data"]["store"] = "~/frames"
    (project / "home/look.yaml").write_text(yaml.safe_dump(content))
    told = refusal(capsys, "perception.train", "fit", *given, "--output=~/out", "--curves", "~/curves")
    assert f"{project}/home/frames/train: no frames there" in told
    assert written(project) == []


@pytest.mark.parametrize("found", [True, False])
def test_the_official_arm_may_lie_in_the_home_folder(tmp_path, monkeypatch, found):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MENAGERIE_ROOT", "~/robots")
    if found:
        (tmp_path / "robots/ufactory_xarm7").mkdir(parents=True)
        (tmp_path / "robots/ufactory_xarm7/xarm7.xml").touch()
    reason = menagerie_available()
    assert found or f"MENAGERIE_ROOT is {tmp_path}/robots" in str(reason)
    assert not found or "MENAGERIE_ROOT" not in str(reason)


OUTPUTS = [
    ("datasets.generate", ["--out={}"]),
    ("datasets.gallery", ["--out={}"]),
    ("datasets.recorded_split", ["run", "--split=train", "--out={}"]),
    ("datasets.arm_fitting.fit_shapes", ["--shapes={}/shapes.yaml"]),
    ("perception.train", ["fit", "--config=params/perception_glance.yaml", "--output={}"]),
    ("perception.train", ["fit", "--config=params/perception_glance.yaml", "--output=out", "--curves={}"]),
    ("perception.seeds", ["--runs={}"]),
    ("perception.real.__main__", ["--frames=.", "--out={}/metrics.json"]),
    ("perception.real.__main__", ["--frames=.", "--overlays={}"]),
    ("pipelines.calibrate.__main__", ["--out={}/camera.yaml"]),
    ("pipelines.demo.__main__", ["--out={}"]),
    ("pipelines.rehearse.__main__", ["--out={}"]),
    ("soak.run", ["--out={}"]),
    ("soak.run", ["--record={}"]),
    ("pipelines.run_real", ["--random=1", "--record={}"]),
    ("pipelines.run_real", ["--random=1", "--live={}/run.rrd"]),
    ("pipelines.gauntlet.__main__", ["--output={}"]),
    ("pipelines.report.__main__", ["--gauntlet={}"]),
]


@pytest.mark.parametrize("place", ["file/below", "/proc/here"])
@pytest.mark.parametrize(("entry", "arguments"), OUTPUTS)
def test_an_output_is_refused_before_the_work(project, capsys, entry, arguments, place):
    (project / "file").write_text("in the way")
    told = refusal(capsys, entry, *(each.format(place) for each in arguments))
    assert "is not a folder" in told or "cannot be written" in told or "no such file" in told
    assert written(project) == ["file"]
    assert (project / "file").read_text() == "in the way"


PLACES = [
    ("perception.evaluate", "locate", ("results", "estimator")),
    ("perception.seeds", "locate", ("results",)),
    ("control.train", "control", ("results", "policy", "runs")),
    ("control.train", "end_to_end_rgb", ("results", "policy", "runs")),
    ("control.ablation", "control", ("results", "runs")),
    ("pipelines.rehearse.__main__", "rehearsal", ("output",)),
    ("pipelines.gauntlet.__main__", "gauntlet", ("results", "runs")),
]


@pytest.mark.parametrize(("entry", "file", "key"), [(entry, file, key) for entry, file, keys in PLACES for key in keys])
def test_an_output_that_a_file_names_is_refused_before_the_work(project, monkeypatch, capsys, entry, file, key):
    monkeypatch.setenv("HOME", str(project))
    (project / "file").write_text("in the way")
    content = yaml.safe_load((ROOT / f"params/{file}.yaml").read_text())
    (project / "changed.yaml").write_text(yaml.safe_dump({**content, key: "~/file"}))
    told = refusal(capsys, entry, "--config=changed.yaml")
    assert f"{project}/file" in told
    assert written(project) == ["changed.yaml", "file"]


# --- what is read ---


def half(path):
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize(
    "name",
    [
        *("models/estimator/glance.onnx", "models/estimator/fovea.onnx", "models/estimator/estimator.json"),
        *("models/policy/actor.onnx", "models/policy/policy.json"),
        *("params/rig.yaml", "params/runtime.yaml"),
    ],
)
def test_a_file_cut_short_is_named(patient_folder, monkeypatch, capsys, name):
    monkeypatch.chdir(patient_folder)
    half(patient_folder / name)
    assert f"error: {name}: " in refusal(capsys, "pipelines.run_real", "--random=1")


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"a: [1, 2", b"- 1", b"", b"a: 2026-99-99", b"1: 2"])
@pytest.mark.parametrize("entry", [entry for entry, option in ENTRY_POINTS.items() if option in ("--config", "--rig")])
def test_a_parameter_file_that_is_none_is_named(project, capsys, entry, content):
    (project / "bad.yaml").write_bytes(content)
    told = refusal(capsys, entry, *NEEDED.get(entry, []), f"{ENTRY_POINTS[entry]}=bad.yaml")
    assert "error: bad.yaml: " in told
    assert written(project) == ["bad.yaml"]


@pytest.mark.parametrize("given", ["last", "out/last.ckpt"])
def test_a_checkpoint_cut_short_is_named_before_anything_is_read(project, capsys, given):
    (project / "out/log").mkdir(parents=True)
    (project / "out/log/config.yaml").write_text("{model: {}, data: {}, output: out}")
    (project / "out/last.ckpt").write_bytes(b"PK\x03\x04 and no more")
    fit = ["fit", "--config=params/perception_glance.yaml", "--output=out", f"--ckpt_path={given}"]
    assert "out/last.ckpt: checkpoint missing or cut short" in refusal(capsys, "perception.train", *fit)


# --- numbers and terminals ---


@pytest.mark.parametrize("number", ["-1e-1", "-1.5e-05", "-1E-3", "-.5", "-2.", "-3", "-1e3"])
def test_a_negative_number_is_no_option(number):
    assert parser().parse_args(["--goal", "0.4", number, "0.3"]).goal == [[0.4, float(number), 0.3]]


@pytest.mark.parametrize("number", ["-inf", "-nan", "-1e400"])
def test_a_goal_of_no_number_is_refused_by_its_own_words(capsys, number):
    told = refusal(capsys, "pipelines.run_real", "--goal", "0.4", number, "0.3")
    assert "expected 3 arguments" not in told


@pytest.mark.parametrize("entry", ["pipelines.run_real", "pipelines.calibrate.__main__"])
def test_nobody_agrees_by_a_closed_standard_input(project, monkeypatch, capsys, entry):
    monkeypatch.setattr(sys, "stdin", None)
    ask = ["--arm=127.0.0.55", "--camera=realsense"]
    more = ["--goal", "0.42", "0.03", "0.24"] if entry.endswith("real") else ["--out=camera.yaml"]
    assert "the operator did not agree" in refusal(capsys, entry, *ask, *more)


@pytest.mark.parametrize("entry", [*ENTRY_POINTS, "control.repeat", "pipelines.report.__main__"])
def test_a_misspelt_option_takes_one_line(project, capsys, entry):
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(entry).main([*NEEDED.get(entry, []), "--no-such-option"])
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert told.count("\n") == 1
    assert "no-such-option" in told


# --- machines, accounts and launchers: each row is a process of its own ---

NOBODY = """
import os, pwd
def none(*given):
    raise KeyError("no such user")
pwd.getpwuid = pwd.getpwnam = none
for name in ("HOME", "USER", "LOGNAME", "LNAME", "USERNAME"):
    os.environ.pop(name, None)
"""
"""An account without a name and a home, as a container's that is given any number for its user."""
NOTEBOOK = {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "DISPLAY": ""}
SLURM = {"SLURM_JOB_ID": "1", "SLURM_JOB_NAME": "train", "SLURM_LOCALID": "0", "SLURM_NODEID": "0"}
GENERATE = ["datasets.generate", "--config=few.yaml", "--workers=1", "--out=out"]
TRAIN = ["perception.train", "fit", "--config=params/perception_glance.yaml", "--output=out"]
REFUSED = [
    ({"MUJOCO_GL": "foo"}, GENERATE, "MUJOCO_GL is 'foo': choose egl or osmesa"),
    ({"MUJOCO_GL": "glfw", "DISPLAY": ""}, GENERATE, "nothing can be drawn here: MUJOCO_GL=glfw"),
    ({"MUJOCO_GL": "glfw", "DISPLAY": ""}, ["datasets.gallery", "--out=out"], "nothing can be drawn here"),
    ({"MUJOCO_EGL_DEVICE_ID": "7"}, ["pipelines.run_real", "--random=1"], "unset MUJOCO_EGL_DEVICE_ID"),
    ({"__EGL_VENDOR_LIBRARY_FILENAMES": "/none"}, GENERATE, "unset __EGL_VENDOR_LIBRARY_FILENAMES"),
    ({**SLURM, "SLURM_NTASKS": "2", "SLURM_PROCID": "0"}, TRAIN, "data/frames/train: no frames there"),
    ({**SLURM, "SLURM_NTASKS": "2", "SLURM_PROCID": "1"}, TRAIN, "this is task 1 of 2 that srun started"),
    (
        {**SLURM, "SLURM_NTASKS": "2", "SLURM_PROCID": "0"},
        [*TRAIN, "--trainer.devices=2"],
        "this trainer cannot run here: You set `--ntasks=2`",
    ),
]
WORKS = [
    ("", {"PYOPENGL_PLATFORM": "glx"}, [GENERATE]),
    ("", {"MUJOCO_GL": ""}, [GENERATE]),
    (NOBODY, {}, [GENERATE]),
    ("import sys; sys.stdin = sys.stdout = None", {}, [GENERATE]),
    ("import sys; sys.stderr = None", {}, [GENERATE]),
    ("", NOTEBOOK, [["perception.train", "--help"], ["perception.evaluate", "--help"]]),
    ("", NOTEBOOK, [["pipelines.gauntlet", "--help"], ["pipelines.rehearse", "--help"], ["control.train", "--help"]]),
    (NOBODY, {}, [["pipelines.run_real", "--help"], ["perception.train", "--help"]]),
]
"""What comes before the commands, and the commands, one after the other: libraries are imported once."""
RUN = """
import runpy, sys
for command in {commands!r}:
    sys.argv = command
    try:
        runpy.run_module(command[0], run_name="__main__")
    except SystemExit as end:
        if end.code:
            raise
"""


def started(project, prelude, environment, commands):
    """The end of commands in a process of its own, after the Python of ``prelude``."""
    (project / "few.yaml").write_text(
        "shard_frames: 4\nsplits: {train: {frames: 4, seed: 1, camera: {offset_m: 0.0}}}\n"
    )
    line = [sys.executable, "-c", prelude + RUN.format(commands=commands)]
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("MUJOCO", "PYOPENGL", "MPL"))}
    everything = {**inherited, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(line, cwd=project, env=everything, capture_output=True, text=True, timeout=200)


@pytest.mark.slow
@pytest.mark.parametrize(("environment", "command", "sentence"), REFUSED)
def test_an_environment_that_will_not_do_is_told_in_one_sentence(project, environment, command, sentence):
    done = started(project, "", environment, [command])
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert sentence in done.stderr.strip().splitlines()[-1]
    assert not [path for path in (project / "out").rglob("*") if path.is_file()]


@pytest.mark.slow
@pytest.mark.parametrize(("prelude", "environment", "commands"), WORKS)
def test_an_environment_that_matters_not_is_none(project, prelude, environment, commands):
    done = started(project, prelude, environment, commands)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert (project / "out/train/zarr.json").is_file() == (GENERATE in commands)
