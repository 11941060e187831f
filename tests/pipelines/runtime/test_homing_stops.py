"""Whatever ends the way home stops the arm, and it is told how long that took."""

import json
import signal
import time

import numpy as np
import pytest

from datasets.common.errors import DeviceError
from pipelines.observers.recorder import RunRecorder
from pipelines.run_real import exit_code
from pipelines.runtime.goals import run_goals
from pipelines.runtime.interrupt import Interruption
from pipelines.runtime.stops import StopReason

GOALS = [np.array([0.42, 0.0, 0.25])]
STOP_S = 0.05


@pytest.fixture
def slow_to_stop(world, monkeypatch):
    stop = world.arm.stop
    monkeypatch.setattr(world.arm, "stop", lambda: (time.sleep(STOP_S), stop())[1])  # braking takes its time
    return world


def fail_with(world, monkeypatch, error):
    def home():
        raise error

    monkeypatch.setattr(world.arm, "home", home)


@pytest.mark.parametrize("error", [ZeroDivisionError("a defect"), KeyboardInterrupt()])
def test_what_is_no_fault_of_the_arm_stops_it_and_is_raised_on(world, monkeypatch, error):
    fail_with(world, monkeypatch, error)
    with pytest.raises(type(error)):
        run_goals(world.arm, world.runtime(), GOALS)
    assert world.arm.stopped_at is not None


@pytest.mark.parametrize("confirms", [True, False])
def test_a_stop_on_the_way_home_has_its_time(slow_to_stop, monkeypatch, tmp_path, capsys, confirms):
    world = slow_to_stop
    world.arm.confirms = confirms
    fail_with(world, monkeypatch, DeviceError("hit something"))
    with RunRecorder(tmp_path, world.rig, world.arm, {}) as recorder:
        results = run_goals(world.arm, world.runtime(), GOALS, finished=recorder.finished)
    (told,) = (json.loads(line) for line in recorder.log.path.read_text().splitlines() if '"stopped"' in line)
    assert exit_code(results) == 3
    said = capsys.readouterr().err
    assert "stopped: arm fault: on the way home: hit something; " in said
    if confirms:
        assert told["stopped_in_ms"] >= 1e3 * STOP_S
        assert f"confirmed its stop after {1e3 * results[0].stopped_in_s:.0f} ms" in said
    else:
        assert told["stopped_in_ms"] is None
        assert "the arm's stop is NOT confirmed" in said
    exit_code(results, moved=False)
    assert "confirmed" not in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_on_the_way_home_is_told_as_what_it_was(slow_to_stop, monkeypatch, number):
    world, interrupted = slow_to_stop, Interruption()

    def home():
        interrupted.number = number
        interrupted.set()

    monkeypatch.setattr(world.arm, "home", home)
    (result,) = run_goals(world.arm, world.runtime(), GOALS, interrupted=interrupted)
    assert result.stop.reason is StopReason.OPERATOR
    assert str(result.stop).endswith("on the way home")
    assert ("Ctrl-C" in str(result.stop)) is (number == signal.SIGINT)
    assert result.stopped_in_s >= STOP_S
