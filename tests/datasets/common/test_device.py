"""A device is connected inside its block alone, whatever happens there."""

import pytest

from datasets.common.device import Device
from datasets.common.errors import DeviceError


class Told(Device):
    def __init__(self, opens=True):
        self.opens, self.told = opens, []

    @property
    def is_connected(self):
        return self.told[-1:] == ["connected"]

    def connect(self):
        if not self.opens:
            raise DeviceError("unplugged")
        self.told.append("connected")

    def disconnect(self):
        self.told.append("released")


def test_it_is_connected_inside_of_its_block_and_released_after():
    device = Told()
    with device as given:
        assert given is device
        assert device.is_connected
    assert device.told == ["connected", "released"]


@pytest.mark.parametrize("error", [DeviceError, KeyboardInterrupt, SystemExit])
def test_it_is_released_whatever_ends_the_block_and_that_is_told(error):
    device = Told()
    with pytest.raises(error), device:
        raise error
    assert device.told == ["connected", "released"]


def test_a_block_whose_device_does_not_open_is_not_entered():
    device = Told(opens=False)
    with pytest.raises(DeviceError, match="unplugged"), device:
        device.told.append("entered")
    assert device.told == []
