"""Exposure, gain and white balance, held where the automatic controls had brought them."""

import logging
from typing import Any

import pyrealsense2 as rs

logger = logging.getLogger(__name__)

# The automatic control, and the values it drives.
_CONTROLS = (
    (rs.option.enable_auto_exposure, (rs.option.exposure, rs.option.gain)),
    (rs.option.enable_auto_white_balance, (rs.option.white_balance,)),
)


def lock_exposure(sensor: Any) -> list[str]:
    """Switch off the automatic controls a sensor (``rs.sensor``) has; returns the names of those switched off.

    *Assumed* of a real D435: while a control is automatic its option reads the value in force. It is read before
    switching off and written back afterwards, since some firmware falls back to the last manual value.
    """
    locked = []
    for automatic, values in _CONTROLS:
        if not sensor.supports(automatic) or sensor.is_option_read_only(automatic):
            continue
        held = {option: sensor.get_option(option) for option in values if sensor.supports(option)}
        sensor.set_option(automatic, 0.0)
        for option, value in held.items():
            if not sensor.is_option_read_only(option) and sensor.get_option(option) != value:
                sensor.set_option(option, value)
        locked.append(automatic.name)
        logger.info(
            "%s: %s off, %s",
            sensor.get_info(rs.camera_info.name),
            automatic.name,
            ", ".join(f"{option.name} {value:g}" for option, value in held.items()) or "no value to hold",
        )
    return locked
