"""A whole run that a signal reaches: the arm is stopped, at the wire, and its program ends in order."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from control.arms.xarm.wire.sdk import wait_until
from datasets.arm.kinematics import Kinematics
from pipelines.twin.controller.controller import ControllerTwin
from pipelines.twin.controller.firmware import STOPPED
from pipelines.twin.controller.protocol import Register

pytestmark = [pytest.mark.realtime, pytest.mark.slow]

STAND_INS = Path(__file__).parents[2] / "stand_ins"


@contextmanager
def run(twin, folder, *before):
    line = [*before, sys.executable, str(STAND_INS / "run_to_kill.py"), twin.host, "online_line", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(STAND_INS.parents[1])}
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        said = []
        reader = threading.Thread(target=lambda: said.extend(process.stdout), daemon=True)
        reader.start()
        try:
            yield process, said
        finally:
            process.kill()
            reader.join()


def require_stopped(twin, process, said, since_s):
    def stops():
        return [
            time_s
            for time_s, request in list(twin.log)
            if time_s >= since_s and request.register == Register.SET_STATE and request.payload == bytes([STOPPED])
        ]

    assert wait_until(stops, 1.0), said
    assert stops()[0] - since_s < 0.25
    assert wait_until(lambda: twin.firmware.state == STOPPED and twin.firmware.speed_m_s() == 0, 1.0), said
    assert process.wait(15) == 130, said
    assert twin.firmware.state == STOPPED
    assert wait_until(lambda: twin.clients == [], 2.0)
    assert not [line for line in said if "Traceback" in line], said


@pytest.mark.parametrize("number", [signal.SIGTSTP, signal.SIGQUIT, signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_mid_motion_stops_the_arm(rig, tmp_path, number):
    with ControllerTwin(rig) as twin, run(twin, tmp_path) as (process, said):
        assert wait_until(lambda: any(" step 10 " in line for line in said), 60.0), said
        assert wait_until(lambda: twin.firmware.speed_m_s() > 0.1, 1.0)
        since_s = time.monotonic()
        process.send_signal(number)
        require_stopped(twin, process, said, since_s)
        assert any(line.startswith("pipelines.run_real: stopped: operator: ") for line in list(said)), said


@pytest.mark.parametrize("number", [signal.SIGTSTP, signal.SIGQUIT, signal.SIGHUP])
def test_a_signal_while_homing_stops_the_arm(rig, tmp_path, number):
    away = Kinematics().solve([0.45, 0.28, 0.25], rig.home_joints_rad)
    nohup = ("nohup",) if number == signal.SIGHUP else ()  # which a real arm does not heed
    with ControllerTwin(rig, joints_rad=away) as twin, run(twin, tmp_path, *nohup) as (process, said):
        assert wait_until(lambda: twin.firmware.speed_m_s() > 0.05, 60.0), said
        since_s = time.monotonic()
        process.send_signal(number)
        require_stopped(twin, process, said, since_s)


@pytest.mark.parametrize("register", [Register.MOTION_EN, Register.SET_LOAD_PARAM, Register.SET_REDUCED_MODE])
def test_a_signal_while_connecting_stops_and_closes(rig, tmp_path, register):
    with ControllerTwin(rig) as twin, run(twin, tmp_path) as (process, said):
        assert wait_until(lambda: register in {each.register for _, each in list(twin.log)}, 60.0, 0.001), said
        since_s = time.monotonic()
        process.send_signal(signal.SIGTERM)
        require_stopped(twin, process, said, since_s)
