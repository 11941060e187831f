"""Calls of the vendor's SDK take bounded time, and whatever they raise is told."""

import threading
import time

import pytest

from control.arms.xarm.wire.sdk import run_bounded
from datasets.common.errors import DeviceError

pytestmark = pytest.mark.realtime


def test_a_call_that_hangs_is_left_behind_and_one_that_raises_is_told() -> None:
    over, began = threading.Event(), time.monotonic()
    with pytest.raises(DeviceError, match="did not finish 'enable' within"):
        run_bounded(lambda: over.wait(60), 0.05, "enable")
    assert time.monotonic() - began < 10
    over.set()
    with pytest.raises(DeviceError, match="'enable' failed: broken"):
        run_bounded(lambda: exec("raise ValueError('broken')"), 1.0, "enable")
    assert run_bounded(lambda: 7, 1.0, "enable") == 7
