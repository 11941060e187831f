"""Checks Python, this project and the libraries: their versions, and whether those a run needs can be imported."""

import platform
import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from datasets.common.training_packages import PACKAGES
from pipelines.doctor.finding import INSTALL, Broken, Finding, State, look_apart

ROOT = Path(__file__).parents[2]
PROJECT = "sim2real-reach"
NEEDED = {
    "mujoco": "import mujoco",
    "numpy": "import numpy",
    "onnxruntime": "import onnxruntime",
    "opencv-python-headless": "import cv2",
    "pyrealsense2": "import pyrealsense2",
    "scipy": "import scipy",
    "xarm-python-sdk": "from control.arms.xarm.wire.sdk import load_sdk; load_sdk()",
    "zarr": "import zarr",
}
"""The import statement that must succeed, for each distribution that a run needs."""
PYTHONS = ((3, 11), (3, 13))
_IMPORT_TIMEOUT_S = 60.0
# OpenGL has an item of its own: MuJoCo would look for it when it is imported.
_WITHOUT_GL = {"MUJOCO_GL": "disable"}


def look() -> Iterator[Finding]:
    """Report the versions, with one line for everything that is in order."""
    yield _python()
    pinned = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M))
    well, others = [_named(PROJECT)], []
    for name, statement in NEEDED.items():
        found = _version(name)
        try:
            look_apart(["-c", f"{statement}; print('{{}}')"], _IMPORT_TIMEOUT_S, _WITHOUT_GL)
        except Broken as broken:
            state = "not installed" if found is None else f"{found} cannot be used"
            yield Finding(name, State.FAULT, f"{state}: {broken}", INSTALL)
            continue
        well.append(_named(name))
        if name in pinned and found != pinned[name]:
            others.append(f"{name} {found} (constraints.txt: {pinned[name]})")
    yield Finding("packages", State.OK, ", ".join(well))
    if others:
        yield Finding("other versions", State.NOTE, ", ".join(others), f"where something fails: {INSTALL}")
    missing = [name for name in PACKAGES if find_spec(name) is None]
    trains = f"no training here ({', '.join(missing)} missing)" if missing else f"installed, {_named('torch')}"
    yield Finding("training", State.NOTE if missing else State.OK, trains, "to train: make setup" if missing else "")


def _python() -> Finding:
    good = PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]
    found = f"{platform.python_version()}, {platform.system()} {platform.release()}, {platform.machine()}"
    remedy = "" if good else "make clean setup-runtime PYTHON=python3.x with Python 3.11 to 3.13"
    return Finding("Python", State.OK if good else State.FAULT, found, remedy)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _named(name: str) -> str:
    return f"{name} {_version(name) or '(not installed as a package)'}"
