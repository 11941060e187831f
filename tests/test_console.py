"""Every command has a console name, a line in the listing, and keeps its promises on output and exit codes."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from datasets.common.cli import console_name
from pipelines.__main__ import commands, start
from started_here import started_here

ROOT = Path(__file__).parents[1]
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
COMMANDS = commands()


def run(*line, **named):
    return subprocess.run(
        [sys.executable, *line], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False, **named
    )


def test_every_quoted_or_staged_module_is_listed():
    text = "\n".join((ROOT / name).read_text() for name in ("README.md", "Makefile", "dvc.yaml", "studies/dvc.yaml"))
    quoted = set(re.findall(r"(?:python|BIN\)/python) -m ((?:datasets|perception|control|pipelines)[\w.]*)", text))
    assert len(quoted) > 10
    assert quoted <= set(COMMANDS)
    assert all(len(sentence.split()) > 2 for sentence in COMMANDS.values())


def test_the_listing_names_each_command_in_one_line():
    lines = run("-m", "pipelines").stdout.splitlines()
    assert [line.split()[2] for line in lines] == list(COMMANDS)


def test_the_listing_for_programs_is_one_json_document():
    listed = json.loads(run("-m", "pipelines", "--json").stdout)
    assert [each["module"] for each in listed] == list(COMMANDS)


def test_the_console_names_are_those_of_the_modules_directly_below_a_package():
    assert {console_name(module): "pipelines.__main__:start" for module in COMMANDS if module.count(".") < 2} == SCRIPTS


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sim2real", "sim2real-run-real", "sim2real-control-train"])
def test_a_console_name_starts_what_python_m_starts(name):
    (module,) = (module for module in COMMANDS if console_name(module) == name)
    code = f"import sys; sys.argv[:] = ['/usr/bin/{name}', '--help']; from pipelines.__main__ import start; start()"
    done = run("-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout == run("-m", module, "--help").stdout


def test_an_unknown_console_name_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/sim2real-walk"])
    with pytest.raises(SystemExit) as ended:
        start()
    assert ended.value.code == 2
    assert "`python -m pipelines` lists them" in capsys.readouterr().err


@pytest.mark.parametrize("module", ["pipelines.run_real", "control.train", "datasets.generate"])
def test_a_command_completes_its_options_and_can_be_quiet(module):
    code, printed = started_here(module, "--print-completion", "bash")
    assert code == 0
    assert "--quiet" in printed
    assert re.search(rf"^complete .* {console_name(module)}$", printed, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("module", ["pipelines.demo", "pipelines.report"])
def test_nothing_is_coloured_with_or_without_no_color(module):
    code = f"""
import runpy, sys
for argument in ("--help", "--no-such-option"):
    sys.argv[:] = ["command", argument]
    try:
        runpy.run_module({module!r}, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        print("code", end.code)
"""
    done = run("-c", code, env={"FORCE_COLOR": "1", "PATH": "/usr/bin", "HOME": "/tmp"})
    assert re.findall(r"^code (.*)", done.stdout, re.MULTILINE) == ["0", "2"], done.stderr
    assert "\x1b" not in done.stdout + done.stderr


ANSWERS = """
import sys
sys.path.append("tests/stand_ins")
from pipelines.__main__ import commands
from started_here import started_here

for module in commands():
    if module == "perception.train":
        continue
    code, told = started_here(module, "--help")
    wrong = [started_here(module, "--no-such-option")[0]]
    if "--config" in told:
        needed = ["a_run"] if module == "perception.baseline" else []
        wrong.append(started_here(module, "--config", "no/such.yaml", *needed)[0])
    print(module, code, *sorted(set(wrong)), *sorted({*sys.argv[1:]} & sys.modules.keys()))
"""
SLOW_TO_IMPORT = (
    *("torch", "torchvision", "pytorch_lightning", "stable_baselines3", "timm", "tensorboard", "albumentations"),
    *("matplotlib.figure", "scipy.interpolate", "scipy.stats"),
)
"""Without MuJoCo: it takes a fifth of a second, and modules of the arm, below almost every command, need it."""


@pytest.mark.slow
def test_help_and_refusals_wait_for_no_slow_package():
    # perception.train is left out: Lightning makes its options from the classes themselves, which need torch.
    done = run("-c", ANSWERS, *SLOW_TO_IMPORT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{module} 0 2" for module in COMMANDS if module != "perception.train"]


def exit_codes():
    """Every code that the four packages or the soak name, by the constant's name."""
    files = [
        path
        for room in ("datasets", "perception", "control", "pipelines", "tests/benchmarks")
        for path in (ROOT / room).rglob("*.py")
    ]
    found = {}
    for path in files:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Assign) and str(getattr(node.targets[0], "id", "")).startswith("EXIT_"):
                value = eval(ast.unparse(node.value), {"signal": __import__("signal")})
                found[node.targets[0].id] = int(value)
    return found


def test_the_page_of_commands_tells_every_exit_code():
    page = (ROOT / "docs/commands.md").read_text()
    table = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    codes = exit_codes()
    assert {"EXIT_BAD_INPUT", "EXIT_STOPPED", "EXIT_INTERRUPTED", "EXIT_FAULT"} <= set(codes)
    assert table == {0, *codes.values()}


def test_the_page_of_commands_names_each_console_command():
    page = (ROOT / "docs/commands.md").read_text()
    assert {name for name in SCRIPTS if f"`{name}`" not in page} == set()
