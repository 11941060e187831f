"""The robot's computer installs the base dependencies alone: its commands need no more, and the others say so."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest

from datasets.common.training_packages import PACKAGES

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
RUNTIME = [
    *(f"pipelines.{name}" for name in ("run_real", "calibrate", "demo", "capture", "doctor", "rehearse", "report")),
    *(f"datasets.{name}" for name in ("generate", "gallery", "recorded_split")),
    "perception.real",
]
TRAINING = [
    *("perception.train", "perception.evaluate", "perception.baseline", "perception.seeds"),
    *("control.train", "control.repeat", "control.ablation", "pipelines.gauntlet"),
]
HEAVY = {
    "torch",
    "lightning",
    "pytorch-lightning",
    "stable-baselines3",
    "timm",
    "dvc",
    "albumentations",
    "ray",
    "triton",
}
START = """
import runpy, sys
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder

class Installed:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return None if name.split(".")[0] in {lacking} else PathFinder.find_spec(name, path, target)

sys.meta_path[:] = [BuiltinImporter, FrozenImporter, Installed]
sys.argv = ["command", *{arguments}]
runpy.run_module({module!r}, run_name="__main__", alter_sys=True)
"""


def plain(requirement):
    """A distribution's name as package indices compare it."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement).group()).lower()


def closure(requirements):
    """All distributions that installing these brings along, extras of the transitive ones left out."""
    found, waiting = set(), [(plain(each), set(re.findall(r"[\w-]+", each.partition("[")[2]))) for each in requirements]
    while waiting:
        name, extras = waiting.pop()
        if name in found:
            continue
        found.add(name)
        try:
            needed = requires(name) or []
        except PackageNotFoundError:  # of another system or version of Python
            continue
        for each in needed:
            extra = re.search(r"extra == ['\"]([\w-]+)", each)
            if extra is None or extra[1] in extras:
                waiting.append((plain(each), set()))
    return found


@pytest.fixture(scope="module")
def lacking():
    """The names to import of all that is installed here and would not be there."""
    base = closure(PROJECT["dependencies"]) | {PROJECT["name"]}
    names = packages_distributions().items()
    return {name for name, sources in names if not {plain(source) for source in sources} & base} - {"pip", "setuptools"}


def start(module, lacking, *arguments):
    code = START.format(lacking=lacking, arguments=arguments, module=module)
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_the_base_install_brings_no_training_package():
    assert not closure(PROJECT["dependencies"]) & HEAVY


def test_what_commands_ask_for_is_what_the_extra_installs():
    assert {plain(name) for name in PACKAGES} == {plain(each) for each in PROJECT["optional-dependencies"]["train"]} - {
        "dvc"
    }


def test_every_dependency_is_pinned():
    pinned = {plain(line) for line in (ROOT / "constraints.txt").read_text().splitlines()}
    named = [*PROJECT["dependencies"], *(each for extra in PROJECT["optional-dependencies"].values() for each in extra)]
    assert {plain(each) for each in named} - {PROJECT["name"]} <= pinned


@pytest.mark.slow
@pytest.mark.parametrize("module", RUNTIME)
def test_a_runtime_command_starts_without_the_training_packages(module, lacking):
    assert {"torch", "dvc", "pytorch_lightning", "stable_baselines3"} <= lacking
    done = start(module, lacking, "--help")
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("module", TRAINING)
def test_a_training_command_says_in_one_sentence_what_to_install(module, lacking):
    done = start(module, lacking, "--help")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"{module}: error: ")
    assert "torch" in done.stderr
    assert "`make setup`" in done.stderr
    assert "'.[train]'" in done.stderr


@pytest.mark.slow
def test_the_live_view_says_in_one_sentence_what_to_install(lacking):
    done = start("pipelines.run_real", lacking, "--live", "--random", "1")
    assert done.returncode == 2
    assert re.fullmatch(r"pipelines.run_real: error: --live needs the package rerun-sdk: .*\[live\]'\n", done.stderr)
