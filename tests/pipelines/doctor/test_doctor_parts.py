"""What is found of disk, camera and controller, and of processes that end badly."""

import pytest

from control.arms.xarm.wire.sdk import close_apis, open_api
from pipelines.doctor import camera, controller
from pipelines.doctor.finding import Broken, State
from pipelines.twin.controller.controller import CONTROL_PORT, XARM_CONTROL_PORT, ControllerTwin
from pipelines.twin.controller.protocol import Register
from pipelines.twin.settings import TwinParams
from pipelines.twin.twin import Twin


def by_item(findings):
    return {finding.item: finding for finding in findings}


def described(**changes):
    about = {"name": "Intel RealSense D435", "firmware": "5.16", "recommended": "5.16", "usb": "3.2", "modes": 90}
    return {**about, "has_wanted": True, **changes}


@pytest.mark.parametrize(
    ("changes", "state", "remedy"),
    [
        ({}, State.OK, ""),
        ({"usb": "2.1"}, State.FAULT, "use a USB 3 cable"),
        ({"has_wanted": False}, State.FAULT, "choose another fps"),
        ({"recommended": "5.17"}, State.NOTE, "librealsense recommends firmware 5.17"),
        ({"recommended": ""}, State.OK, ""),
    ],
)
def test_a_camera_is_judged_by_cable_streams_and_firmware(changes, state, remedy):
    found = camera.judge(described(**changes), "640x480 at 30/s")
    assert found.state is state
    assert found.remedy.startswith(remedy)


@pytest.fixture
def usb(tmp_path, monkeypatch):
    """The kernel's list of USB devices: a keyboard, and a D435 to be added."""
    monkeypatch.setattr(camera, "USB", tmp_path)
    monkeypatch.setattr(camera, "look_apart", lambda *given: {"cameras": [], "wanted": ""})

    def add(name, vendor, product):
        (tmp_path / name).mkdir()
        (tmp_path / name / "idVendor").write_text(f"{vendor}\n")
        (tmp_path / name / "idProduct").write_text(f"{product}\n")

    add("1-1", "046d", "0a01")
    add("1-2", "8086", "1234")
    return add


def test_no_camera_is_fine(usb):
    assert State.FAULT not in {finding.state for finding in camera.look()}


def test_a_camera_that_may_not_be_opened_is_a_fault_with_the_rules(usb):
    usb("2-1", "8086", "0b07")
    (found,) = camera.look()
    assert found.state is State.FAULT
    assert "udev rules" in found.remedy


def test_a_librealsense_that_crashes_is_a_fault(monkeypatch):
    def crash(*given):
        raise Broken("crashed (SIGSEGV)")

    monkeypatch.setattr(camera, "look_apart", crash)
    (found,) = camera.look()
    assert found.state is State.FAULT
    assert "SIGSEGV" in found.found


@pytest.mark.realtime
def test_the_software_camera_is_listed_with_its_streams(rig):
    with Twin(rig, TwinParams.load()) as twin:
        found = camera.list_cameras(twin.context)
    (listed,) = found["cameras"]
    assert found["wanted"] == "640x480 at 30/s"
    assert listed["modes"] > 0
    assert "serial" not in str(found).lower()


@pytest.fixture
def twin(rig, monkeypatch):
    """A controller whose motors are enabled and that is ready, as after the vendor's studio."""
    ports = {port if port != XARM_CONTROL_PORT else CONTROL_PORT: what for port, what in controller.PORTS.items()}
    monkeypatch.setattr(controller, "PORTS", ports)
    with ControllerTwin(rig) as twin:
        api = open_api(twin.host, "rich")
        api.motion_enable(True)
        api.set_state(0)
        close_apis(api)
        yield twin


@pytest.mark.realtime
def test_a_healthy_controller_is_asked_and_told_nothing(twin):
    before = len(twin.log)
    found = by_item(controller.look(twin.host))
    assert {finding.state for finding in found.values()} == {State.OK}
    assert found["firmware"].found == "2.5.0, 7 axes"
    assert found["arm's holder"].found.startswith("none: mode 0")
    assert found["controller"].found.endswith("answer")
    asked = {Register(request.register).name for _, request in list(twin.log)[before:]}
    assert asked
    assert not [name for name in asked if not name.startswith("GET_")]


@pytest.mark.realtime
@pytest.mark.parametrize(
    ("fault", "item", "told", "remedy"),
    [
        ("estop", "controller's state", "emergency stop button", "release it"),
        ("c31", "controller's state", "C31", "remove the obstacle"),
        ("simulation", "controller's state", "simulation mode", "switch to the real robot"),
        ("manual", "arm's holder", "a hand may be on the arm", "look at the arm"),
    ],
)
def test_a_fault_of_the_controller_is_told_with_its_remedy(twin, fault, item, told, remedy):
    twin.inject(fault)
    found = by_item(controller.look(twin.host))
    assert found[item].state is State.FAULT
    assert told in found[item].found
    assert remedy in found[item].remedy


@pytest.mark.realtime
def test_old_firmware_is_a_fault(rig):
    with ControllerTwin(rig, firmware="v1.6.0") as twin:
        found = by_item(controller.look(twin.host))
    assert found["controller's state"].state is State.FAULT
    assert "1.6.0" in found["controller's state"].found


def test_where_no_controller_is_its_ports_are_named():
    (found,) = controller.look("127.0.0.251")
    assert found.state is State.FAULT
    assert "127.0.0.251: no answer at port 502" in found.found
    assert "check the address" in found.remedy
