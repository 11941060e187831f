"""What every command line shares: one result on stdout, progress that can be switched off, completion."""

import argparse
import json
import math
from pathlib import Path

import numpy as np
import pytest
from tqdm import tqdm

from datasets.common.cli import CommandParser, command_line, console_name, no_progress


def read(*arguments, **named):
    return CommandParser(prog="python -m pipelines.demo", result=True, **named).parse_args(arguments)


def test_json_is_all_that_stands_on_stdout(capsys):
    with command_line("demo", read("--json")) as tell:
        print("on the way")
        tell({"xyz": np.array([0.1, math.nan]), "path": Path("a/b"), "far": math.inf, 3: (np.float32(1), None)}, "text")
    told = capsys.readouterr()
    assert json.loads(told.out) == {"xyz": [0.1, None], "path": "a/b", "far": None, "3": [1.0, None]}
    assert told.err == "on the way\n"


@pytest.mark.parametrize("options", [None, argparse.Namespace(), read()])
def test_without_json_the_text_is_told(capsys, options):
    with command_line("demo", options) as tell:
        print("on the way")
        tell({"a": 1}, "text")
    assert capsys.readouterr().out == "on the way\ntext\n"


@pytest.mark.parametrize("quiet", [True, False])
def test_progress_shows_unless_quiet_and_again_afterwards(capsys, quiet):
    with command_line("demo", read(*["--quiet"] * quiet)):
        for _ in tqdm(range(3), desc="looking", disable=False):
            pass
    assert ("looking" in capsys.readouterr().err) is not quiet
    for _ in tqdm(range(3), desc="again"):
        pass
    assert "again" in capsys.readouterr().err


def test_progress_comes_back_after_an_error():
    begin = tqdm.__init__
    with pytest.raises(ValueError, match="on purpose"), no_progress():
        raise ValueError("on purpose")
    assert tqdm.__init__ is begin


def test_a_command_without_a_result_has_no_json(capsys):
    with pytest.raises(SystemExit) as ended:
        CommandParser(prog="x").parse_args(["--json"])
    assert ended.value.code == 2


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_is_the_console_command_s(capsys, shell):
    parser = CommandParser(prog="python -m pipelines.demo")
    parser.add_argument("--out", metavar="DIR")
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(["--print-completion", shell])
    assert not ended.value.code
    script = capsys.readouterr().out
    assert "sim2real-demo" in script
    assert "out" in script


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("pipelines", "sim2real"),
        ("pipelines.run_real", "sim2real-run-real"),
        ("control.train", "sim2real-control-train"),
    ],
)
def test_a_console_name_follows_from_the_module(module, name):
    assert console_name(module) == name
