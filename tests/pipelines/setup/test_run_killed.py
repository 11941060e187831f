"""``kill -9`` of a whole run in mid-motion: what was recorded stays, and the arm comes to rest by itself."""

import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from control.arms.params import ArmParams
from control.arms.xarm.wire.sdk import wait_until
from datasets.arm.kinematics import Kinematics
from datasets.store.recording import Recording
from pipelines.observers.recorder import EVENTS, FRAMES
from pipelines.twin.controller.controller import ControllerTwin
from pipelines.twin.controller.firmware import VELOCITY_ACCELERATION_M_S2
from pipelines.twin.controller.protocol import Register

pytestmark = pytest.mark.realtime

STAND_INS = Path(__file__).parents[2] / "stand_ins"
LOST_AT_MOST_S = 1.0
PLANNED_S = 0.03
"""How late the twin's planner may take up a command."""
COMMAND = {"online_line": Register.MOVE_LINE, "velocity": Register.VC_SET_CARTV}


def run_until_killed(twin, mode, folder, steps):
    """When it was killed, s on ``time.monotonic``, which all processes of one computer share."""
    line = [sys.executable, str(STAND_INS / "run_to_kill.py"), twin.host, mode, str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(STAND_INS.parents[1])}
    told = []
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment) as run:
        for each in run.stdout:
            told.append(each)
            if f" step {steps:2d} " in each:
                break
        moving = wait_until(lambda: twin.firmware.speed_m_s() > 0.1, 0.5)
        killed_s = time.monotonic()
        run.kill()
    assert moving, "".join(told)
    return killed_s


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "steps"), [("online_line", 21), ("velocity", 19)])
def test_a_killed_run_loses_at_most_a_second_and_its_arm_stops(rig, tmp_path, undisturbed, mode, steps):
    def scenario():
        killed(rig, Path(tempfile.mkdtemp(dir=tmp_path)), mode, steps)

    undisturbed(scenario, sys.modules[__name__], "run_until_killed")


def killed(rig, runs, mode, steps):
    params, speed_m_s = ArmParams(mode=mode), rig.max_speed_m_s
    with ControllerTwin(rig) as twin:
        killed_s = run_until_killed(twin, mode, runs, steps)
        assert wait_until(lambda: twin.clients == [], 2.0)  # what was on the wire has arrived
        commands = [(time_s, request) for time_s, request in twin.log if request.register == COMMAND[mode]]
        commanded_s, last = commands[-1]
        assert wait_until(lambda: twin.firmware.speed_m_s() == 0, 2.0)
        rest = twin.tcp()
        joints_at, before = twin.joints, Kinematics().tcp(twin.joints(commanded_s))
        begun_s = commands[0][0]
        states = [
            request for time_s, request in twin.log if time_s > begun_s and request.register == Register.SET_STATE
        ]
        assert not states, "nobody was left to send a stop"

    if mode == "online_line":
        target = np.array(struct.unpack_from("<3f", last.payload)) / 1e3
        np.testing.assert_allclose(rest, target, atol=1e-3)
    else:
        duration_s = params.velocity_duration_steps / rig.rate_hz
        braking_s = speed_m_s / VELOCITY_ACCELERATION_M_S2
        np.testing.assert_allclose(joints_at(commanded_s + duration_s + braking_s + PLANNED_S), joints_at(), atol=1e-6)
        assert np.linalg.norm(rest - before) <= speed_m_s * (duration_s + braking_s / 2)
    assert np.all((rest >= rig.workspace.low) & (rest <= rig.workspace.high))

    (folder,) = runs.iterdir()
    recording = Recording(str(folder), FRAMES)
    times, indices = recording.read("time"), recording.read("step")
    np.testing.assert_array_equal(indices, np.arange(recording.frames))
    assert killed_s - (times[-1] + 1 / rig.rate_hz) <= LOST_AT_MOST_S, "a step older than that is missing"
    assert np.isfinite(recording.read("tcp")).all()
    assert recording.frame(recording.frames - 1).rgb.shape == (rig.camera.height, rig.camera.width, 3)
    story = [json.loads(each)["event"] for each in (folder / EVENTS).read_text().splitlines()]
    assert story[:2] == ["begun", "goal begun"]
    assert "ended" not in story
