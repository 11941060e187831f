"""NumPy's linear algebra has one thread wherever this project imports NumPy first, and as many as its user asks for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COUNT = """
import os, numpy
numpy.ones((600, 600)) @ numpy.ones((600, 600))
print(len(os.listdir("/proc/self/task")))
"""
WATCH = """
import os, sys

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "numpy" and not seen:
            seen.append(os.environ.get("OPENBLAS_NUM_THREADS"))

seen = []
sys.meta_path.insert(0, Watch())
import {module}
print(seen)
"""


def said(code: str, **more: str) -> str:
    """What a fresh process prints that has no opinion of threads but ``more``."""
    environment = {key: value for key, value in os.environ.items() if not key.endswith("_NUM_THREADS")}
    environment |= {"PYTHONPATH": str(ROOT), **more}
    line = [sys.executable, "-c", code]
    return subprocess.run(line, capture_output=True, text=True, check=True, cwd=ROOT, env=environment).stdout.strip()


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="with one processor NumPy has one thread anyway")
def test_numpy_has_one_thread_where_the_project_is_imported_first() -> None:
    assert int(said(COUNT)) > 1, "or this shows nothing"
    assert int(said(f"import datasets{COUNT}")) == 1


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="with one processor NumPy has one thread anyway")
def test_who_asks_for_more_threads_has_them() -> None:
    assert int(said(f"import datasets{COUNT}", OPENBLAS_NUM_THREADS="2")) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "module", ["pipelines.run_real", "pipelines.rehearse.__main__", "perception.real.judge", "control.policies.shipped"]
)
def test_every_way_in_asks_for_it_before_numpy_is_there(module: str) -> None:
    assert said(WATCH.format(module=module)).splitlines()[-1] == "['1']"
