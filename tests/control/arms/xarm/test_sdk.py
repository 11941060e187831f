"""Calls of the vendor's SDK take bounded time, and whatever they raise is told."""

import threading
import time

import pytest

from control.arms.xarm.wire import sdk
from datasets.common.errors import DeviceError
from datasets.rig.rig import Rig
from pipelines.twin.controller.controller import ControllerTwin
from pipelines.twin.controller.protocol import Register

pytestmark = pytest.mark.realtime


def test_a_call_that_hangs_is_left_behind_and_one_that_raises_is_told() -> None:
    over, began = threading.Event(), time.monotonic()
    with pytest.raises(DeviceError, match="did not finish 'enable' within"):
        sdk.run_bounded(lambda: over.wait(60), 0.05, "enable")
    assert time.monotonic() - began < 10
    over.set()
    with pytest.raises(DeviceError, match="'enable' failed: broken"):
        sdk.run_bounded(lambda: exec("raise ValueError('broken')"), 1.0, "enable")
    assert sdk.run_bounded(lambda: 7, 1.0, "enable") == 7


def test_a_connection_made_after_it_was_given_up_is_closed(
    twin: ControllerTwin, rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = sdk.load_sdk().connect

    def late(api: object) -> None:
        time.sleep(0.3)  # longer than is waited for
        connect(api)

    monkeypatch.setattr(sdk.load_sdk(), "connect", late)
    monkeypatch.setattr(sdk, "CONNECT_TIMEOUT_S", 0.1)
    with pytest.raises(DeviceError, match="no xArm controller answers"):
        sdk.open_api(twin.host, "real")
    assert sdk.wait_until(lambda: any(request.register == Register.GET_VERSION for _, request in twin.log), 3.0)
    assert sdk.wait_until(lambda: twin.clients == [], 5.0)
