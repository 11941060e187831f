"""Locks exposure, gain and white balance at the values of the automatic controls, and restores the options at the end.

A camera keeps its options until it is unplugged (librealsense, issues 1577 and 5882): what the last program left would
decide how bright these images are.
"""

import logging
from typing import Any

import numpy as np
import pyrealsense2 as rs
from numpy.typing import NDArray

logger = logging.getLogger(__name__)

# The automatic control, and the values it drives.
_CONTROLS = (
    (rs.option.enable_auto_exposure, (rs.option.exposure, rs.option.gain)),
    (rs.option.enable_auto_white_balance, (rs.option.white_balance,)),
)

FRAMES_TO_TAKE_EFFECT = 4
"""Frames after which an option surely holds: sensors apply it one to three later (*assumed: exposure-lock*)."""

_BRIGHTNESS_TOLERANCE = 0.2


def free_exposure(sensor: Any) -> dict[rs.option, float]:
    """Switch on the automatic controls and the projector of a sensor (``rs.sensor``); returns the former options.

    Each value follows the switch that makes it writable: in this order the options can be restored.
    """
    found = {}
    for switch, values in (*_CONTROLS, (rs.option.emitter_enabled, ())):
        if not sensor.supports(switch) or sensor.is_option_read_only(switch):
            continue
        found[switch] = sensor.get_option(switch)
        found |= {option: sensor.get_option(option) for option in values if sensor.supports(option)}
        if found[switch] != 1.0:
            sensor.set_option(switch, 1.0)
            logger.info("%s: %s was off", sensor.get_info(rs.camera_info.name), switch.name)
    return found


def put_back(sensor: Any, found: dict[rs.option, float]) -> None:
    """Restore the options of a sensor that :func:`free_exposure` returned.

    Where a control was automatic, its values are not set, since it chooses them itself.
    """
    automatic = {option for switch, values in _CONTROLS if found.get(switch) for option in values}
    for option, value in found.items():
        if option not in automatic and not sensor.is_option_read_only(option) and sensor.get_option(option) != value:
            sensor.set_option(option, value)


def lock_exposure(sensor: Any) -> list[str]:
    """Switch off the automatic controls a sensor (``rs.sensor``) has; returns the names of those switched off.

    While a control is automatic its option reads the value in force (*assumed: exposure-lock*). It is read before
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


def warn_of_brightness(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> None:
    """Check what ``lock_exposure`` assumes: the image is as bright with the controls locked as it was before."""
    levels = float(np.mean(before[::8, ::8])), float(np.mean(after[::8, ::8]))
    if abs(levels[1] - levels[0]) > _BRIGHTNESS_TOLERANCE * max(levels[0], 1.0):
        logger.warning(
            "locking the exposure changed the image's mean from %.0f to %.0f levels: set lock_exposure: false in "
            "params/camera.yaml, or steady the light",
            *levels,
        )
