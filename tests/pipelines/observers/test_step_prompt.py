"""``--step`` as an operator types at it: Enter, Ctrl-C, a hang-up, and a picture that grew old meanwhile."""

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from control.arms.params import ArmParams
from pipelines.observers.step_prompt import StepPrompt
from pipelines.runtime.interrupt import Interruption
from pipelines.runtime.stops import Stop, StopReason
from pipelines.setup.assemble import make_runtime
from pipelines.setup.devices import Devices
from pipelines.setup.setup import make_fence

pytestmark = pytest.mark.realtime

STAND_INS = Path(__file__).parents[2] / "stand_ins"
GOAL = np.array([0.45, 0.08, 0.30])
QUESTION = "Enter sends it, q stops: "


class Terminal:
    """The other end of a run's terminal."""

    def __init__(self, run, keyboard, file):
        self.run, self.keyboard, self.file, self.shown = run, keyboard, file, ""

    def wait_for_question(self, count):
        while self.shown.count(QUESTION) < count:
            self.shown += os.read(self.keyboard, 4096).decode()

    def type(self, keys):
        os.write(self.keyboard, keys)

    def hang_up(self):
        os.close(self.keyboard)
        self.keyboard = -1

    def ended(self):
        self.run.wait(10)
        return json.loads(self.file.read_text())


@pytest.fixture
def terminal(tmp_path):
    keyboard, theirs = pty.openpty()
    file = tmp_path / "ended.json"
    line = [sys.executable, str(STAND_INS / "run_stepped.py"), str(file)]
    environment = {**os.environ, "PYTHONPATH": str(STAND_INS.parents[1])}
    with subprocess.Popen(
        line, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
    ) as run:
        os.close(theirs)
        opened = Terminal(run, keyboard, file)
        yield opened
        run.kill()
        if opened.keyboard >= 0:
            opened.hang_up()


def press_ctrl_c(terminal):
    terminal.type(b"\x03")


def terminate(terminal):
    terminal.run.send_signal(signal.SIGTERM)


def hang_up(terminal):
    terminal.hang_up()


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (press_ctrl_c, ["operator: interrupted (Ctrl-C)"]),
        (terminate, ["operator: the program was asked to end (SIGTERM)"]),
        (hang_up, ["operator: the terminal is gone (SIGHUP)", "operator: refused at --step: no answer comes any more"]),
    ],
)
def test_at_the_question_a_signal_is_obeyed_without_enter(terminal, end, words):
    terminal.wait_for_question(1)
    terminal.type(b"\n")
    terminal.wait_for_question(2)
    end(terminal)
    found = terminal.ended()
    assert any(found["stop"].startswith(each) for each in words), found["stop"]
    assert len(found["sent"]) == 1


def test_enter_sends_and_q_stops(terminal):
    terminal.wait_for_question(1)
    terminal.type(b"\n")
    terminal.wait_for_question(2)
    terminal.type(b"q\n")
    found = terminal.ended()
    assert found["stop"] == "operator: refused at --step"
    assert len(found["sent"]) == 1
    assert f"next: {np.round(1e3 * np.array(found['sent'][0]), 1).tolist()} mm" in terminal.shown


@contextmanager
def keyboard(monkeypatch, is_terminal=True):
    ours, theirs = pty.openpty() if is_terminal else os.pipe()[::-1]
    with os.fdopen(theirs) as stdin, os.fdopen(ours, "wb", buffering=0) as typed:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield typed


def test_what_was_typed_before_the_question_is_no_answer_to_it(monkeypatch):
    interrupted = Interruption()
    with keyboard(monkeypatch) as typed:
        typed.write(b"\n\n")
        threading.Timer(0.3, interrupted.set).start()
        with pytest.raises(Stop, match="interrupted"):
            StepPrompt(interrupted, lambda: None)(np.zeros(3))


def test_an_arm_that_stops_meanwhile_ends_the_question(monkeypatch):
    with keyboard(monkeypatch), pytest.raises(Stop, match="C31") as caught:
        StepPrompt(Interruption(), lambda: "the controller reports C31")(np.zeros(3))
    assert caught.value.reason is StopReason.ARM


def test_answers_from_a_pipe_count_one_by_one_until_its_end(monkeypatch):
    with keyboard(monkeypatch, is_terminal=False) as typed:
        ask = StepPrompt(Interruption(), lambda: None)
        typed.write(b"\n\n")
        ask(np.zeros(3))
        ask(np.zeros(3))
        typed.close()
        with pytest.raises(Stop, match="no answer comes"):
            ask(np.zeros(3))


def test_without_a_keyboard_nothing_is_sent(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(Stop, match="no standard input"):
        StepPrompt(Interruption(), lambda: None)(np.zeros(3))


def test_the_question_shows_what_the_arm_will_be_sent(impatient, knowing_setup, monkeypatch, capsys):
    fence = make_fence(impatient.rig, ArmParams.load(), 0.03)
    settings = replace(impatient.settings.with_horizon(1), settle_s=0.0)
    limited = replace(knowing_setup, settings=settings, fence=fence, max_speed_m_s=0.03, estimator=impatient.estimator)
    impatient.policy.override = np.array([0.025, 0.0, 0.0])
    devices = Devices(impatient.camera, impatient.arm, None)
    with keyboard(monkeypatch, is_terminal=False) as typed:
        typed.write(b"\n")
        assert make_runtime(limited, devices, impatient.policy, step=True).reach(GOAL).stop is None
    assert "next: [3.0, 0.0, 0.0] mm; Enter sends it" in capsys.readouterr().out
