"""What is printed never decides over a run: no terminal, pipe or disk makes it wait, fail or lose its reason."""

import fcntl
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pipelines.observers import output
from pipelines.observers.output import unhurried_output

ROOT = Path(__file__).parents[3]
TALK = r"""
import sys, time
from pipelines.observers.output import unhurried_output

@unhurried_output()
def main():
    longest = 0.0
    for n in range(400):
        began = time.monotonic()
        print(f"step {n} \u00b1{'x' * 100}", flush=True)
        print(f"warning {n} \u00b2", file=sys.stderr)
        longest = max(longest, time.monotonic() - began)
        time.sleep(0.001)  # a step, though a short one
    print("the table")
    print(f"stopped: the reason; longest {longest:.3f}", file=sys.stderr)
    raise SystemExit(3)

main()
"""


def talk(stdout, stderr=subprocess.PIPE, **environment):
    line = [sys.executable, "-c", TALK]
    more = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.Popen(line, stdout=stdout, stderr=stderr, env=more)


def require_told(process, errors):
    assert process.wait(30) == 3, errors
    assert "Traceback" not in errors
    assert "Exception ignored" not in errors
    (reason,) = [line for line in errors.splitlines() if line.startswith("stopped: the reason")]
    assert float(reason.split()[-1]) < 0.2, "the loop waited for what it printed"


@pytest.mark.parametrize(
    "environment",
    [
        *({"PYTHONIOENCODING": name} for name in ("ascii", "iso8859-2", "cp437", "utf-8", "ascii:strict")),
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
)
def test_characters_that_the_terminal_lacks_are_replaced(environment):
    process = talk(subprocess.PIPE, **environment)
    told, errors = (text.decode("latin-1") for text in process.communicate(timeout=30))
    require_told(process, errors)
    assert "lost" not in errors
    assert len(told.splitlines()) == 401
    assert told.splitlines()[-1] == "the table"


@pytest.mark.parametrize("lines", [0, 2])
def test_a_pipe_whose_reader_is_gone_is_told_once(lines):
    process = talk(subprocess.PIPE)
    for _ in range(lines):
        process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read().decode()
    require_told(process, errors)
    assert errors.count("lines of output were lost: Broken pipe") == 1


@pytest.mark.parametrize("both", [True, False])
def test_a_reader_that_pauses_holds_nothing_up_and_loses_nothing(both):
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    process = talk(writing, writing if both else subprocess.PIPE)
    os.close(writing)
    errors = "" if both else process.stderr.read(0)
    time.sleep(3.0)  # the pause
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read().decode()
    errors = told if both else process.stderr.read().decode()
    require_told(process, errors)
    assert "the table" in told
    assert told.count("step ") == 400
    if both:
        assert told.index("the table") < told.index("stopped: the reason")


def test_a_full_disk_under_what_is_printed_is_told():
    with open("/dev/full", "wb") as full:
        process = talk(full)
        errors = process.stderr.read().decode()
    require_told(process, errors)
    assert "401 lines of output were lost: No space left on device" in errors


@pytest.mark.parametrize("closed", ["stdout", "stderr", "both"])
def test_closed_streams_change_no_exit_code(closed):
    redirected = {"stdout": ">&-", "stderr": "2>&-", "both": ">&- 2>&-"}[closed]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TALK": TALK}
    line = f'"{sys.executable}" -c "$TALK" {redirected}'
    done = subprocess.run(line, shell=True, capture_output=True, text=True, env=environment)
    assert done.returncode == 3, done.stderr


def test_too_many_lines_lose_the_oldest_and_a_stuck_reader_is_given_up(monkeypatch, capfd):
    # Smaller and sooner than shipped, and with a writer that the test holds up: a full pipe would hold up pytest, too.
    monkeypatch.setattr(output, "_MOST_LINES", 5)
    monkeypatch.setattr(output, "_GIVEN_UP_S", 0.2)
    may_write = threading.Event()
    write = output._Writer._write
    monkeypatch.setattr(output._Writer, "_write", lambda *given: (may_write.wait(5), write(*given)))
    began = time.monotonic()
    with unhurried_output():
        for n in range(50):
            print(n)
        logging.getLogger("somewhere").warning("not waited for")
    assert time.monotonic() - began < 2
    may_write.set()
    assert "lines of output were lost" in capfd.readouterr().err


def test_lines_are_whole_and_in_order_from_many_threads(capsys):
    def speak(name):
        for n in range(100):
            print(f"{name} {n}")

    with unhurried_output():
        threads = [threading.Thread(target=speak, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print("a question: ", end="", flush=True)
    told = capsys.readouterr().out.splitlines()
    assert told[-1] == "a question: "
    for name in "abcd":
        assert [line for line in told if line[0] == name and line[1] == " " and line != told[-1]] == [
            f"{name} {n}" for n in range(100)
        ]
