"""Every command that README and docs quote starts, knows the options it is given there, and names what exists."""

import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest
import yaml

from started_here import started_here

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY")),
    *sorted((ROOT / "docs").glob("*.md")),
]
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
    """What ``python -m MODULE --help`` prints; the command must end well (test_console starts some as processes)."""
    # Lightning's command line has a subcommand that takes the options.
    code, printed = started_here(module, *(["fit"] if module == "perception.train" else []), "--help")
    assert code == 0
    return printed


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
def test_a_quoted_command_starts_and_explains_itself(module):
    assert len(help_of(module).split()) > 20


@pytest.mark.slow
@pytest.mark.parametrize(("module", "option"), OPTIONS)
def test_a_quoted_option_is_known(module, option):
    assert re.search(rf"{re.escape(option)}\b", help_of(module))


def test_commands_are_found_on_the_pages():
    assert {"pipelines.run_real", "perception.train", "studies.peers"} <= set(MODULES)
    assert {("pipelines.run_real", "--shadow"), ("perception.evaluate", "--frames")} <= set(OPTIONS)
    assert len(MODULES) > 15
    assert len(OPTIONS) > 40


def test_quoted_make_targets_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    found = {target for (target,) in quoted(r"\bmake ([a-z-]+)\b")} - {"it", "sure", "room"}
    assert len(found) > 10
    assert found <= targets


def test_quoted_stages_exist():
    for pattern, file in (
        (r"dvc repro (?:--?[\w-]+ )*([a-z_]+)\b(?!/)", "dvc.yaml"),
        (r"dvc repro (?:--?[\w-]+ )*studies/dvc\.yaml:([a-z_]+)", "studies/dvc.yaml"),
    ):
        found = {stage for (stage,) in quoted(pattern)}
        assert len(found) > 2
        assert found <= set(yaml.safe_load((ROOT / file).read_text())["stages"])


def test_quoted_extras_of_the_installation_exist():
    extras = {extra for (names,) in quoted(r"-e '?\.\[([\w,]+)\]") for extra in names.split(",")}
    assert extras >= {"live", "train"}
    assert extras <= set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])


def test_quoted_values_of_parameters_are_of_keys_that_exist():
    keys = quoted(r"dvc exp run -S '(params/\w+\.yaml):([\w.]+)=")
    assert keys
    for file, key in keys - {
        ("params/control.yaml", "env.reward.precision_weight")
    }:  # added by docs/your_own_reward.md
        value = yaml.safe_load((ROOT / file).read_text())
        for part in key.split("."):
            value = value[part]


@pytest.mark.slow
def test_the_environments_of_the_page_are_made_as_it_says():
    (code,) = re.findall(r"```python\n(import gymnasium.*?)```", (ROOT / "docs/commands.md").read_text(), re.DOTALL)
    code += "print(*env.reset(seed=0)[0])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "desired_goal" in done.stdout.split()


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
