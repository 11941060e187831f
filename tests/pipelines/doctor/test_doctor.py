"""The page as a user gets it: on a healthy machine, on broken ones, and what it never tells or does."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
has_models = pytest.mark.skipif(not (ROOT / "models/policy/policy.json").is_file(), reason="no trained models yet")
pytestmark = pytest.mark.slow


def doctor(*arguments, cwd=ROOT, python=(), **variables):
    """Exit code and findings by their item."""
    line = [sys.executable, *python, "-m", "pipelines.doctor", "--json", *arguments]
    path = os.pathsep.join([*filter(None, [variables.pop("PYTHONPATH", "")]), str(ROOT)])
    environment = {**os.environ, "MUJOCO_GL": "egl", **variables, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(line, cwd=cwd, env=environment, capture_output=True, text=True, timeout=200)
    assert done.stderr == ""
    told = json.loads(done.stdout)
    found = {each["item"]: each for each in told["findings"]}
    assert told["healthy"] == (done.returncode == 0)
    return done.returncode, found


def faults(found):
    return {item for item, each in found.items() if each["state"] == "fault"}


OF_THE_MACHINE = {"cores", "memory", "disk", "temporary files", "shared memory", "clock", "scheduling", "camera"}


SECRET = "clara-schumann"


@pytest.fixture(scope="module")
def cloned(tmp_path_factory):
    """The findings in a folder with all that a clone brings, in a user's home; and its files before and after."""
    home = tmp_path_factory.mktemp("home") / SECRET
    here = home / "clone"
    here.mkdir(parents=True)
    for part in ("params", "models"):
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, here / part)
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*")}
    _, found = doctor(cwd=here, HOME=str(home), USER=SECRET, XDG_CACHE_HOME="", XDG_CONFIG_HOME="")
    return found, before, {path: path.stat().st_mtime_ns for path in home.rglob("*")}


@has_models
def test_what_a_clone_brings_is_healthy(cloned):
    found = cloned[0]
    assert not faults(found) - OF_THE_MACHINE
    for item in ("Python", "packages", "training", "OpenGL", "estimator", "policy"):
        assert found[item]["state"] == "ok", found[item]
    assert "ms per picture" in found["OpenGL"]["found"]
    assert "mujoco" in found["packages"]["found"]
    assert "digest" in found["estimator"]["found"]


def test_nothing_is_written(cloned):
    _, before, after = cloned
    assert after == before


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page for a user without models, one of whose libraries fails and says where it lies."""
    home = tmp_path_factory.mktemp("home") / SECRET
    home.mkdir()
    (home / "onnxruntime.py").write_text(f"raise ImportError('{home}/lib of {SECRET}')")
    line = [sys.executable, "-m", "pipelines.doctor"]
    environment = {**os.environ, "HOME": str(home), "USER": SECRET, "PYTHONPATH": f"{home}{os.pathsep}{ROOT}"}
    return home, subprocess.run(line, cwd=home, env=environment, capture_output=True, text=True, timeout=200)


def test_a_page_has_a_line_per_finding_and_the_remedy_below_it(page):
    _, done = page
    assert done.returncode == 1
    assert "FAULT models" in done.stdout
    assert "-> run from the project's folder" in done.stdout
    assert "fault(s): " in done.stdout.splitlines()[-1]


def test_names_and_folders_of_the_user_are_left_out(page, cloned):
    home, done = page
    assert "ImportError" in done.stdout
    for told in (done.stdout, json.dumps(list(cloned[0].values()))):
        for secret in (SECRET, str(home), str(ROOT)):
            assert secret not in told


@has_models
def test_a_back_end_that_does_not_work_is_a_fault_and_hides_nothing_else():
    code, found = doctor(MUJOCO_GL="nonsense")
    assert code == 1
    assert faults(found) - OF_THE_MACHINE == {"OpenGL"}
    assert "nonsense" in found["OpenGL"]["found"]
    assert "MUJOCO_GL=egl" in found["OpenGL"]["remedy"]


def test_missing_models_are_named_with_the_remedy(tmp_path):
    shutil.copytree(ROOT / "params", tmp_path / "params")
    code, found = doctor(cwd=tmp_path)
    assert code == 1
    for item in ("estimator", "policy"):
        assert f"models/{item}" in found[item]["found"]
        assert "git checkout -- models" in found[item]["remedy"]


def test_a_missing_library_and_an_old_sdk_are_named_with_the_remedy(tmp_path):
    (tmp_path / "onnxruntime.py").write_text("raise ModuleNotFoundError(\"No module named 'onnxruntime'\")")
    (tmp_path / "xarm_python_sdk-1.16.0.dist-info").mkdir()
    about = "Metadata-Version: 2.1\nName: xarm-python-sdk\nVersion: 1.16.0\n"
    (tmp_path / "xarm_python_sdk-1.16.0.dist-info/METADATA").write_text(about)
    code, found = doctor(PYTHONPATH=str(tmp_path))
    assert code == 1
    assert {"onnxruntime", "xarm-python-sdk", "models"} <= faults(found)
    assert "No module named 'onnxruntime'" in found["onnxruntime"]["found"]
    assert "1.18 or newer is needed, installed is 1.16.0" in found["xarm-python-sdk"]["found"]
    for item in ("onnxruntime", "xarm-python-sdk"):
        assert "pip install -c constraints.txt" in found[item]["remedy"]


def test_where_no_library_is_installed_the_page_still_comes():
    code, found = doctor(python=("-S",))
    assert code == 1
    assert "pip install -c constraints.txt" in found["cores"]["remedy"]
    assert found["memory"]["state"] in ("ok", "fault")
    assert {"disk", "clock", "OpenGL", "camera"} <= set(found)


@pytest.mark.parametrize("address", ["xarm", "1.2.3", "192.168.1.203:502", ""])
def test_an_address_that_is_none_is_refused(address):
    line = [sys.executable, "-m", "pipelines.doctor", f"--arm={address}"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "IPv4 address, such as" in done.stderr
