"""No library of ours stores or sends anything about its use, and nothing of a stranger's is unpickled."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from datasets import UNASKED

ROOT = Path(__file__).parents[1]
LIBRARIES = ["onnxruntime", "albumentations", "pytorch_lightning", "rerun", "ray", "timm", "tensorboard"]
WATCH = f"""
import json, os, sys

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name in {LIBRARIES}:
            seen[name] = {{key: os.environ.get(key) for key in {sorted(UNASKED)}}}

seen = {{}}
sys.meta_path.insert(0, Watch())
"""
ROOMS = [
    *("perception.estimator.estimator", "perception.training.augment", "control.policies.shipped", "perception.train"),
    *("control.train", "datasets.generate", "pipelines.run_real", "pipelines.observers.live"),
]


def fresh(code, home, **more):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("XDG_") and key not in UNASKED}
    environment |= {"HOME": str(home), "PYTHONPATH": str(ROOT), "MPLCONFIGDIR": str(home.parent / "plots"), **more}
    line = [sys.executable, "-c", code]
    done = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=200)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("module", ROOMS)
def test_libraries_are_told_before_they_are_imported(module, tmp_path):
    told = fresh(f"{WATCH}\nimport {module}\nprint(json.dumps([seen, dict(os.environ)]))", tmp_path)
    seen, environment = json.loads(told.splitlines()[-1])
    assert not [name for name, variables in seen.items() if variables != UNASKED]
    assert environment.items() >= UNASKED.items()


def test_what_the_caller_has_set_stays(tmp_path):
    assert fresh("import os, datasets; print(os.environ['DO_NOT_TRACK'])", tmp_path, DO_NOT_TRACK="0").strip() == "0"


ALL = """
import datasets, albumentations, pytorch_lightning, timm, onnxruntime, stable_baselines3, zarr
import perception.training.augment, control.learning.trainer, pipelines.run_real
from pathlib import Path
from perception.estimator.estimator import MODEL_FOLDER, PositionEstimator
if MODEL_FOLDER.is_dir():
    PositionEstimator.load()
import time
time.sleep(2)  # for which their threads would write
"""


@pytest.mark.slow
def test_a_fresh_process_leaves_nothing_in_an_empty_home(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    fresh(ALL, home)
    assert [str(path) for path in home.rglob("*") if path.is_file()] == []


@pytest.mark.slow
def test_a_live_view_leaves_nothing_in_an_empty_home(tmp_path):
    pytest.importorskip("rerun")
    home = tmp_path / "home"
    home.mkdir()
    fresh(f"import datasets, rerun; rerun.init('x'); rerun.save({str(tmp_path / 'x.rrd')!r}); rerun.disconnect()", home)
    assert not [path for path in home.rglob("*") if path.is_file()]


def test_dvc_sends_nothing_of_this_repository():
    assert re.search(r"analytics\s*=\s*false", (ROOT / ".dvc/config").read_text())


def test_what_a_run_reads_reaches_no_pickle():
    """The modules that recordings and shipped models pass through; the pool of workers sends functions of its own."""
    folders = ("datasets", "perception/cameras", "perception/calibration", "perception/estimator", "control/policies")
    unpickles = re.compile(r"pickle|joblib|weights_only=False|torch\.load|yaml\.(unsafe_)?load\(|\beval\(")
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for folder in (*folders, "control/arms", "pipelines")
        for path in (ROOT / folder).rglob("*.py")
        if path != ROOT / "datasets/common/workers.py"
        for line in path.read_text().splitlines()
        if unpickles.search(line) and not line.lstrip().startswith(("#", '"""'))
    ]
    assert found == []


def test_the_readme_warns_of_what_unpickles():
    assert "never open a stranger's `runs/`" in " ".join((ROOT / "README.md").read_text().split())
