"""Automatic exposure and white balance, held where they settled."""

import numpy as np
import pyrealsense2 as rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perception.cameras.realsense.exposure import free_exposure, lock_exposure, put_back, warn_of_brightness

option = rs.option


class Sensor:
    """Falls back to a manual value when its automatic control is switched off, as some firmware does."""

    def __init__(self, values: dict, read_only: frozenset = frozenset()) -> None:
        self.values = values
        self.read_only = read_only

    def supports(self, what: rs.option) -> bool:
        return what in self.values

    def is_option_read_only(self, what: rs.option) -> bool:
        return what in self.read_only

    def get_option(self, what: rs.option) -> float:
        return self.values[what]

    def set_option(self, what: rs.option, value: float) -> None:
        assert what not in self.read_only
        self.values[what] = value
        if what == option.enable_auto_exposure:
            self.values[option.exposure] = 156.0

    def get_info(self, what: rs.camera_info) -> str:
        return "RGB Camera"


def test_the_value_in_force_survives_the_switch() -> None:
    sensor = Sensor({option.enable_auto_exposure: 1.0, option.exposure: 312.0, option.gain: 70.0})
    assert lock_exposure(sensor) == ["enable_auto_exposure"]
    assert sensor.values == {option.enable_auto_exposure: 0.0, option.exposure: 312.0, option.gain: 70.0}


def test_white_balance_is_held_where_there_is_one() -> None:
    sensor = Sensor({option.enable_auto_white_balance: 1.0, option.white_balance: 3900.0})
    assert lock_exposure(sensor) == ["enable_auto_white_balance"]
    assert sensor.values[option.white_balance] == 3900.0


def test_a_sensor_without_controls_is_left_alone() -> None:
    assert lock_exposure(Sensor({})) == []


def test_controls_that_cannot_be_written_are_left_alone() -> None:
    locked = Sensor({option.enable_auto_exposure: 1.0}, read_only=frozenset({option.enable_auto_exposure}))
    assert lock_exposure(locked) == []


SWITCHES = (option.enable_auto_exposure, option.enable_auto_white_balance, option.emitter_enabled)


@given(switches=st.tuples(*[st.sampled_from([0.0, 1.0])] * 3), gain=st.floats(0, 128), white=st.floats(2800, 6500))
def test_what_another_program_left_is_freed_and_put_back(switches, gain: float, white: float) -> None:
    left = dict(zip(SWITCHES, switches, strict=True))
    left |= {option.exposure: 156.0, option.gain: gain, option.white_balance: white}
    sensor = Sensor(dict(left))
    found = free_exposure(sensor)
    assert all(sensor.values[switch] == 1.0 for switch in SWITCHES)
    lock_exposure(sensor)
    sensor.values[option.gain] += 1.0  # what the automatic control had found
    put_back(sensor, found)
    automatic = {option.gain} if left[option.enable_auto_exposure] else set()
    assert {each: value for each, value in sensor.values.items() if each not in automatic} == {
        each: value for each, value in left.items() if each not in automatic
    }


def test_a_sensor_without_controls_is_neither_freed_nor_put_back() -> None:
    sensor = Sensor({option.exposure: 3.0})
    put_back(sensor, free_exposure(sensor))
    assert sensor.values == {option.exposure: 3.0}


@pytest.mark.parametrize(("after", "warns"), [(100, False), (110, False), (60, True), (180, True)])
def test_an_image_that_changes_brightness_on_locking_is_told(caplog, after: int, warns: bool) -> None:
    before = np.full((480, 640, 3), 100, np.uint8)
    warn_of_brightness(before, np.full_like(before, after))
    assert ("changed the image's mean from 100 to" in caplog.text) == warns
