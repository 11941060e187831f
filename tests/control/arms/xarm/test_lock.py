"""One run at a time holds a controller, and a run that ended holds none."""

import os
import subprocess
import sys

import numpy as np
import pytest

from control.arms.xarm.driver import XArm
from control.arms.xarm.lock import ControllerLock
from control.arms.xarm.wire.sdk import wait_until
from datasets.common.errors import DeviceError
from datasets.rig.rig import Rig
from pipelines.twin.controller.controller import ControllerTwin

pytestmark = pytest.mark.realtime


def test_a_second_run_on_this_computer_is_refused_and_harms_the_first_in_nothing(
    twin: ControllerTwin, rig: Rig
) -> None:
    with XArm(twin.host, rig) as first:
        first.move(np.array([0.0, 0.01, 0.0]))
        for take_over in (False, True):
            with pytest.raises(DeviceError, match=rf"another run on this computer \(process {os.getpid()}\) holds"):
                XArm(twin.host, rig, take_over=take_over).connect()
        first.move(np.array([0.0, 0.01, 0.0]))
        assert first.fault is None
    with XArm(twin.host, rig) as second:
        assert second.is_connected


def test_a_run_that_was_refused_leaves_no_lock(twin: ControllerTwin, rig: Rig) -> None:
    twin.firmware.fail(31)
    with pytest.raises(DeviceError, match="C31"):
        XArm(twin.host, rig).connect()
    lock = ControllerLock(twin.host)
    lock.acquire()
    lock.release()


HOLD = "import signal; from control.arms.xarm.lock import ControllerLock; lock = ControllerLock('127.9.9.9'); "


def test_a_killed_process_holds_no_lock_and_a_living_one_is_named() -> None:
    code = HOLD + "lock.acquire(); print('held', flush=True); signal.pause()"
    mine = ControllerLock("127.9.9.9")
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(DeviceError, match=rf"process {other.pid}\) holds the controller at 127\.9\.9\.9"):
            mine.acquire()
        ControllerLock("127.9.9.8").acquire()  # another controller is another matter
        other.kill()
    assert wait_until(lambda: takes(mine), 2.0)
    mine.acquire()  # it is kept
    mine.release()
    mine.release()


def takes(lock: ControllerLock) -> bool:
    try:
        lock.acquire()
    except DeviceError:
        return False
    return True
