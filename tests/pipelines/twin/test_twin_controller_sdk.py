"""The emulated controller under the vendor's own ``XArmAPI``, used plainly."""

import errno
import math
import os
import socket
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from control.arms.xarm.wire.sdk import close_apis, open_api, wait_until
from datasets.common.errors import ConfigError, DeviceError
from datasets.rig.rig import Rig
from pipelines.twin.controller.controller import ControllerTwin

pytestmark = pytest.mark.realtime


@pytest.fixture(scope="module")
def twin(rig: Rig) -> Iterator[ControllerTwin]:
    with ControllerTwin(rig) as twin:
        yield twin


@pytest.fixture(scope="module")
def api(twin: ControllerTwin) -> Iterator[Any]:
    api = open_api(twin.host, "rich")
    yield api
    close_apis(api)


@pytest.fixture
def ready(api: Any, twin: ControllerTwin) -> Any:
    twin.faults.clear()
    api.clean_error()
    assert api.motion_enable(True) == 0
    api.set_tcp_offset([0, 0, 172, 0, 0, 0], wait=False)
    assert api.set_mode(0) == 0
    assert api.set_state(0) == 0
    return api


def test_it_is_an_xarm7_with_the_firmware_it_says(api: Any) -> None:
    assert api.axis == 7
    assert tuple(api.version_number) == (2, 5, 0)
    assert api.get_robot_sn()[1] == "XS1304"


def test_waiting_moves_return_when_the_arm_is_there(ready: Any, twin: ControllerTwin) -> None:
    assert ready.set_position(420, 20, 250, math.pi, 0, 0, speed=200, mvacc=2000, wait=True, timeout=5) == 0
    np.testing.assert_allclose(twin.tcp(), [0.42, 0.02, 0.25], atol=2e-4)
    assert ready.set_position(z=240, wait=True, speed=200, timeout=5) == 0
    np.testing.assert_allclose(ready.get_position()[1][:3], [420, 20, 240], atol=0.2)
    assert ready.set_position(x=-20, relative=True, wait=True, speed=200, timeout=5) == 0
    np.testing.assert_allclose(twin.tcp(), [0.40, 0.02, 0.24], atol=3e-4)
    before = twin.joints()
    assert ready.set_servo_angle(angle=[0.1] * 7, relative=True, speed=1.0, wait=True, timeout=5) == 0
    np.testing.assert_allclose(twin.joints(), before + 0.1, atol=1e-4)


def test_joint_moves_go_where_they_are_sent(ready: Any, twin: ControllerTwin, rig: Rig) -> None:
    assert ready.set_servo_angle(angle=list(rig.home_joints_rad), speed=1.0, wait=True, timeout=5) == 0
    np.testing.assert_allclose(twin.joints(), rig.home_joints_rad, atol=1e-4)
    np.testing.assert_allclose(ready.get_servo_angle()[1], rig.home_joints_rad, atol=1e-4)


def test_kinematics_are_asked_and_answered(ready: Any, rig: Rig) -> None:
    code, pose = ready.get_forward_kinematics(list(rig.home_joints_rad), input_is_radian=True, return_is_radian=True)
    assert code == 0
    np.testing.assert_allclose(pose[:3], [399.96, 0, 227.84], atol=0.01)
    code, joints = ready.get_inverse_kinematics(
        [430, 50, 250, math.pi, 0, 0], input_is_radian=True, return_is_radian=True
    )
    assert code == 0
    assert ready.get_forward_kinematics(joints, True, True)[1][:3] == pytest.approx([430, 50, 250], abs=1.0)
    assert ready.get_inverse_kinematics([2000, 0, 0, math.pi, 0, 0], True, True)[0] != 0


def test_reduced_states_read_back_as_set(ready: Any) -> None:
    assert ready.set_reduced_tcp_boundary([600, 200, 300, -300, 500, 50]) == 0
    assert ready.set_reduced_max_tcp_speed(150) == 0
    assert ready.set_reduced_mode(True) == 0
    code, (on, boundary, tcp_speed, *_rest) = ready.get_reduced_states()
    assert (code, on, tcp_speed) == (0, 1, 150)
    assert boundary == [600, 200, 300, -300, 500, 50]
    assert ready.set_reduced_mode(False) == 0


def test_commands_of_the_wrong_mode_move_nothing(ready: Any, twin: ControllerTwin) -> None:
    before = twin.tcp()
    assert ready.vc_set_cartesian_velocity([50, 0, 0, 0, 0, 0], duration=0.5) != 0
    ready.set_mode(5)
    ready.set_state(0)
    assert ready.set_position(450, 0, 250, math.pi, 0, 0, wait=False) != 0
    assert not wait_until(lambda: not np.allclose(twin.tcp(), before, rtol=0, atol=1e-9), 0.1)


def test_after_an_error_moves_are_refused_until_it_is_cleaned(ready: Any, twin: ControllerTwin) -> None:
    twin.inject("c31")
    assert ready.set_position(420, 0, 250, math.pi, 0, 0, wait=False) != 0
    assert ready.get_err_warn_code()[1][0] == 31
    assert wait_until(lambda: ready.error_code == 31, 1.0)
    assert ready.clean_error() == 0
    assert ready.get_state()[1] == 4


def test_two_emulators_live_side_by_side(rig: Rig, twin: ControllerTwin) -> None:
    with ControllerTwin(rig) as other:
        assert other.host != twin.host
        api = open_api(other.host, "real")
        assert api.connected
        close_apis(api)


def test_an_address_in_use_and_a_fault_that_is_not_there_are_refused(rig: Rig, twin: ControllerTwin) -> None:
    with pytest.raises(DeviceError, match="taken"):
        ControllerTwin(rig, host=twin.host).start()
    with pytest.raises(ConfigError, match="there are: c21"):
        twin.inject("meteorite")
    with pytest.raises(DeviceError, match="start it first"):
        _ = ControllerTwin(rig).host


def test_it_can_be_stopped_twice_and_started_again(rig: Rig) -> None:
    twin = ControllerTwin(rig)
    twin.stop()
    for _ in range(2):
        twin.start()
        api = open_api(twin.host, "real")
        twin.stop()
        twin.stop()
        close_apis(api)


def test_a_port_that_is_taken_everywhere_is_named_without_a_way_that_cannot_help(rig, monkeypatch):
    taken = []

    def refuse(self, address):
        taken.append(address)
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(
        DeviceError, match=r"port 50502 is taken on every loopback address.*0\.0\.0\.0.*ss -ltnp"
    ) as told:
        ControllerTwin(rig).start()
    assert "another 127" not in str(told.value)
    assert len({host for host, _ in taken}) == 249


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EADDRNOTAVAIL, errno.EACCES])
def test_another_reason_why_nothing_listens_is_told_at_once(rig, monkeypatch, number):
    tried = []

    def refuse(self, address):
        tried.append(address)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(DeviceError, match=os.strerror(number)):
        ControllerTwin(rig).start()
    assert len(tried) == 1
