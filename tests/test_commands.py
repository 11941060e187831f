"""Every command that README and docs quote starts, knows the options it is given there, and names what exists."""

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = "\n".join(page.read_text() for page in PAGES)
LINES = [line.split("#")[0] for line in re.findall(r"`([^`\n]+)`", TEXT) + TEXT.splitlines()]


def quoted(pattern: str) -> set[tuple[str, ...]]:
    """The groups of ``pattern`` wherever a page quotes it."""
    return {match.groups() for line in LINES for match in re.finditer(pattern, line)}


OURS = r"python -m ((?:datasets|perception|control|pipelines|studies)[\w.]*)"
MODULES = sorted({module for (module,) in quoted(OURS)})
OPTIONS = sorted(
    {
        (module, option)
        for module, rest in quoted(rf"{OURS}([^`|;&]*)")
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", rest)
    }
)


@cache
def help_of(module: str) -> str:
    """What ``python -m MODULE --help`` prints; the command must end well."""
    command = [sys.executable, "-m", module, "--help"]
    if module == "perception.train":  # Lightning's command line has a subcommand that takes the options
        command.insert(-1, "fit")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
def test_a_quoted_command_starts_and_explains_itself(module):
    assert len(help_of(module).split()) > 20


@pytest.mark.slow
@pytest.mark.parametrize(("module", "option"), OPTIONS)
def test_a_quoted_option_is_known(module, option):
    assert re.search(rf"{re.escape(option)}\b", help_of(module))


def test_quoted_make_targets_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {target for (target,) in quoted(r"\bmake ([a-z-]+)\b")} - {"it", "sure", "room"} <= targets


def test_quoted_stages_exist():
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    assert {stage for (stage,) in quoted(r"dvc repro (?:--?[\w-]+ )*([a-z_]+)\b(?!/)")} <= set(stages)


@pytest.mark.parametrize("path", sorted({path for (path,) in quoted(r"(?<![\w/.])((?:params|models|docs)/[\w./]+\w)")}))
def test_quoted_files_exist_or_are_written_by_the_user(path):
    written = {"params/calibration.yaml", "params/site.yaml", "params/tools/NAME.yaml"}
    assert (ROOT / path).exists() or path in written or "suction_cup" in path  # the example of docs/your_own_tool.md


FLAKY = """
from pathlib import Path
import pytest

@pytest.mark.realtime
def test_that_passes_when_it_is_run_again():
    ran = Path(__file__).with_name("ran")
    again = ran.exists()
    ran.touch()
    assert again
"""


@pytest.mark.parametrize(("target", "passes"), [("test", True), ("nightly", False)])
def test_what_passes_on_its_second_run_only_is_counted_and_fails_the_nightly(tmp_path, target, passes):
    recipe = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    (options,) = re.findall(r"-m pytest (.* -m realtime.*)", recipe)
    (tmp_path / "test_flaky.py").write_text(FLAKY)
    plugins = ["-p", "no:cacheprovider", "-p", "pytest_rerunfailures", "-p", "xdist.plugin"]
    line = [sys.executable, "-m", "pytest", *options.split(), *plugins]
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, cwd=tmp_path, env=alone)
    assert "RERUN test_flaky.py::test_that_passes_when_it_is_run_again" in done.stdout
    assert re.search(r"\b1 rerun\b", done.stdout.splitlines()[-1])
    assert (done.returncode == 0) is passes, done.stdout
