"""A device in one line, whatever it can say of itself, and a warning where its cable limits it."""

import pyrealsense2 as rs
import pytest

from perception.cameras.realsense.device_description import describe

INFO = rs.camera_info
ALL = {INFO.name: "D435", INFO.serial_number: "42", INFO.firmware_version: "5.16", INFO.usb_type_descriptor: "3.2"}


class Device:
    """Says what it was told to; librealsense raises for what a device does not support."""

    def __init__(self, told):
        self.told = told

    def supports(self, info):
        return info in self.told

    def get_info(self, info):
        if info not in self.told:
            raise RuntimeError("object doesn't support this info")
        return self.told[info]


def test_all_that_is_known_is_in_one_line(caplog):
    assert describe(Device(ALL)) == "D435, serial number 42, firmware 5.16, USB 3.2"
    assert not caplog.records


@pytest.mark.parametrize("missing", ALL)
def test_what_a_device_does_not_say_is_left_out(missing):
    line = describe(Device({info: told for info, told in ALL.items() if info != missing}))
    assert ALL[missing] not in line
    assert all(told in line for info, told in ALL.items() if info != missing)
    assert line.startswith("D435, ") != (missing == INFO.name)


def test_a_device_that_says_nothing_is_described_all_the_same(caplog):
    assert describe(Device({})) == "unnamed camera"
    assert not caplog.records


@pytest.mark.parametrize(("usb", "warned"), [("2.0", True), ("2.1", True), ("3.0", False), ("3.2", False)])
def test_a_slow_cable_is_warned_of(caplog, usb, warned):
    describe(Device({**ALL, INFO.usb_type_descriptor: usb}))
    assert [f"on USB {usb}: expect lost frames" in record.getMessage() for record in caplog.records] == [True] * warned
