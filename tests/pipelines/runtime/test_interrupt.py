"""Every signal that would end or suspend the program stops the arm first, whatever the program is in the middle of."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from control.arms.xarm.wire.sdk import wait_until
from pipelines.runtime.interrupt import Interruption, stop_on_signals

STAND_INS = Path(__file__).parents[2] / "stand_ins"
ENDING = [
    *(signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP),
    *(signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU, signal.SIGALRM, signal.SIGPROF),
    *(signal.SIGPWR, signal.SIGIO, signal.SIGRTMIN, signal.SIGRTMIN + 7, signal.SIGRTMAX),
]


@contextmanager
def running(*arguments):
    line = [sys.executable, str(STAND_INS / "run_signalled.py"), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(STAND_INS.parents[1])}
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", ENDING, ids=lambda number: getattr(number, "name", str(number)))
def test_a_signal_stops_the_arm_and_is_named(number):
    with running("waiting") as process:
        process.send_signal(number)
        assert process.stdout.readline() == "stopped\n"
        name = getattr(number, "name", f"signal {number}").removeprefix("SIGINT")
        assert name in (told := process.stdout.readline())
        assert told.startswith("ended: ")
        assert process.wait(2) == 0


@pytest.mark.slow
def test_one_signal_is_enough_at_whatever_moment_it_comes():
    rng = random.Random(0)
    for _ in range(25):
        with running("busy") as process:
            time.sleep(rng.uniform(0.002, 0.02))  # the moment
            process.send_signal(signal.SIGINT)
            assert process.wait(2) == 0
            assert process.stdout.read().startswith("stopped\n")


def test_a_program_that_is_stuck_stops_the_arm_all_the_same():
    with running("stuck") as process:
        time.sleep(0.2)  # who is stuck cannot say that it is
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert process.stdout.readline() == "stopped\n"
        assert process.poll() is None
        assert time.monotonic() - began < 0.5


def test_a_signal_needs_no_new_thread():
    with running("full") as process:
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "stopped\n"


@pytest.mark.parametrize(
    ("nohup", "keep", "goes_on"), [("nohup", "keep", True), ("nohup", "", False), ("", "keep", False)]
)
def test_a_hangup_that_was_ignored_stays_so_where_no_real_arm_moves(nohup, keep, goes_on):
    with running("waiting", nohup, keep) as process:
        process.send_signal(signal.SIGHUP)
        if goes_on:
            assert not wait_until(lambda: process.poll() is not None, 0.3)
            process.send_signal(signal.SIGTERM)
        last = process.stdout.read().splitlines()[-1]
        assert ("SIGTERM" if goes_on else "SIGHUP") in last


def test_handlers_nest_and_are_given_back():
    before = {number: signal.getsignal(number) for number in ENDING}
    stops = []
    with stop_on_signals(lambda: stops.append("outer"), at_once=True):
        with stop_on_signals(lambda: stops.append("inner")) as interrupted:
            signal.raise_signal(signal.SIGTERM)
            assert interrupted.wait(1.0)
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGTERM)
        assert stops == ["inner"]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    assert stops == ["inner", "outer"]
    assert {number: signal.getsignal(number) for number in ENDING} == before


def test_an_interruption_set_within_its_own_wait_ends_it():
    interrupted = Interruption()
    before = signal.signal(signal.SIGALRM, lambda number, frame: interrupted.set())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        began = time.monotonic()
        assert interrupted.wait(5.0)
        assert time.monotonic() - began < 1.0
    finally:
        signal.signal(signal.SIGALRM, before)
    assert interrupted.wait()
    assert interrupted.wait(-1.0)
    interrupted.set()


def test_waiting_for_nothing_takes_its_time_and_no_more():
    interrupted = Interruption()
    began = time.monotonic()
    assert not interrupted.wait(0.05)
    assert not interrupted.wait(0.0)
    assert 0.05 <= time.monotonic() - began < 0.5


@pytest.mark.parametrize("number", [signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH, signal.SIGPIPE])
def test_what_ends_no_program_ends_no_run(number):
    with running("waiting") as process:
        process.send_signal(number)
        assert not wait_until(lambda: process.poll() is not None, 0.2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(2) == 0
        assert "SIGTERM" in process.stdout.read()
